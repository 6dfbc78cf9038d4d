//! A recorded call whose caller hands over to somebody else: the metadata says so without a description, and what was
//! claimed, heard and answered before holds no more.

use crate::five_callers_over_siprec::enroll_file;
use common::clients::{Recorder, header};
use common::daemon::Daemon;
use common::line::{Faults, talk};
use common::voices::{Person, mulaw};
use serde_json::Value;

#[test]
fn each_caller_of_a_recording_has_a_claim_and_an_answer_of_their_own() {
    let (Some(allison), Some(june)) = (Person::Allison.talk(0, 55.0), Person::June.talk(0, 55.0)) else {
        return;
    };
    let daemon = Daemon::start();
    enroll_file(&daemon, "1001", &allison);
    enroll_file(&daemon, "1002", &june);
    let mut recorder = Recorder::new(daemon.sip_port());
    let placed = recorder.begin("1001");
    let id = recorder.call_id().to_owned();
    // One source of RTP, as a gateway's: nothing in the audio shows who speaks.
    let say = |person: Person| {
        let talk_ = mulaw(&person.talk(1, 18.0).expect("present above"));
        talk(&placed.media[0], placed.targets[0], &talk_, Faults::default(), 0xCA11);
    };
    let final_result = || daemon.wait_for(&["result", &id], |answer| answer["status"] != "pending");

    say(Person::Allison);
    let first = final_result();
    assert_eq!(
        (&first["status"], &first["speaker_id"]),
        (&"authenticated".into(), &"1001".into()),
        "{first}"
    );

    let told = recorder.update_metadata("p3", "1002");
    assert!(told.starts_with("SIP/2.0 200 "), "{told}");
    assert_eq!(header(&told, "X-Voice-ID-Status"), Some("pending"), "{told}");
    assert_eq!(header(&told, "X-Voice-ID-Speaker"), Some("1002"), "{told}");
    say(Person::June);
    let second = final_result();
    assert_eq!(
        (&second["status"], &second["speaker_id"]),
        (&"authenticated".into(), &"1002".into()),
        "{second}"
    );
    assert_ne!(first["result_id"], second["result_id"]);

    let told = recorder.reinvite_without_offer("p4", "1003", &placed);
    assert_eq!(header(&told, "X-Voice-ID-Status"), Some("not-enrolled"), "{told}");
    assert_eq!(header(&told, "X-Voice-ID-Speaker"), Some("1003"), "{told}");
    let told = recorder.update_metadata("p5", "1001");
    assert_eq!(
        header(&told, "X-Voice-ID-Status"),
        Some("pending"),
        "never the answer about 1001 before: {told}"
    );
    say(Person::June);
    let last = final_result();
    assert_eq!(last["status"], "not-authenticated", "{last}");
    recorder.hang_up();
    let call: Value = daemon.wait_for(&["call", &id], |call| !call["ended"].is_null());
    assert_eq!(call["result"]["status"], "not-authenticated", "{call}");
}
