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
    // Loopback, and a rule that nothing meets: a kernel may be without either.
    let outcome = run("ip", &["link", "set", "lo", "up"]).and_then(|()| drop_at_random(0.5, "9"));
    if let Err(error) = &outcome {
        eprintln!("skipped: the kernel loses no packets here ({error})");
    }
    outcome.is_ok()
}

/// Loses this share of the datagrams to the ports `first..=last`, at random.
///
/// # Panics
/// When the kernel does not take the rule.
pub fn lose(share: f64, (first, last): (u16, u16)) {
    drop_at_random(share, &format!("{first}:{last}")).expect("the kernel took such a rule a moment ago");
}

fn drop_at_random(share: f64, ports: &str) -> Result<(), String> {
    let share = share.to_string();
    let to = ["-A", "INPUT", "-p", "udp", "--dport", ports];
    let at_random = ["-m", "statistic", "--mode", "random", "--probability", &share, "-j", "DROP"];
    run("iptables", &[&to[..], &at_random].concat())
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let said = || format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    output.status.success().then_some(()).ok_or_else(said)
}
