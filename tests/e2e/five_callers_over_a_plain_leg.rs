//! Two enrolled people, an impostor, an opted-out caller and one who hangs up early, with sipp as the gateway.

use common::clients::{Leg, LegCall, sipp_is_there};
use common::daemon::Daemon;
use common::voices::{Person, mulaw};

fn call(daemon: &Daemon, speaker: &str, talk: &[i16]) -> LegCall {
    let leg = Leg { speaker, mulaw: &mulaw(talk), extra: "", transport: "u1", port: daemon.sip_port() };
    leg.place()
}

/// Enrolls `speaker` on a call, on an agent's request, as it happens in daily use.
fn enroll(daemon: &Daemon, speaker: &str, talk: &[i16]) {
    let mut call = call(daemon, speaker, talk);
    daemon.wait_for(&["call", call.call_id()], |answer| answer["id"].is_string());
    daemon.ask(&["enroll", call.call_id(), "--consent", "recorded"]);
    let done =
        daemon.wait_for(&["call", call.call_id()], |answer| answer["enrollment"]["state"] == "complete");
    assert_eq!(done["enrollment"]["voiceprint_version"], 1);
    assert_eq!(done["result"]["status"], "not-enrolled");
    drop(done);
    assert!(call.finish() || !call.messages().is_empty());
}

/// Places a call and gives its last result, with the headers that the gateway saw.
fn verify(daemon: &Daemon, speaker: &str, talk: &[i16]) -> (serde_json::Value, Vec<String>) {
    let mut call = call(daemon, speaker, talk);
    assert!(call.finish(), "{}", call.messages());
    let result = daemon.wait_for(&["result", call.call_id()], |answer| answer["status"] != "pending");
    (result, call.voice_id_headers())
}

#[test]
fn five_callers_get_the_five_right_answers() {
    if !sipp_is_there() {
        return;
    }
    let take = |person: Person, take, seconds| person.talk(take, seconds);
    let (Some(allison), Some(carlo)) = (take(Person::Allison, 0, 55.0), take(Person::Carlo, 0, 55.0)) else {
        return;
    };
    let daemon = Daemon::start();
    std::thread::scope(|callers| {
        callers.spawn(|| enroll(&daemon, "1001", &allison));
        callers.spawn(|| enroll(&daemon, "1002", &carlo));
    });
    daemon.ask(&["speaker", "opt-out", "1003"]);

    let talk = |person: Person, seconds| person.talk(1, seconds).expect("present above");
    std::thread::scope(|callers| {
        callers.spawn(|| {
            // Other words than at the enrollment.
            let (result, headers) = verify(&daemon, "1001", &talk(Person::Allison, 22.0));
            assert_eq!(result["status"], "authenticated", "{result}");
            assert!(headers.contains(&"X-Voice-ID-Status: pending".to_owned()), "{headers:?}");
            assert!(headers.contains(&"X-Voice-ID-Status: authenticated".to_owned()), "{headers:?}");
        });
        callers.spawn(|| {
            let (result, _) = verify(&daemon, "1002", &talk(Person::Carlo, 22.0));
            assert_eq!(result["status"], "authenticated", "{result}");
        });
        callers.spawn(|| {
            let (result, headers) = verify(&daemon, "1001", &talk(Person::June, 22.0));
            assert_eq!(result["status"], "not-authenticated", "{result}");
            assert!(headers.contains(&"X-Voice-ID-Status: not-authenticated".to_owned()), "{headers:?}");
        });
        callers.spawn(|| {
            let (result, headers) = verify(&daemon, "1003", &talk(Person::Menardi, 12.0));
            assert_eq!(result["status"], "opted-out", "{result}");
            assert_eq!(result["net_speech_s"], 0.0, "an opted-out caller is not analysed");
            assert!(headers.contains(&"X-Voice-ID-Status: opted-out".to_owned()), "{headers:?}");
        });
        callers.spawn(|| {
            let (result, _) = verify(&daemon, "1001", &Person::Allison.talk(2, 4.0).expect("present above"));
            assert_eq!(result["status"], "inconclusive", "{result}");
            assert_eq!(result["reasons"][0], "too-little-speech");
        });
        callers.spawn(|| {
            let (result, headers) = verify(&daemon, "1009", &talk(Person::Russian, 3.0));
            assert_eq!(result["status"], "not-enrolled", "{result}");
            assert!(headers.contains(&"X-Voice-ID-Status: not-enrolled".to_owned()), "{headers:?}");
        });
    });
}
