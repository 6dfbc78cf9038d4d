//! The final answers of server transactions, as the peer sees them: one to each request, for as long as the transaction
//! lives (RFC 3261 section 17.2, RFC 6026 section 7.1).

use std::collections::HashMap;
use std::time::{Duration, Instant};
use vouch::sip::flow::Transport;
use vouch::sip::message::{Method, Request, Response, Via};

/// Timers H, J and L: 64 T1.
const UNACKNOWLEDGED: Duration = Duration::from_secs(32);
/// Timer I: T4, the longest life of a packet.
const ACKNOWLEDGED: Duration = Duration::from_secs(5);

/// Final answers by the transaction that gave them.
#[derive(Default)]
pub(super) struct Finals(HashMap<String, Final>);

struct Final {
    status: u16,
    transport: Transport,
    is_invite: bool,
    acknowledged: bool,
    /// When the transaction ends; the same request is then a new one.
    until: Instant,
}

impl Finals {
    /// A final answer goes out.
    ///
    /// # Panics
    /// When its transaction gave another one.
    pub(super) fn answered(&mut self, response: &Response, transport: Transport, now: Instant) {
        // Other refusals keep no state, and neither does the answer to a CANCEL: another answer may follow.
        let method = &response.essentials.cseq.method;
        if !matches!(response.status, 200 | 302 | 480 | 486 | 487) || *method == Method::Cancel {
            return;
        }
        let Some(key) = key(&response.essentials.via, method) else { return };
        if let Some(known) = self.0.get(&key).filter(|known| now < known.until) {
            return assert_eq!(known.status, response.status, "two final answers to one request");
        }
        let is_invite = *method == Method::Invite;
        let lives = if is_invite || transport == Transport::Udp { UNACKNOWLEDGED } else { Duration::ZERO };
        let until = now + lives;
        let status = response.status;
        self.0.insert(key, Final { status, transport, is_invite, acknowledged: false, until });
    }

    /// An ACK arrives. That of a refusal ends its INVITE transaction soon; that of a 2xx is none of the transaction's.
    pub(super) fn acknowledged(&mut self, ack: &Request, now: Instant) {
        let Some(key) = key(&ack.essentials.via, &Method::Invite) else { return };
        let Some(known) = self.0.get_mut(&key) else { return };
        if known.is_invite && known.status >= 300 && !known.acknowledged && now < known.until {
            known.acknowledged = true;
            known.until = if known.transport == Transport::Udp { now + ACKNOWLEDGED } else { now };
        }
    }
}

/// What names a transaction (RFC 3261 section 17.2.3). Requests from before that RFC are named by more than an answer
/// repeats, and are left out.
fn key(via: &Via, method: &Method) -> Option<String> {
    let branch = via.branch()?;
    branch.strip_prefix("z9hG4bK").filter(|rest| !rest.is_empty())?;
    Some(format!("{branch} {} {:?} {}", via.host, via.port, method.as_str()).to_ascii_lowercase())
}
