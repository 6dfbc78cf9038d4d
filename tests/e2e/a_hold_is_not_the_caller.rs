//! Hold and resume by re-INVITE: what comes on the caller's stream meanwhile is nobody's speech.

use crate::five_callers_over_siprec::enroll_file;
use common::clients::{Recorder, Session};
use common::daemon::Daemon;
use common::line::Faults;
use common::voices::{Person, mulaw};

#[test]
fn speech_during_a_hold_is_not_heard_and_the_caller_is_verified_after_it() {
    let (Some(enrolled), Some(stranger)) = (Person::Allison.talk(0, 55.0), Person::June.talk(1, 8.0)) else {
        return;
    };
    let daemon = Daemon::start();
    enroll_file(&daemon, "1001", &enrolled);
    let talk = mulaw(&Person::Allison.talk(1, 22.0).expect("present above"));
    let mut recorder = Recorder::new(daemon.sip_port());
    let session = Session { speaker: "1001", caller: &talk, agent: &[], faults: Faults::default() };
    recorder.run_with_hold(&session, 5 * 8000, &mulaw(&stranger));
    let result = daemon.wait_for(&["result", recorder.call_id()], |answer| answer["status"] != "pending");
    assert_eq!(result["status"], "authenticated", "{result}");
    let heard = daemon.ask(&["call", recorder.call_id()])["net_speech_s"].as_f64().expect("a figure");
    assert!(heard < 22.0, "{heard} s of net speech in 22 s of talk and 8 s of hold");
}
