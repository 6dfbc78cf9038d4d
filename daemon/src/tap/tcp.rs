//! SIP over TCP, put in order.
//!
//! A stream is looked after from the first segment that begins like a SIP message, so one whose start was not seen is
//! joined at the next message, and other traffic costs nothing. What never comes although the other side has it, or too
//! much waits behind it, is a hole in the capture: it is counted, and the stream joined again behind it.

use super::is_sip;
use super::packet::Packet;
use crate::sip::stream::{Framer, Piece};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Streams looked after; the one that was silent for longest makes room.
pub(super) const MAX_STREAMS: usize = 4096;
/// Segments of a stream that may wait for an earlier one.
pub(super) const MAX_WAITING: usize = 64;
/// Bytes held of all streams: segments that wait, and messages of which the end is missing.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// Bytes of a segment that waits: what offloading network cards make of several.
const MAX_SEGMENT: usize = 65_535;
/// How far ahead a segment may be; beyond it the stream is another one.
const WINDOW: i32 = 1 << 20;
/// How long a hole may stay before it is one.
const PATIENCE: Duration = Duration::from_secs(3);
/// A stream without traffic is forgotten after this.
const IDLE: Duration = Duration::from_secs(7200);

/// A segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) source: SocketAddr,
    pub(super) target: SocketAddr,
    pub(super) sequence: u32,
    /// What the sender has received of the other direction.
    pub(super) acknowledged: Option<u32>,
    pub(super) begins: bool,
    pub(super) ends: bool,
    pub(super) payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The segment in a packet, if there is one. Of a segment that was cut the rest is missing, as if lost.
    pub(super) fn of(packet: &Packet<'a>) -> Option<Self> {
        let tcp = packet.tcp()?;
        Some(Self {
            source: SocketAddr::new(packet.source, tcp.source_port()),
            target: SocketAddr::new(packet.target, tcp.destination_port()),
            sequence: tcp.sequence_number(),
            acknowledged: tcp.ack().then(|| tcp.acknowledgment_number()),
            begins: tcp.syn(),
            ends: tcp.rst(),
            payload: packet.payload.get(tcp.header_slice().len()..)?,
        })
    }
}

/// Streams of SIP, one for each direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<(SocketAddr, SocketAddr), Stream>,
    /// Bytes held of them.
    bytes: usize,
    missed_bytes: u64,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Stream {
    framer: Framer,
    /// Sequence number that comes next.
    next: u32,
    /// Later segments, in order.
    waiting: Vec<(u32, Vec<u8>)>,
    last: Duration,
    /// Since when there is a hole.
    hole_since: Option<Duration>,
    /// A hole was given up, and no message has begun behind it yet.
    lost: bool,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Bytes that the capture missed.
    pub(super) fn missed_bytes(&self) -> u64 {
        self.missed_bytes
    }

    /// Streams looked after, and the bytes held of them.
    pub(super) fn held(&mut self) -> (usize, usize) {
        (self.streams.len(), self.streams.values_mut().map(Stream::held).sum())
    }

    /// Takes a segment; `out` gets each message that is complete.
    pub(super) fn take(&mut self, segment: &Segment<'_>, at: Duration, out: &mut dyn FnMut(&[u8])) {
        let key = (segment.source, segment.target);
        if segment.begins || segment.ends {
            self.forget(key);
            if segment.ends {
                self.forget((segment.target, segment.source));
            }
            return;
        }
        self.acknowledged(segment);
        if segment.payload.is_empty() {
            return;
        }
        if !self.streams.contains_key(&key) {
            if !is_sip(segment.payload) {
                return;
            }
            self.make_room();
            self.streams.insert(key, Stream { next: segment.sequence, ..Stream::default() });
        }
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let before = stream.held();
        stream.last = at;
        self.missed_bytes += stream.take(segment, at);
        let goes_on = stream.cut(out);
        self.bytes = self.bytes + stream.held() - before;
        if !goes_on || self.bytes > MAX_BYTES {
            self.forget(key);
        }
    }

    /// Forgets streams that are silent.
    pub(super) fn tick(&mut self, at: Duration) {
        let Self { streams, bytes, .. } = self;
        streams.retain(|_, stream| {
            let stays = at.saturating_sub(stream.last) <= IDLE;
            *bytes -= if stays { 0 } else { stream.held() };
            stays
        });
    }

    fn forget(&mut self, key: (SocketAddr, SocketAddr)) {
        if let Some(mut stream) = self.streams.remove(&key) {
            self.bytes -= stream.held();
        }
    }

    /// Where the other side has what was never seen here, waiting for it is vain.
    fn acknowledged(&mut self, segment: &Segment<'_>) {
        if let Some(acknowledged) = segment.acknowledged
            && let Some(stream) = self.streams.get_mut(&(segment.target, segment.source))
            && let Some(&(first, _)) = stream.waiting.first()
            && distance(acknowledged, first) >= 0
        {
            let before = stream.held();
            self.missed_bytes += stream.skip_hole();
            self.bytes = self.bytes + stream.held() - before;
        }
    }

    fn make_room(&mut self) {
        if self.streams.len() >= MAX_STREAMS
            && let Some(oldest) =
                self.streams.iter().min_by_key(|(_, stream)| stream.last).map(|(key, _)| *key)
        {
            self.forget(oldest);
        }
    }
}

