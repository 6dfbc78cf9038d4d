//! Packets that a mirror port shows twice, on their way in and on their way out.

use super::packet::Packet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::time::Duration;

/// Time within which the same packet is a copy: many times what a switch or router takes, and a fifth of the time after
/// which SIP sends a message again.
const WINDOW: Duration = Duration::from_millis(100);
/// Packets remembered. A full gigabit of telephone packets fills it in 20 ms, and copies follow within microseconds.
const REMEMBERED: usize = 1 << 13;

/// Remembers packets of the last moments by their hash.
#[derive(Debug)]
pub(super) struct Duplicates {
    seen: Box<[(u64, Duration)]>,
    hash: RandomState,
}

impl Duplicates {
    pub(super) fn new() -> Self {
        Self { seen: vec![(0, Duration::ZERO); REMEMBERED].into_boxed_slice(), hash: RandomState::new() }
    }

    /// Whether the same packet came moments ago. What routers change (time to live, link, checksum) does not count.
    pub(super) fn has_seen(&mut self, packet: &Packet<'_>, at: Duration) -> bool {
        let mut hasher = self.hash.build_hasher();
        let part = packet.fragment.map(|fragment| (fragment.offset, fragment.more));
        (packet.source, packet.target, packet.protocol, packet.id, part).hash(&mut hasher);
        hasher.write(packet.payload);
        let hash = hasher.finish();
        let place = &mut self.seen[hash as usize % REMEMBERED];
        let seen = place.0 == hash && at.abs_diff(place.1) <= WINDOW;
        if !seen {
            *place = (hash, at);
        }
        seen
    }
}
