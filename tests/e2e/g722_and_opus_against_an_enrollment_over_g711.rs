//! Enrolled on the telephone, heard over G.722 and Opus: the same person passes, another one does not.

use common::clients::CodedCall;
use common::daemon::Daemon;
use common::opus::OpusEncoder;
use common::voices::{Person, mulaw};
use serde_json::Value;
use vouch_dsp::codec::g722::G722;

/// Places a call and gives it as the socket shows it, once there is an answer.
fn call(daemon: &Daemon, speaker: &str, codec: (u8, &str), payloads: &[Vec<u8>], ticks: u32) -> Value {
    let id = CodedCall { speaker, codec, payloads, ticks, recorded: false }.place(daemon.sip_port());
    daemon.wait_for(&["result", &id], |answer| answer["status"] != "pending");
    daemon.ask(&["call", &id])
}

fn over_g722(daemon: &Daemon, coded: &[u8]) -> Value {
    let payloads: Vec<_> = coded.chunks_exact(160).map(<[u8]>::to_vec).collect();
    call(daemon, "1001", (9, "G722/8000"), &payloads, 160)
}

fn over_opus(daemon: &Daemon, coded: &[u8]) -> Value {
    let mut pcm = vec![0; 2 * coded.len()];
    G722::new().decode_into(coded, &mut pcm);
    call(daemon, "1001", (111, "opus/48000/2"), &OpusEncoder::open().packets(&pcm), 960)
}

/// A voice over G.711, for an enrollment on the call itself.
fn enroll(daemon: &Daemon, talk: &[i16]) {
    let payloads: Vec<_> = mulaw(talk).chunks_exact(160).map(<[u8]>::to_vec).collect();
    let gateway = CodedCall {
        speaker: "1001",
        codec: (0, "PCMU/8000"),
        payloads: &payloads,
        ticks: 160,
        recorded: false,
    };
    std::thread::scope(|calls| {
        let placed = calls.spawn(|| gateway.place(daemon.sip_port()));
        let list = daemon.wait_for(&["calls"], |answer| answer[0]["id"].is_string());
        let id = list[0]["id"].as_str().expect("waited for").to_owned();
        daemon.ask(&["enroll", &id, "--consent", "recorded"]);
        daemon.wait_for(&["call", &id], |answer| answer["enrollment"]["state"] == "complete");
        placed.join().expect("the call goes as written");
    });
}

#[test]
fn a_g722_and_an_opus_call_are_verified_against_a_g711_enrollment() {
    let (Some(enrollment), Some(genuine), Some(impostor)) =
        (Person::Allison.talk(0, 55.0), Person::Allison.g722(1, 22.0), Person::June.g722(1, 22.0))
    else {
        return;
    };
    let daemon = Daemon::start();
    enroll(&daemon, &enrollment);
    std::thread::scope(|callers| {
        callers.spawn(|| {
            let view = over_g722(&daemon, &genuine);
            assert_eq!(
                (&view["result"]["status"], &view["codec"]),
                (&"authenticated".into(), &"G722".into()),
                "{view}"
            );
        });
        callers.spawn(|| {
            let view = over_opus(&daemon, &genuine);
            assert_eq!(
                (&view["result"]["status"], &view["codec"]),
                (&"authenticated".into(), &"opus".into()),
                "{view}"
            );
        });
        callers.spawn(|| {
            let view = over_g722(&daemon, &impostor);
            assert_eq!(view["result"]["status"], "not-authenticated", "{view}");
        });
        callers.spawn(|| {
            let view = over_opus(&daemon, &impostor);
            assert_eq!(view["result"]["status"], "not-authenticated", "{view}");
        });
    });
}