impl Stream {
    /// Takes a segment; gives the number of bytes that must be counted as missed.
    fn take(&mut self, segment: &Segment<'_>, at: Duration) -> u64 {
        let ahead = distance(segment.sequence, self.next);
        if !(-WINDOW..=WINDOW).contains(&ahead) {
            if is_sip(segment.payload) {
                *self = Self { next: segment.sequence, last: at, ..Self::default() };
                self.append(segment.sequence, segment.payload);
            }
            return 0;
        }
        if self.lost {
            return self.join(segment, ahead);
        }
        if ahead <= 0 {
            self.append(segment.sequence, segment.payload);
            self.drain();
            return 0;
        }
        let place = self.waiting.partition_point(|&(sequence, _)| distance(sequence, segment.sequence) < 0);
        let known = self.waiting.get(place).is_some_and(|(sequence, bytes)| {
            *sequence == segment.sequence && bytes.len() >= segment.payload.len()
        });
        if !known && segment.payload.len() <= MAX_SEGMENT {
            self.waiting.insert(place, (segment.sequence, segment.payload.to_vec()));
        }
        let since = *self.hole_since.get_or_insert(at);
        if self.waiting.len() > MAX_WAITING || at.saturating_sub(since) > PATIENCE {
            return self.skip_hole();
        }
        0
    }

    /// Behind a hole: goes on with the first segment that begins a message, but none that came before; how many bytes that
    /// skips.
    fn join(&mut self, segment: &Segment<'_>, ahead: i32) -> u64 {
        let Ok(skipped) = u64::try_from(ahead) else { return 0 };
        if !is_sip(segment.payload) {
            return 0;
        }
        self.lost = false;
        self.next = segment.sequence;
        self.append(segment.sequence, segment.payload);
        skipped
    }

    /// Appends the part of a segment that is new.
    fn append(&mut self, sequence: u32, payload: &[u8]) {
        let known = usize::try_from(distance(self.next, sequence)).unwrap_or(0);
        if let Some(new) = payload.get(known..)
            && !new.is_empty()
        {
            self.framer.buffer().extend_from_slice(new);
            self.next = self.next.wrapping_add(new.len() as u32);
        }
    }

    /// Appends the segments whose turn has come.
    fn drain(&mut self) {
        while self.waiting.first().is_some_and(|&(sequence, _)| distance(sequence, self.next) <= 0) {
            let (sequence, bytes) = self.waiting.remove(0);
            self.append(sequence, &bytes);
        }
        self.hole_since = self.hole_since.filter(|_| !self.waiting.is_empty());
    }

    /// Gives up what is missing and goes on with the next segment that begins a message; how many bytes that skips.
    fn skip_hole(&mut self) -> u64 {
        let start = self.next;
        self.framer = Framer::default();
        self.lost = true;
        while !self.waiting.is_empty() {
            if is_sip(&self.waiting[0].1) {
                self.lost = false;
                self.next = self.waiting[0].0;
                self.drain();
                break;
            }
            let (sequence, bytes) = self.waiting.remove(0);
            self.next = sequence.wrapping_add(bytes.len() as u32);
        }
        self.hole_since = None;
        // What was framed since does not count, but a hole is at least a byte.
        let framed = self.framer.buffer().len() as u64;
        u64::from(self.next.wrapping_sub(start)).saturating_sub(framed).max(1)
    }

    /// Bytes that it holds.
    fn held(&mut self) -> usize {
        self.framer.buffer().len() + self.waiting.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    /// Cuts messages off; false where the stream can be cut no further.
    fn cut(&mut self, out: &mut dyn FnMut(&[u8])) -> bool {
        loop {
            match self.framer.next_piece() {
                Ok(Some(Piece::Message(message))) => out(&message),
                Ok(Some(Piece::Ping)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// How far `sequence` lies behind `from`, in half a circle either way.
fn distance(sequence: u32, from: u32) -> i32 {
    sequence.wrapping_sub(from) as i32
}

#[cfg(test)]
mod tests;
