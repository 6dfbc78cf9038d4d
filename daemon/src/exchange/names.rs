//! What a call is called, and who talks in it.

use super::session::Session;
use crate::call::identity::{CallNames, speaker_of_address};
use crate::config::Peer;
use crate::pii::{Pii, SpeakerId};
use crate::sip::headers::HeaderPrefix;
use crate::sip::message::Request;
use crate::wire::rs_metadata::Recording;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Who talks to whom, by the user parts of their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parties {
    pub(super) caller: Option<SpeakerId>,
    pub(super) others: Vec<SpeakerId>,
}

impl Parties {
    /// Those that the metadata of a recording session names.
    pub(super) fn of(session: &Session) -> Self {
        let user = |aor: &Pii<String>| speaker_of_address(aor.reveal(), false);
        let caller = session.caller_aor().and_then(user);
        let all = session.recording().map(|recording| recording.participants.as_slice()).unwrap_or_default();
        let others = all.iter().filter_map(|participant| participant.aor.as_ref().and_then(user));
        Self { others: others.filter(|other| Some(other) != caller.as_ref()).collect(), caller }
    }

    /// Whether these two talk, the first of them as the caller.
    pub(super) fn are(&self, caller: &SpeakerId, callee: &SpeakerId) -> bool {
        self.caller.as_ref() == Some(caller) && self.others.contains(callee)
    }

    /// Those that an INVITE between others names.
    pub(super) fn of_invite(invite: &Request) -> Self {
        let user = |header: &str| speaker_of_address(invite.headers.get(header)?, false);
        Self { caller: user("From"), others: user("To").into_iter().collect() }
    }
}

/// All names that the call may be asked for by. What a gateway passes on from outside names nothing: a caller
/// could take another's name.
pub(super) fn call_names(
    prefix: &HeaderPrefix,
    peer: &Peer,
    request: &Request,
    recording: Option<&Recording>,
) -> CallNames {
    let named = [prefix.call(), "X-Orig-Call-ID".to_owned()];
    let given = named.iter().filter(|_| peer.may_claim);
    let given = given.filter_map(|name| request.headers.get(name));
    let session_id = request.headers.get("Session-ID");
    CallNames::collect(std::iter::once(request.call_id()).chain(given), recording, session_id)
}

/// A name for a call that says nothing of it and is never used twice.
pub(super) fn new_id() -> String {
    static RUN: LazyLock<Run> = LazyLock::new(Run::begin);
    static CALLS: AtomicU64 = AtomicU64::new(0);
    RUN.name(CALLS.fetch_add(1, Ordering::Relaxed))
}

/// The names of one run of the program: all numbers of 64 bits, each once, in an order that other runs do not have.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    /// From one to the next; odd, so that none comes twice.
    step: u64,
}

impl Run {
    fn begin() -> Self {
        match ring::rand::generate::<[u8; 16]>(&ring::rand::SystemRandom::new()) {
            Ok(random) => Self::of(u128::from_ne_bytes(random.expose())),
            // Where the system gives no random numbers: no two runs begin at the same time.
            Err(_) => Self::of(begun_at(SystemTime::now())),
        }
    }

    const fn of(number: u128) -> Self {
        Self { first: number as u64, step: (number >> 64) as u64 | 1 }
    }

    fn name(self, call: u64) -> String {
        format!("{:016x}", self.first.wrapping_add(call.wrapping_mul(self.step)))
    }
}

/// A number that tells this moment from others.
fn begun_at(now: SystemTime) -> u128 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn runs_have_names_of_their_own_also_where_there_are_no_random_numbers() {
        assert_ne!(Run::begin().name(0), Run::begin().name(0));
        let now = SystemTime::now();
        let [run, next] = [now, now + Duration::from_nanos(100)].map(|time| Run::of(begun_at(time)));
        assert_ne!(run.name(0), next.name(0));
        assert_ne!(new_id(), new_id());
    }

    proptest! {
        #[test]
        fn no_name_comes_twice_in_a_run(number: u128, call: u64, other: u64) {
            let run = Run::of(number);
            prop_assert_eq!(run.name(call) == run.name(other), call == other);
        }
    }
}
