//! 5 % and 10 % of the packets are lost at random by the kernel: the decisions stay, and the loss is reported.

use crate::five_callers_over_siprec::{enroll_file, record};
use common::daemon::Daemon;
use common::line::Faults;
use common::namespace;
use common::voices::Person;

/// Share that is lost, and what may be reported of it: at 2,200 packets a call five standard deviations either way.
const LOSSES: [(f64, std::ops::Range<f64>); 2] = [(0.05, 0.02..0.08), (0.10, 0.06..0.14)];

#[test]
fn decisions_are_the_same_with_5_and_10_percent_loss() {
    let Some(allison) = Person::Allison.talk(0, 55.0) else { return };
    if !namespace::enter() {
        return;
    }
    let genuine = Person::Allison.talk(1, 22.0).expect("present above");
    let impostor = Person::June.talk(1, 22.0).expect("present above");
    let lines = LOSSES.map(|(share, reported)| {
        let daemon = Daemon::start();
        enroll_file(&daemon, "1001", &allison);
        namespace::lose(share, (daemon.rtp_port(), daemon.rtp_port() + 99));
        (daemon, reported)
    });
    std::thread::scope(|calls| {
        for (daemon, reported) in &lines {
            for (talk, status) in [(&genuine, "authenticated"), (&impostor, "not-authenticated")] {
                calls.spawn(move || {
                    let result = record(daemon, "1001", talk, Faults::default());
                    assert_eq!(result["status"], status, "{result}");
                    let loss = result["quality"]["loss"].as_f64().expect("a figure");
                    assert!(reported.contains(&loss), "not within {reported:?}: {result}");
                });
            }
        }
    });
}
