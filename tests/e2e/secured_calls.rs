//! A gateway that records over TLS and SRTP: verified as any other, and what does not fit the keys is not believed.

use crate::five_callers_over_siprec::enroll_file;
use common::clients::{PCMU, Phone, Recorder, Session, baresip_is_there};
use common::daemon::Daemon;
use common::line::Faults;
use common::srtp::Srtp;
use common::voices::{Person, mulaw};
use serde_json::Value;

const ONLY_SRTP: &str = "[[peers]]\nname = \"secure\"\naddress = [\"127.0.0.1\"]\nsrtp = \"require\"\n";

/// Records a call under `offered` keys with packets under `used` ones; gives the last result, and what vouchd sent.
fn record(
    (daemon, root): &(Daemon, String),
    talk: &[i16],
    offered: [Srtp; 2],
    used: &[Srtp; 2],
) -> (Value, Vec<String>) {
    let agent = Person::Carlo.talk(2, talk.len() as f32 / 8000.0).expect("as present as the caller's voice");
    let (caller, agent) = (mulaw(talk), mulaw(&agent));
    let session = Session { speaker: "1001", caller: &caller, agent: &agent, faults: Faults::default() };
    let mut recorder = Recorder::secure(daemon.tls_port(), root);
    let answer = recorder.run_secured(&session, offered, used);
    assert_eq!(answer.matches("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:").count(), 2, "{answer}");
    assert!(answer.contains(";transport=tls>"), "{answer}");
    let result = daemon.wait_for(&["result", recorder.call_id()], |answer| answer["status"] != "pending");
    (result, recorder.received().to_vec())
}

#[test]
fn a_caller_over_tls_and_srtp_is_verified_and_foreign_packets_are_not_believed() {
    let Some(voice) = Person::Allison.talk(0, 55.0) else { return };
    let secure = Daemon::start_with_tls(ONLY_SRTP);
    enroll_file(&secure.0, "1001", &voice);
    let talk = Person::Allison.talk(1, 22.0).expect("present above");
    let keys = || [Srtp::new(1), Srtp::new(2)];
    std::thread::scope(|callers| {
        callers.spawn(|| {
            let (result, received) = record(&secure, &talk, keys(), &keys());
            assert_eq!(result["status"], "authenticated", "{result}");
            assert_eq!(result["quality"]["unauthentic"], 0, "{result}");
            let told =
                |message: &String| message.starts_with("INFO ") && message.contains("Status: authenticated");
            assert!(received.iter().any(told), "the result comes along the connection: {received:?}");
        });
        callers.spawn(|| {
            let (result, _) = record(&secure, &talk[..32_000], keys(), &[Srtp::new(3), Srtp::new(2)]);
            assert_eq!(result["status"], "inconclusive", "{result}");
            assert_eq!(result["reasons"][0], "srtp-key", "{result}");
            let refused = result["quality"]["unauthentic"].as_u64();
            assert!(refused.is_some_and(|refused| refused > 150), "of 200: {result}");
        });
    });
    let log = secure.0.log();
    assert!(!log.contains("inline:"), "a key was logged");
}

#[test]
fn a_telephone_that_calls_over_tls_and_srtp_is_verified() {
    let (Some(voice), true) = (Person::Allison.talk(0, 55.0), baresip_is_there()) else { return };
    let (daemon, _) = Daemon::start_with_tls(ONLY_SRTP);
    enroll_file(&daemon, "1001", &voice);
    let talk = Person::Allison.talk(1, 22.0).expect("present above");
    let at = format!("127.0.0.1:{};transport=tls", daemon.tls_port());
    let target = format!("sip:vouch@{at}");
    let mut phone =
        Phone { user: "1001", target: &target, proxy: &at, voice: &talk, codec: PCMU, secure: true }.call();
    let calls = daemon.wait_for(&["calls"], |calls| {
        calls[0]["result"]["status"].is_string() && calls[0]["result"]["status"] != "pending"
    });
    let call = &calls[0];
    assert_eq!(
        (call["speaker_id"].as_str(), call["source"].as_str()),
        (Some("1001"), Some("media-leg")),
        "{call}"
    );
    assert_eq!(call["result"]["status"], "authenticated", "{call} {}", phone.log());
    assert_eq!(call["result"]["quality"]["unauthentic"], 0, "{call}");
    phone.hang_up();
    daemon.wait_for(&["calls"], |calls| calls[0]["ended"].is_string());
}

#[test]
fn a_caller_is_verified_across_new_keys() {
    let Some(voice) = Person::Allison.talk(0, 55.0) else { return };
    let daemon = Daemon::start();
    enroll_file(&daemon, "1001", &voice);
    let talk = mulaw(&Person::Allison.talk(1, 20.0).expect("present above"));
    let session = Session { speaker: "1001", caller: &talk, agent: &[], faults: Faults::default() };
    let mut recorder = Recorder::new(daemon.sip_port());
    // Too little speech for an answer before the change, and after it: both sides of it are heard.
    let keys = [[Srtp::new(1), Srtp::new(2)], [Srtp::new(3), Srtp::new(4)]];
    recorder.run_with_new_keys(&session, 10 * 8000, keys);
    let result = daemon.wait_for(&["result", recorder.call_id()], |answer| answer["status"] != "pending");
    assert_eq!(result["status"], "authenticated", "{result}");
    assert_eq!(result["quality"]["unauthentic"], 0, "what was under way is heard: {result}");
}
