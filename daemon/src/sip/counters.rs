//! What the SIP part counts, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of the SIP agent and its sockets, since start.
#[derive(Debug, Default)]
pub struct SipCounters {
    /// Messages received.
    pub received: Counter,
    /// Messages sent, retransmissions included.
    pub sent: Counter,
    /// Messages that were no SIP.
    pub malformed: Counter,
    /// Messages and connections of peers that are not configured.
    pub refused_peers: Counter,
    /// Requests refused because all transactions or dialogs are in use.
    pub refused_full: Counter,
    /// Requests refused for what they asked: method, extension, content, state.
    pub refused_requests: Counter,
    /// Retransmissions of peers, absorbed.
    pub absorbed: Counter,
    /// Retransmissions of ours.
    pub resent: Counter,
    /// ACKs and responses that belong to nothing here.
    pub stray: Counter,
    /// Transactions that the peer never completed.
    pub timeouts: Counter,
    /// Messages that could not be sent.
    pub send_failures: Counter,
    /// Connections refused because all are in use.
    pub refused_connections: Counter,
    /// Idle connections closed because all are in use and another one came.
    pub closed_for_room: Counter,
    /// Connections closed because a message that began did not end in time.
    pub unfinished: Counter,
    /// TLS handshakes that failed.
    pub failed_handshakes: Counter,
}
