//! How eagerly the system runs a thread.

#![allow(unsafe_code, reason = "setpriority, which nix does not have")]

use nix::libc;
use std::io;

/// Gives the calling thread niceness `nice`, 0 (as it begins) to 19 (whenever nobody else wants the processor).
///
/// # Errors
/// What the system says; a filter of system calls may forbid it.
pub fn be_nice(nice: u8) -> io::Result<()> {
    // On Linux the niceness is that of a thread, and 0 means the calling one.
    // SAFETY: the call takes three numbers and touches no memory.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, libc::c_int::from(nice)) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Niceness of the calling thread.
#[cfg(test)]
fn niceness() -> i64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // Field 19 of proc(5); what follows the name begins with field 3.
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().parse().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_alone_becomes_nice() {
        let before = niceness();
        let inside = std::thread::spawn(|| {
            be_nice(19).unwrap();
            niceness()
        });
        assert_eq!(inside.join().unwrap(), 19);
        assert_eq!(niceness(), before);
    }
}
