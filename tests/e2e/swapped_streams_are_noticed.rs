//! A recording client that binds its streams crosswise: Vouch hears the agent in the caller's place, and says so once the
//! same voice has called as several speakers. With the peer's rule the right people are heard.

use crate::five_callers_over_siprec::enroll_file;
use common::clients::{Recorder, Session};
use common::daemon::Daemon;
use common::line::Faults;
use common::voices::{Person, mulaw};
use serde_json::Value;

/// The callers; Carlo is the agent of every call.
const CALLERS: [(&str, Person); 4] =
    [("1001", Person::Allison), ("1002", Person::June), ("1003", Person::Menardi), ("1004", Person::Russian)];
const SECONDS: f32 = 20.0;

/// A gateway with these further settings.
fn gateway(settings: &str) -> Daemon {
    Daemon::start_with(&format!("[[peers]]\nname = \"sbc\"\naddress = [\"127.0.0.1\"]\n{settings}\n"))
}

/// Enrolls the callers; nothing where their voices are not installed.
fn enroll(daemon: &Daemon) -> Option<()> {
    for (speaker, person) in CALLERS {
        enroll_file(daemon, speaker, &person.talk(0, 55.0)?);
    }
    Person::Carlo.talk(0, 1.0).map(|_| ())
}

/// Records a call in which the agent's words come on the stream that the metadata says is the caller's; gives the result.
fn record_crosswise(daemon: &Daemon, (speaker, person): (&str, Person), take: usize) -> Value {
    let caller = mulaw(&person.talk(take, SECONDS).expect("present above"));
    let agent = mulaw(&Person::Carlo.talk(take, SECONDS).expect("present above"));
    let mut recorder = Recorder::new(daemon.sip_port());
    recorder.run(&Session { speaker, caller: &agent, agent: &caller, faults: Faults::default() });
    daemon.wait_for(&["result", recorder.call_id()], |answer| answer["status"] != "pending")
}

#[test]
fn without_a_rule_the_guard_speaks_up() {
    let daemon = gateway("caller = \"auto\"");
    if enroll(&daemon).is_none() {
        return;
    }
    let results: Vec<Value> = std::thread::scope(|calls| {
        let running = (1..).zip(CALLERS).map(|(take, caller)| {
            let daemon = &daemon;
            calls.spawn(move || record_crosswise(daemon, caller, take))
        });
        let running: Vec<_> = running.collect();
        running.into_iter().map(|call| call.join().expect("the call is recorded")).collect()
    });
    assert!(results.iter().all(|result| result["status"] == "not-authenticated"), "{results:?}");
    let named = results.iter().filter(|result| result["reasons"][0] == "swapped-streams").count();
    assert_eq!(named, 1, "the fourth speaker's call shows it: {results:?}");

    let status = daemon.ask(&["status"]);
    let warning = &status["warnings"][0];
    assert_eq!((&warning["peer"], &warning["one_voice"]), (&"sbc".into(), &4.into()), "{status}");
    assert!(warning["remedy"].as_str().is_some_and(|text| text.contains("caller = \"swapped\"")), "{status}");
    assert_eq!(daemon.event("warning")["warning"]["peer"], "sbc");
    assert_eq!(daemon.metric("vouch_swapped_gateways"), 1);
    assert_eq!(daemon.log().matches("one voice calls as several speakers").count(), 1);
}

#[test]
fn with_the_rule_everybody_is_authenticated_and_the_guard_is_silent() {
    let daemon = gateway("caller = \"swapped\"");
    if enroll(&daemon).is_none() {
        return;
    }
    std::thread::scope(|calls| {
        // Four speakers, and one of them on three more calls.
        let again = [CALLERS[0]; 3];
        for (take, caller) in (1..).zip(CALLERS.into_iter().chain(again)) {
            let daemon = &daemon;
            calls.spawn(move || {
                let result = record_crosswise(daemon, caller, take);
                assert_eq!(result["status"], "authenticated", "{caller:?}: {result}");
                assert_eq!(result["reasons"], Value::Array(Vec::new()), "{caller:?}: {result}");
            });
        }
    });
    assert_eq!(daemon.ask(&["status"])["warnings"], Value::Array(Vec::new()));
}
