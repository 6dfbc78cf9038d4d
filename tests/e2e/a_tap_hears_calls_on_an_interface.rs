//! One vouchd is called; another one overhears the calls on the network interface and decides alike.

use crate::five_callers_over_siprec::{enroll_file, record};
use common::clients::{Leg, sipp_is_there};
use common::daemon::Daemon;
use common::line::Faults;
use common::sniffer::may_capture;
use common::voices::{Person, mulaw};

#[test]
fn calls_between_others_are_decided_as_by_the_one_that_is_called() {
    if !sipp_is_there() || !may_capture() {
        return;
    }
    let Some(allison) = Person::Allison.talk(0, 55.0) else { return };
    let called = Daemon::start();
    // Tests beside this one place calls on the same interface, so there must be room for many.
    let tap = Daemon::start_from(|_, config| {
        let roomy = config.replace("max-calls = 20", "max-calls = 500");
        let (before, after) = roomy.split_once("rtp-ports = \"").expect("the range of ports");
        let after = after.split_once('"').expect("its end").1;
        format!(
            "{before}rtp-ports = \"42000-44999\"{after}[tap]\ninterfaces = [\"lo\"]\npromiscuous = false\n"
        )
    });
    for daemon in [&called, &tap] {
        enroll_file(daemon, "1001", &allison);
    }
    let talk = |person: Person, take| person.talk(take, 20.0).expect("present above");
    let place = |talk: &[i16], transport: &str| {
        let leg = Leg { speaker: "1001", mulaw: &mulaw(talk), extra: "", transport, port: called.sip_port() };
        let mut call = leg.place();
        assert!(call.finish(), "{}", call.messages());
        let ask = |daemon: &Daemon| {
            daemon.wait_for(&["call", call.call_id()], |call| {
                call["ended"].is_string() && call["result"]["status"] != "pending"
            })
        };
        (ask(&called), ask(&tap))
    };
    let (genuine, impostor) = std::thread::scope(|calls| {
        let impostor = calls.spawn(|| place(&talk(Person::June, 1), "u1"));
        let agent = calls.spawn(|| record(&called, "1001", &talk(Person::Allison, 2), Faults::default()));
        let genuine = place(&talk(Person::Allison, 1), "u1");
        assert_eq!(agent.join().expect("the session went well")["status"], "authenticated");
        (genuine, impostor.join().expect("the call went well"))
    });
    for ((called, tapped), status) in [(genuine, "authenticated"), (impostor, "not-authenticated")] {
        assert_eq!((called["source"].as_str(), tapped["source"].as_str()), (Some("media-leg"), Some("tap")));
        assert_eq!(
            (&called["result"]["status"], &tapped["result"]["status"]),
            (&status.into(), &status.into())
        );
        let score = |call: &serde_json::Value| call["result"]["score"].as_f64().expect("a score");
        assert!((score(&called) - score(&tapped)).abs() <= 1.0, "{called} {tapped}");
    }
    let status = tap.ask(&["status"]);
    assert_eq!(status["tap"][0]["interface"], "lo", "{status}");
    assert!(status["tap"][0]["packets"].as_u64() > Some(1000), "{status}");
}
