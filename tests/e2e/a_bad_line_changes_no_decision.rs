//! Loss, jitter, reordering and duplicates: the same call gets the same answer.

use crate::five_callers_over_siprec::{enroll_file, record};
use common::daemon::Daemon;
use common::line::Faults;
use common::voices::Person;
use std::time::Duration;

#[test]
fn the_same_call_on_a_bad_line_gets_the_same_decision() {
    let Some(allison) = Person::Allison.talk(0, 55.0) else { return };
    let daemon = Daemon::start();
    enroll_file(&daemon, "1001", &allison);
    let genuine = Person::Allison.talk(1, 22.0).expect("present above");
    let impostor = Person::June.talk(1, 22.0).expect("present above");
    let bad = Faults { loss: 0.05, jitter: Duration::from_millis(60), duplicates: 0.05 };
    std::thread::scope(|calls| {
        for faults in [Faults::default(), bad] {
            let (daemon, genuine, impostor) = (&daemon, &genuine, &impostor);
            calls.spawn(move || {
                let result = record(daemon, "1001", genuine, faults);
                assert_eq!(result["status"], "authenticated", "{result}");
                let lossy = result["quality"]["loss"].as_f64().expect("a figure");
                assert_eq!(lossy > 0.02, faults.loss > 0.0, "the loss is reported: {result}");
            });
            calls.spawn(move || {
                let result = record(daemon, "1001", impostor, faults);
                assert_eq!(result["status"], "not-authenticated", "{result}");
            });
        }
    });
}
