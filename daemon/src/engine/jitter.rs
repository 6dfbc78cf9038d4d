//! Jitter buffer: RTP packets of one stream in, the same packets in order out.
//!
//! Nobody listens, so nothing is paced: a packet in sequence leaves at once, and only a missing one makes the
//! others wait, until [`REORDER_PACKETS`] later ones are there or [`PATIENCE`] has passed. Order is by extended sequence
//! number; a new source (SSRC) or a jump of the sequence is believed after two packets in a row (RFC 3550
//! appendix A.1), and the timelines of two sources never mix.

use crate::wire::rtp::RtpPacket;
use std::time::{Duration, Instant};

/// Packets that may wait for a missing one.
pub(super) const CAPACITY: usize = 32;
/// Waiting packets after which a missing one is given up: 320 ms of the usual 20 ms packets, 160 ms of the shortest
/// common ones.
pub(super) const REORDER_PACKETS: usize = 16;
/// Longest wait for a missing packet, several times the 60 ms of jitter that a bad line shows.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);
/// Longest payload kept: 60 ms of L16 at 16 kHz, 240 ms of G.711 or G.722.
pub(super) const MAX_PAYLOAD: usize = 1920;
/// Bytes of payload memory that a buffer needs: the waiting packets and one of a source not yet believed.
pub(super) const PAYLOAD_BYTES: usize = (CAPACITY + 1) * MAX_PAYLOAD;

/// Sequence numbers ahead that are a loss and no restart (RFC 3550 A.1, `MAX_DROPOUT`).
const MAX_DROPOUT: i64 = 3000;
/// Sequence numbers behind that are a late packet and no restart (RFC 3550 A.1, `MAX_MISORDER`).
const MAX_MISORDER: i64 = 100;
/// Place of the packet of a source not yet believed.
const STRANGER: usize = CAPACITY;

/// A packet in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ordered<'a> {
    /// Packets missing between the last one and this.
    pub(super) lost_before: u32,
    /// Whether a source begins here: its timestamps say nothing about those before.
    pub(super) new_source: bool,
    /// Payload type.
    pub(super) payload_type: u8,
    /// Timestamp of its first sample.
    pub(super) timestamp: u32,
    /// Payload.
    pub(super) payload: &'a [u8],
}

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounts {
    /// Given up as lost.
    pub lost: u64,
    /// Arrived after they were given up.
    pub late: u64,
    /// Arrived again.
    pub duplicates: u64,
    /// Of a source that was not believed.
    pub strangers: u64,
    /// Changes of source, and restarts of a sequence.
    pub restarts: u64,
    /// Payload longer than [`MAX_PAYLOAD`], dropped.
    pub oversized: u64,
}

impl JitterCounts {
    /// Adds the figures of `other`.
    pub fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.late += other.late;
        self.duplicates += other.duplicates;
        self.strangers += other.strangers;
        self.restarts += other.restarts;
        self.oversized += other.oversized;
    }
}

/// Jitter buffer over payload memory of [`PAYLOAD_BYTES`].
#[derive(Debug)]
pub(super) struct JitterBuffer {
    waiting: [Option<Waiting>; CAPACITY],
    /// How many packets wait.
    count: usize,
    payloads: Box<[u8]>,
    timeline: Option<Timeline>,
    stranger: Option<Waiting>,
    counts: JitterCounts,
}

/// A packet whose turn has not come; its payload lies in the buffer's payload memory.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    payload_type: u8,
    length: usize,
    arrived: Instant,
}

/// The source that is believed.
#[derive(Clone, Copy, Debug)]
struct Timeline {
    ssrc: u32,
    /// Extended sequence number that leaves next; every waiting packet lies in `next..next + CAPACITY`.
    next: i64,
    /// Highest extended sequence number that arrived.
    newest: i64,
    /// Nothing left yet: an earlier packet may still come first.
    settling: bool,
    /// Packets given up since the last one left.
    skipped: u32,
    /// Which of the 64 numbers before `next` arrived; bit 0 is `next - 1`.
    seen: u64,
}

impl JitterBuffer {
    /// An empty buffer; the only allocation of its life.
    pub(super) fn new() -> Self {
        Self {
            waiting: [None; CAPACITY],
            count: 0,
            payloads: vec![0; PAYLOAD_BYTES].into_boxed_slice(),
            timeline: None,
            stranger: None,
            counts: JitterCounts::default(),
        }
    }

