//! `kill -9` right after an acknowledged enrollment: it is there afterwards, every time.

use crate::five_callers_over_siprec::enroll_file;
use common::daemon::Daemon;
use common::voices::Person;

#[test]
fn every_acknowledged_enrollment_survives_a_kill() {
    let Some(talk) = Person::Allison.talk(0, 55.0) else { return };
    let mut daemon = Daemon::start();
    for round in 0..25 {
        let speaker = format!("speaker-{round}");
        let acknowledged = enroll_file(&daemon, &speaker, &talk);
        daemon.kill();
        daemon.restart();
        for earlier in 0..=round {
            let view = daemon.ask(&["speaker", "show", &format!("speaker-{earlier}")]);
            assert_eq!(view["status"], "enrolled", "speaker {earlier} after kill {round}");
        }
        assert_eq!(daemon.ask(&["speaker", "show", &speaker]), acknowledged);
    }
}

#[test]
fn an_acknowledged_opt_out_survives_a_kill() {
    let mut daemon = Daemon::start();
    daemon.ask(&["speaker", "opt-out", "1003"]);
    daemon.kill();
    daemon.restart();
    assert_eq!(daemon.ask(&["speaker", "show", "1003"])["status"], "opted-out");
}
