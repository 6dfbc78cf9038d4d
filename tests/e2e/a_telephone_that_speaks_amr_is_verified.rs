//! A real telephone (baresip) whose only codec is AMR, where Vouch was built with it.

use crate::five_callers_over_siprec::enroll_file;
use common::clients::{Phone, baresip_is_there};
use common::daemon::Daemon;
use common::voices::Person;

#[test]
fn a_caller_over_amr_is_verified_against_a_file() {
    let (Some(voice), true) = (Person::Allison.talk(0, 55.0), baresip_is_there()) else { return };
    let daemon = Daemon::start();
    let status = daemon.ask(&["status"]);
    if !status["codecs"].as_array().is_some_and(|codecs| codecs.iter().any(|codec| codec == "AMR")) {
        eprintln!("skipped: vouchd was built without AMR (`make setup` installs opencore-amr)");
        return;
    }
    enroll_file(&daemon, "1001", &voice);
    let talk = Person::Allison.talk(1, 22.0).expect("present above");
    let at = format!("127.0.0.1:{}", daemon.sip_port());
    let target = format!("sip:vouch@{at}");
    let phone =
        Phone { user: "1001", target: &target, proxy: &at, voice: &talk, codec: "AMR/8000/1", secure: false };
    let mut phone = phone.call();
    let calls = daemon.wait_for(&["calls"], |calls| {
        calls[0]["result"]["status"].is_string() && calls[0]["result"]["status"] != "pending"
    });
    assert_eq!(
        (&calls[0]["codec"], &calls[0]["result"]["status"]),
        (&"AMR".into(), &"authenticated".into()),
        "{calls}"
    );
    phone.hang_up();
    daemon.wait_for(&["calls"], |calls| calls[0]["ended"].is_string());
}
