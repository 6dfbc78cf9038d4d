//! At the finest log level, no speaker id, caller number, Call-ID or consent reference appears.

use crate::five_callers_over_siprec::{enroll_file, record};
use common::clients::{Leg, sipp_is_there};
use common::daemon::Daemon;
use common::line::Faults;
use common::voices::{Person, mulaw};

const SPEAKER: &str = "+15557654321";

#[test]
fn no_log_line_identifies_anybody() {
    let Some(allison) = Person::Allison.talk(0, 55.0) else { return };
    let daemon = Daemon::start();
    enroll_file(&daemon, SPEAKER, &allison);
    let short = &allison[..8 * 8000];
    record(&daemon, SPEAKER, short, Faults::default());
    if sipp_is_there() {
        let leg = Leg {
            speaker: SPEAKER,
            mulaw: &mulaw(short),
            extra: "",
            transport: "t1",
            port: daemon.sip_port(),
        };
        assert!(leg.place().finish());
    }
    daemon.ask(&["speaker", "opt-out", SPEAKER]);
    daemon.ask(&["speaker", "delete", SPEAKER]);

    let log = daemon.log();
    assert!(log.lines().count() > 10, "the finest level says something:\n{log}");
    for personal in [SPEAKER, "5557654321", "caller.test", "gateway.test", "recorded"] {
        let line = log.lines().find(|line| line.contains(personal));
        assert_eq!(line, None, "{personal} is in the log");
    }
}
