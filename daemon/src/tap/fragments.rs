//! Fragments of IP datagrams (RFC 791, RFC 8200), put together within bounds.
//!
//! Fragments that overlap are an attack or a fault, and the datagram is given up with all that follows of it (RFC
//! 5722), for IPv4 as well. The same fragment a second time is no overlap: networks repeat packets.

use super::packet::Packet;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Datagrams that wait for fragments; the oldest makes room.
pub(super) const MAX_DATAGRAMS: usize = 256;
/// Bytes of them all; the oldest makes room.
pub(super) const MAX_BYTES: usize = 4 << 20;
/// Fragments of one datagram: 64 KiB in packets of 576 bytes, and some.
const MAX_PIECES: usize = 128;
/// Longest payload of a datagram.
const MAX_PAYLOAD: usize = 65_535;
/// How long a datagram may take (RFC 1122: 60 to 120 s for hosts; a number of 16 bits comes round much sooner).
const PATIENCE: Duration = Duration::from_secs(15);

/// What the fragments of a datagram have in common.
type Key = (IpAddr, IpAddr, u8, u32);

/// Datagrams that wait for fragments.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    waiting: HashMap<Key, Partial>,
    /// Keys in order of their first fragments; one may be gone already, or stand for a later datagram.
    order: VecDeque<(Duration, Key)>,
    bytes: usize,
    reassembled: u64,
    incomplete: u64,
}

/// A datagram of which something is there.
#[derive(Debug, Default)]
struct Partial {
    since: Duration,
    payload: Vec<u8>,
    /// What is there, in order, as first byte and end.
    pieces: Vec<(usize, usize)>,
    length: Option<usize>,
    /// Fragments overlapped: nothing more of it is believed.
    refused: bool,
}

impl Fragments {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Datagrams put together.
    pub(super) fn reassembled(&self) -> u64 {
        self.reassembled
    }

    /// Datagrams given up.
    pub(super) fn incomplete(&self) -> u64 {
        self.incomplete
    }

    /// Datagrams that wait, and the bytes of them that are there.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.waiting.len(), self.waiting.values().map(|partial| partial.payload.len()).sum())
    }

    /// Takes a fragment; gives the whole payload when it was the last one missing.
    pub(super) fn take(&mut self, packet: &Packet<'_>, at: Duration) -> Option<Vec<u8>> {
        let fragment = packet.fragment?;
        if packet.cut || packet.payload.is_empty() {
            return None;
        }
        self.tick(at);
        let key = (packet.source, packet.target, packet.protocol, packet.id);
        let partial = self.waiting.entry(key).or_insert_with(|| {
            self.order.push_back((at, key));
            Partial { since: at, ..Partial::default() }
        });
        let before = partial.payload.len();
        let place = (fragment.offset, fragment.offset + packet.payload.len());
        let good = partial.add(place, fragment.more, packet.payload);
        if !good && !partial.refused {
            partial.refuse();
            self.incomplete += 1;
        }
        self.bytes = self.bytes + partial.payload.len() - before;
        if partial.is_complete() {
            let whole = self.waiting.remove(&key)?;
            self.bytes -= whole.payload.len();
            self.reassembled += 1;
            return Some(whole.payload);
        }
        self.make_room();
        None
    }

    /// Gives up what has waited for too long.
    pub(super) fn tick(&mut self, at: Duration) {
        while self.order.front().is_some_and(|(since, _)| at.saturating_sub(*since) > PATIENCE) {
            self.drop_oldest();
        }
    }

    fn make_room(&mut self) {
        while self.waiting.len() > MAX_DATAGRAMS
            || self.bytes > MAX_BYTES
            || self.order.len() > 4 * MAX_DATAGRAMS
        {
            if self.order.is_empty() {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((since, key)) = self.order.pop_front() else { return };
        if self.waiting.get(&key).is_some_and(|partial| partial.since == since)
            && let Some(partial) = self.waiting.remove(&key)
        {
            self.bytes -= partial.payload.len();
            self.incomplete += u64::from(!partial.refused);
        }
    }
}

impl Partial {
    /// Adds a fragment; false where it cannot belong to a sound datagram.
    fn add(&mut self, (start, end): (usize, usize), more: bool, bytes: &[u8]) -> bool {
        if self.refused || self.pieces.contains(&(start, end)) && self.payload[start..end] == *bytes {
            return true;
        }
        let is_last = !more;
        let fits = end <= MAX_PAYLOAD
            && (is_last || bytes.len().is_multiple_of(8))
            && self.length.is_none_or(|length| end <= length && !is_last)
            && (!is_last || self.pieces.last().is_none_or(|&(_, highest)| highest <= start))
            && self.pieces.len() < MAX_PIECES;
        let at = self.pieces.partition_point(|&(first, _)| first < start);
        let clear = at.checked_sub(1).is_none_or(|before| self.pieces[before].1 <= start)
            && self.pieces.get(at).is_none_or(|&(next, _)| end <= next);
        if !fits || !clear {
            return false;
        }
        if is_last {
            self.length = Some(end);
        }
        if self.payload.len() < end {
            self.payload.resize(end, 0);
        }
        self.payload[start..end].copy_from_slice(bytes);
        self.pieces.insert(at, (start, end));
        true
    }

    fn refuse(&mut self) {
        *self = Self { since: self.since, refused: true, ..Self::default() };
    }

    fn is_complete(&self) -> bool {
        let Some(length) = self.length else { return false };
        let mut end = 0;
        self.pieces.iter().all(|&(start, next)| {
            let follows = start == end;
            end = next;
            follows
        }) && end == length
    }
}

#[cfg(test)]
mod tests;
