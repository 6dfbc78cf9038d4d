//! Sockets that systemd opened for us (`sd_listen_fds(3)`).

#![allow(unsafe_code, reason = "taking over a descriptor by its number")]

use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the descriptors have an owner already.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The listening Unix stream socket that systemd handed over, if it handed over anything.
///
/// A second call finds nothing: the socket has an owner then.
///
/// # Errors
/// The number of descriptors, and why none of them can be used.
pub fn unix_listener() -> Result<Option<UnixListener>, (usize, String)> {
    let descriptors = systemd::daemon::listen_fds().map_err(|error| (0, error.to_string()))?;
    if descriptors.is_empty() || TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(None);
    }
    let found = usize::try_from(descriptors.len()).unwrap_or(0);
    for descriptor in descriptors.iter() {
        let stream = systemd::daemon::SocketType::Stream;
        let listening = systemd::daemon::Listening::IsListening;
        match systemd::daemon::is_socket_unix(descriptor, Some(stream), listening, None::<&str>) {
            Ok(true) => {
                // SAFETY: sd_listen_fds says that this descriptor is open and ours (LISTEN_PID is this process), and
                // TAKEN sees to it that it is wrapped once in the life of the process.
                let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
                return Ok(Some(UnixListener::from(owned)));
            }
            Ok(false) => {}
            Err(error) => return Err((found, error.to_string())),
        }
    }
    Err((found, "none is a listening Unix stream socket".to_owned()))
}
