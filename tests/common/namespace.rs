//! A network of a test's own, on whose loopback the kernel loses packets.

use nix::sched::{CloneFlags, unshare};
use std::process::Command;

/// Moves this thread, and what it starts from now on, into a network of its own with nothing but loopback.
///
/// False, with a line that says so, where this user may not, or the programs for it are missing.
pub fn enter() -> bool {
    for (program, option) in [("ip", "-V"), ("iptables", "--version")] {
        if Command::new(program).arg(option).output().is_err() {
            eprintln!("skipped: losing packets needs the program {program} (make setup)");
            return false;
        }
    }
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        eprintln!("skipped: a network of a test's own needs root ({error})");
        return false;
    }
    run("ip", &["link", "set", "lo", "up"]);
    true
}

/// Loses this share of the datagrams to the ports `first..=last`, at random.
///
/// # Panics
/// When the kernel does not take the rule.
pub fn lose(share: f64, (first, last): (u16, u16)) {
    let (ports, share) = (format!("{first}:{last}"), share.to_string());
    let to = ["-A", "INPUT", "-p", "udp", "--dport", &ports];
    let at_random = ["-m", "statistic", "--mode", "random", "--probability", &share, "-j", "DROP"];
    run("iptables", &[&to[..], &at_random].concat());
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("it was there a moment ago");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