    /// Takes a packet that arrived at `now`; `out` gets each packet whose turn has come.
    pub(super) fn push(&mut self, packet: &RtpPacket<'_>, now: Instant, out: &mut impl FnMut(Ordered<'_>)) {
        if packet.payload.len() > MAX_PAYLOAD {
            self.counts.oversized += 1;
            return;
        }
        let mut timeline = self.timeline.unwrap_or_else(|| Timeline::begin(packet.ssrc, packet.sequence));
        let ahead = timeline.ahead(packet.sequence);
        if packet.ssrc != timeline.ssrc || !(-MAX_MISORDER..=MAX_DROPOUT).contains(&ahead) {
            return self.take_stranger(packet, now, out);
        }
        self.counts.strangers += u64::from(self.stranger.take().is_some());
        let number = timeline.newest + ahead;
        if self.make_room(&mut timeline, number, out) {
            let place = place_of(number);
            if self.waiting[place].is_some() {
                self.counts.duplicates += 1;
            } else {
                self.waiting[place] = Some(self.keep(place, packet, now));
                self.count += 1;
                timeline.newest = timeline.newest.max(number);
            }
        }
        self.release_due(&mut timeline, out);
        self.timeline = Some(timeline);
    }

    /// Gives up what has been missing for [`PATIENCE`]; `out` gets what waited for it.
    pub(super) fn tick(&mut self, now: Instant, out: &mut impl FnMut(Ordered<'_>)) {
        let Some(mut timeline) = self.timeline else { return };
        while self.count > 0
            && self.oldest_arrival().is_some_and(|oldest| now.saturating_duration_since(oldest) >= PATIENCE)
        {
            self.release_first(&mut timeline, out);
            self.release_due(&mut timeline, out);
        }
        self.timeline = Some(timeline);
    }

    /// Ends the timeline: `out` gets all that waits, and the next packet begins anew, wherever its numbers stand.
    pub(super) fn interrupt(&mut self, out: &mut impl FnMut(Ordered<'_>)) {
        let Some(mut timeline) = self.timeline.take() else { return };
        while self.is_waiting() {
            self.release_first(&mut timeline, out);
        }
        self.counts.strangers += u64::from(self.stranger.take().is_some());
    }

    /// Whether packets wait, so that [`Self::tick`] will have work.
    pub(super) fn is_waiting(&self) -> bool {
        self.count > 0
    }

    /// What became of the packets so far.
    pub(super) const fn counts(&self) -> JitterCounts {
        self.counts
    }

    /// Forgets everything, the counts too, and wipes the payloads.
    pub(super) fn clear(&mut self) {
        if self.timeline.is_some() {
            self.payloads.fill(0);
        }
        self.waiting = [None; CAPACITY];
        self.count = 0;
        self.timeline = None;
        self.stranger = None;
        self.counts = JitterCounts::default();
    }

    /// Moves the window so that `number` fits; false when its turn is over.
    fn make_room(&mut self, timeline: &mut Timeline, number: i64, out: &mut impl FnMut(Ordered<'_>)) -> bool {
        if number < timeline.next {
            if timeline.settling && timeline.newest - number < CAPACITY as i64 {
                timeline.next = number;
                return true;
            }
            match timeline.has_seen(number) {
                true => self.counts.duplicates += 1,
                false => self.counts.late += 1,
            }
            return false;
        }
        while number >= timeline.next + CAPACITY as i64 && self.is_waiting() {
            self.release_first(timeline, out);
        }
        let oldest_kept = number - (CAPACITY as i64 - 1);
        if oldest_kept > timeline.next {
            self.counts.lost += timeline.skip_to(oldest_kept);
        }
        true
    }

    /// Lets go of every packet whose turn has come.
    fn release_due(&mut self, timeline: &mut Timeline, out: &mut impl FnMut(Ordered<'_>)) {
        loop {
            let in_sequence = !timeline.settling && self.waiting[place_of(timeline.next)].is_some();
            if !in_sequence && self.count < REORDER_PACKETS {
                return;
            }
            self.release_first(timeline, out);
        }
    }

    /// Lets go of the first waiting packet, and gives up those before it.
    fn release_first(&mut self, timeline: &mut Timeline, out: &mut impl FnMut(Ordered<'_>)) {
        let window = timeline.next..timeline.next + CAPACITY as i64;
        let Some((number, packet)) =
            window.into_iter().find_map(|number| Some((number, self.waiting[place_of(number)].take()?)))
        else {
            return;
        };
        self.count -= 1;
        self.counts.lost += timeline.skip_to(number);
        out(Ordered {
            lost_before: timeline.skipped,
            new_source: timeline.settling,
            payload_type: packet.payload_type,
            timestamp: packet.timestamp,
            payload: &self.payloads[place_of(number) * MAX_PAYLOAD..][..packet.length],
        });
        timeline.leave();
    }

    /// Takes a packet of another source or far off the sequence: believed if its predecessor is waiting here.
    fn take_stranger(&mut self, packet: &RtpPacket<'_>, now: Instant, out: &mut impl FnMut(Ordered<'_>)) {
        if let Some(first) = self.stranger.take() {
            let apart = packet.sequence.wrapping_sub(first.sequence) as i16;
            if first.ssrc == packet.ssrc && (1..=REORDER_PACKETS).contains(&usize::from(apart.unsigned_abs()))
            {
                self.change_source(first, out);
                return self.push(packet, now, out);
            }
            self.counts.strangers += 1;
        }
        self.stranger = Some(self.keep(STRANGER, packet, now));
    }

    /// Ends the timeline of the old source and begins that of the stranger `first`.
    fn change_source(&mut self, first: Waiting, out: &mut impl FnMut(Ordered<'_>)) {
        self.interrupt(out);
        let timeline = Timeline::begin(first.ssrc, first.sequence);
        let place = place_of(timeline.next);
        self.payloads
            .copy_within(STRANGER * MAX_PAYLOAD..STRANGER * MAX_PAYLOAD + first.length, place * MAX_PAYLOAD);
        self.waiting[place] = Some(first);
        self.count = 1;
        self.timeline = Some(timeline);
        self.counts.restarts += 1;
    }

    fn keep(&mut self, place: usize, packet: &RtpPacket<'_>, arrived: Instant) -> Waiting {
        self.payloads[place * MAX_PAYLOAD..][..packet.payload.len()].copy_from_slice(packet.payload);
        Waiting {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            payload_type: packet.payload_type,
            length: packet.payload.len(),
            arrived,
        }
    }

    fn oldest_arrival(&self) -> Option<Instant> {
        self.waiting.iter().flatten().map(|packet| packet.arrived).min()
    }
}

impl Timeline {
    /// A source whose first packet has this number on the wire.
    fn begin(ssrc: u32, sequence: u16) -> Self {
        // One cycle up, so that the numbers before the first one stay positive.
        let first = (1 << 16) + i64::from(sequence);
        Self { ssrc, next: first, newest: first, settling: true, skipped: 0, seen: 0 }
    }

    /// How far `sequence` lies ahead of the newest packet, wrapped into half a cycle either way.
    fn ahead(&self, sequence: u16) -> i64 {
        i64::from(sequence.wrapping_sub(self.newest as u16) as i16)
    }

    fn has_seen(&self, number: i64) -> bool {
        let back = self.next - 1 - number;
        (0..64).contains(&back) && self.seen >> back & 1 == 1
    }

    /// Gives up everything before `number`; how many that are.
    fn skip_to(&mut self, number: i64) -> u64 {
        let skipped = number - self.next;
        self.seen = u32::try_from(skipped).ok().and_then(|by| self.seen.checked_shl(by)).unwrap_or(0);
        self.skipped = self.skipped.saturating_add(u32::try_from(skipped).unwrap_or(u32::MAX));
        self.next = number;
        u64::try_from(skipped).unwrap_or(0)
    }

    /// Steps over a packet that left.
    fn leave(&mut self) {
        self.next += 1;
        self.seen = self.seen << 1 | 1;
        self.skipped = 0;
        self.settling = false;
    }
}

/// Place of an extended sequence number among the waiting packets.
fn place_of(number: i64) -> usize {
    number.rem_euclid(CAPACITY as i64) as usize
}

#[cfg(test)]
mod tests;
