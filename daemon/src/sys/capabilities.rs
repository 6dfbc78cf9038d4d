//! Rights of root that a process may hold one by one.

#![allow(unsafe_code, reason = "capget and capset, which nix does not have")]

use nix::libc;
use std::io;

/// Number of CAP_NET_RAW.
const NET_RAW: u32 = 13;
/// `_LINUX_CAPABILITY_VERSION_3`: 64 rights in two halves.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// Half of the rights: effective, permitted, inheritable.
type Half = [u32; 3];

/// Gives the right to capture packets away, for the calling thread and those that it will start; what it has opened stays
/// open.
///
/// # Errors
/// What the system says; a filter of system calls may forbid it.
pub fn give_up_net_raw() -> io::Result<()> {
    let mut rights: [Half; 2] = [[0; 3]; 2];
    let header = Header { version: VERSION, pid: 0 };
    // SAFETY: the header names this version, for which the kernel writes two halves of three words.
    if unsafe { libc::syscall(libc::SYS_capget, &raw const header, rights.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for right in &mut rights[0] {
        *right &= !(1 << NET_RAW);
    }
    // SAFETY: as above; the kernel reads them.
    if unsafe { libc::syscall(libc::SYS_capset, &raw const header, rights.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_right_nothing_can_be_captured() {
        let outcome = std::thread::spawn(|| {
            give_up_net_raw().unwrap();
            // SAFETY: the call takes numbers.
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) }
        });
        assert_eq!(outcome.join().unwrap(), -1);
    }
}
