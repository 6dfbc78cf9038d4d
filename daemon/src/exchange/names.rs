//! What a call is called, and who talks in it.

use super::session::Session;
use crate::call::identity::{CallNames, speaker_of_address};
use crate::config::Peer;
use crate::pii::{Pii, SpeakerId};
use crate::sip::headers::HeaderPrefix;
use crate::sip::message::Request;
use crate::wire::rs_metadata::Recording;

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

/// A name for a call that says nothing and is never used twice.
pub(super) fn new_id() -> String {
    let random: [u8; 6] = ring::rand::generate(&ring::rand::SystemRandom::new())
        .map_or_else(|_| std::array::from_fn(|_| 0), |random: ring::rand::Random<[u8; 6]>| random.expose());
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
