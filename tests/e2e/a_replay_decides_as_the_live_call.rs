//! Calls are captured on the wire while vouchd hears them; the replay of the capture says what vouchd said.

use crate::five_callers_over_siprec::enroll_file;
use common::clients::{Leg, Recorder, Session, sipp_is_there};
use common::daemon::{Daemon, program};
use common::line::Faults;
use common::sniffer::Sniffer;
use common::voices::{Person, mulaw};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Replays a capture with voiceprints of recordings; gives the calls, and what is said of the capture.
pub(crate) fn replay(file: &Path, enroll: &[String]) -> (Vec<Value>, Value) {
    let mut ctl = Command::new(program("vouchctl"));
    ctl.args(["--json", "replay"]).arg(file);
    enroll.iter().for_each(|enroll| _ = ctl.args(["--enroll", enroll]));
    let output = ctl.output().expect("vouchctl starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let read = |text: &str| serde_json::from_str(text).expect("JSON, one object a line");
    let calls = String::from_utf8_lossy(&output.stdout).lines().map(read).collect();
    (calls, read(error.trim()))
}

/// One caller, over SIPREC or over a plain leg; gives the Call-ID and the last result.
fn place(daemon: &Daemon, way: &str, speaker: &str, talk: &[i16]) -> (String, Value) {
    let call_id = if way == "siprec" {
        let agent =
            Person::Menardi.talk(2, talk.len() as f32 / 8000.0).expect("as present as the caller's voice");
        let mut recorder = Recorder::new(daemon.sip_port());
        let (caller, agent) = (&mulaw(talk)[..], &mulaw(&agent)[..]);
        recorder.run(&Session { speaker, caller, agent, faults: Faults::default() });
        recorder.call_id().to_owned()
    } else {
        let leg = Leg { speaker, mulaw: &mulaw(talk), extra: "", transport: way, port: daemon.sip_port() };
        let mut call = leg.place();
        assert!(call.finish(), "{}", call.messages());
        call.call_id().to_owned()
    };
    let result = daemon.wait_for(&["result", &call_id], |answer| answer["status"] != "pending");
    (call_id, result)
}

#[test]
fn a_replay_gives_the_decision_and_the_score_of_the_live_call() {
    if !sipp_is_there() {
        return;
    }
    let Some(allison) = Person::Allison.talk(0, 55.0) else { return };
    let daemon = Daemon::start();
    enroll_file(&daemon, "1001", &allison);
    let Some(sniffer) = Sniffer::start(&daemon.folder().join("calls.pcap")) else { return };
    let talk = |person: Person, take, seconds| person.talk(take, seconds).expect("present above");
    let callers = [
        ("siprec", "1001", talk(Person::Allison, 1, 20.0)),
        ("siprec", "1001", talk(Person::June, 1, 20.0)),
        ("u1", "1001", talk(Person::Allison, 2, 20.0)),
        ("t1", "1001", talk(Person::Carlo, 1, 20.0)),
        ("u1", "1001", talk(Person::Allison, 3, 4.0)),
        ("t1", "1009", talk(Person::Russian, 1, 6.0)),
    ];
    let live: Vec<(String, Value)> = std::thread::scope(|calls| {
        let placed: Vec<_> = callers
            .iter()
            .map(|(way, speaker, talk)| calls.spawn(|| place(&daemon, way, speaker, talk)))
            .collect();
        placed.into_iter().map(|call| call.join().expect("the call went well")).collect()
    });
    let capture = sniffer.finish();
    let enroll = format!("1001={}/1001.wav", daemon.folder().display());
    let (calls, summary) = replay(&capture, &[enroll]);

    for (call_id, result) in &live {
        let call = calls.iter().find(|call| call["sip_call_id"] == **call_id);
        let call = call.unwrap_or_else(|| panic!("{call_id} is not among {calls:?}: {summary}"));
        let replayed = &call["result"];
        assert_eq!(call["source"], "tap");
        assert!(call["ended"].is_string(), "{call}");
        for same in ["status", "reasons", "speaker_id", "threshold", "voiceprint_version"] {
            assert_eq!(replayed[same], result[same], "{same} of {call}, live {result}");
        }
        let apart = |figure: &str| {
            let (one, other) = (replayed[figure].as_f64(), result[figure].as_f64());
            assert_eq!(one.is_some(), other.is_some(), "{figure} of {call}, live {result}");
            (one.unwrap_or(0.0) - other.unwrap_or(0.0)).abs()
        };
        assert!(apart("score") <= 1.0 && apart("net_speech_s") <= 0.2, "{call}, live {result}");
    }
    let statuses: Vec<&str> = live.iter().filter_map(|(_, result)| result["status"].as_str()).collect();
    let expected = [
        "authenticated",
        "not-authenticated",
        "authenticated",
        "not-authenticated",
        "inconclusive",
        "not-enrolled",
    ];
    assert_eq!(statuses, expected);
    // Loopback shows each frame twice to a capture, like a mirror port that shows both directions.
    assert!(summary["capture"]["duplicates"].as_u64() > Some(1000), "{summary}");
}
