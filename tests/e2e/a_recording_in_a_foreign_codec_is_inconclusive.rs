//! A recording session of a codec that Vouch does not decode: never refused, and the answer names the codec.

use crate::five_callers_over_siprec::enroll_file;
use common::clients::CodedCall;
use common::daemon::Daemon;
use common::voices::Person;

#[test]
fn a_recording_of_ilbc_is_taken_and_says_that_nobody_decodes_it() {
    let Some(talk) = Person::Allison.talk(0, 55.0) else { return };
    let daemon = Daemon::start();
    enroll_file(&daemon, "1001", &talk);
    let payloads = vec![vec![0x5a; 38]; 50];
    let call = CodedCall {
        speaker: "1001",
        codec: (97, "iLBC/8000"),
        payloads: &payloads,
        ticks: 160,
        recorded: true,
    };
    let id = call.place(daemon.sip_port());
    let view = daemon.ask(&["call", &id]);
    assert_eq!(view["codec"], "iLBC", "{view}");
    assert_eq!(view["result"]["status"], "inconclusive", "{view}");
    assert_eq!(view["result"]["reasons"][0], "unsupported-codec", "{view}");
}
