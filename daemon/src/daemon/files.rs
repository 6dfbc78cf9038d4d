//! Open files: as many as the calls will need, or a clear word before the first of them fails.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Two streams of two sockets each.
pub const PER_CALL: u64 = 4;
/// SIP connections, the store, the log, the runtime.
const OTHERS: u64 = 400;

/// The system allows too few open files for the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "limits.max-calls = {calls} needs {needed} open files, but the system allows this process {allowed}: raise \
     LimitNOFILE= of vouchd.service (or the hard limit, `ulimit -Hn`), or lower limits.max-calls to {possible}"
)]
pub struct TooFewFiles {
    calls: u32,
    needed: u64,
    allowed: u64,
    possible: u64,
}

/// Sees to it that so many calls and connections of the API can be had, by raising the soft limit where it is lower.
///
/// # Errors
/// [`TooFewFiles`] when the hard limit does not allow it.
pub fn make_room_for(calls: u32, connections: u32) -> Result<(), TooFewFiles> {
    let needed = needed(calls, connections);
    // The call fails only for a resource that does not exist.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((u64::MAX, u64::MAX));
    if soft >= needed {
        return Ok(());
    }
    let raised = hard >= needed && setrlimit(Resource::RLIMIT_NOFILE, needed, hard).is_ok();
    if raised { Ok(()) } else { Err(too_few(calls, connections, hard.min(needed - 1).max(soft))) }
}

/// Calls that fit into the hard limit of this process, beside everything else that `vouchd` opens.
pub fn calls_within_limit() -> u64 {
    let hard = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard);
    hard.saturating_sub(OTHERS) / PER_CALL
}

fn needed(calls: u32, connections: u32) -> u64 {
    u64::from(calls) * PER_CALL + u64::from(connections) + OTHERS
}

fn too_few(calls: u32, connections: u32, allowed: u64) -> TooFewFiles {
    let possible = allowed.saturating_sub(needed(0, connections)) / PER_CALL;
    TooFewFiles { calls, needed: needed(calls, connections), allowed, possible }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_may_have_is_no_fault() {
        assert_eq!(make_room_for(1, 1), Ok(()));
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(soft >= needed(1, 1) && calls_within_limit() <= hard / PER_CALL);
    }

    #[test]
    fn the_fault_says_what_is_needed_and_what_is_possible() {
        let text = too_few(2000, 64, 4096).to_string();
        assert!(text.starts_with("limits.max-calls = 2000 needs 8464 open files, but"), "{text}");
        assert!(
            text.ends_with(
                "allows this process 4096: raise LimitNOFILE= of vouchd.service (or the hard \
             limit, `ulimit -Hn`), or lower limits.max-calls to 908"
            ),
            "{text}"
        );
    }
}
