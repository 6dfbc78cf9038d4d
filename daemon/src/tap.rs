//! The passive tap: from frames, of a network interface or a capture file, to calls and the packets of their streams.
//!
//! Sans-I/O: frames come in with the time at which they were on the wire, [`Event`]s go out. Read in the order a frame
//! passes: `link` (Ethernet, tags, cooked captures), `packet` (IP and what is carried inside IP), `duplicates`,
//! `fragments`, `tcp` (SIP over TCP), `calls` and `dialog` (who talks to whom), `bindings` (whose packet it is).
//! [`capture`] reads files and [`live`] interfaces; [`crate::exchange::Wiretap`] makes calls of the events, live and in a replay alike.
//! Everything that is kept between frames is bounded, and what a bound made it drop is counted.

mod bindings;
mod calls;
pub mod capture;
mod dialog;
mod duplicates;
mod event;
pub mod filter;
mod fragments;
mod link;
pub mod live;
mod packet;
mod plan;
pub mod replay;
mod tcp;

pub(crate) use calls::replaced;
pub use dialog::Side;
pub use event::{CallId, Event, StreamKey};
pub use link::Link;
pub use plan::TappedLine;

use calls::Calls;
use duplicates::Duplicates;
use fragments::Fragments;
use packet::{Inner, Packet};
use std::net::SocketAddr;
use std::time::Duration;
use tcp::{Segment, Streams};

/// Encapsulations in one another: a mirror of a tunnel of a tunnel, and some more.
const MAX_DEPTH: u8 = 6;

/// A frame as it was on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When, since 1970.
    pub at: Duration,
    /// What it begins with.
    pub link: Link,
    /// Its bytes, as far as they were captured.
    pub bytes: &'a [u8],
}

/// What became of the frames. None of it is a fault of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapCounts {
    /// Frames taken.
    pub frames: u64,
    /// Packets seen before, moments ago: a mirror port shows them twice.
    pub duplicates: u64,
    /// Packets of which the capture kept only the beginning.
    pub cut: u64,
    /// Frames of which nothing could be made: no IP, unknown or broken headers.
    pub other: u64,
    /// Datagrams put together from fragments.
    pub reassembled: u64,
    /// Datagrams given up because fragments were missing, overlapping, or too many.
    pub incomplete: u64,
    /// Bytes of SIP over TCP that the other side had and the tap never saw.
    pub missed_bytes: u64,
    /// SIP messages.
    pub sip: u64,
    /// What looked like SIP and could not be read.
    pub malformed: u64,
    /// Messages of calls that began before the tap did.
    pub unknown_calls: u64,
    /// Calls that were not followed because too many are.
    pub refused: u64,
    /// Packets of the streams of calls.
    pub media: u64,
    /// RTP of calls on hops that are not followed: copies of what is.
    pub other_hops: u64,
    /// RTP of no known call.
    pub unmatched: u64,
}

/// What the tap keeps between frames; each figure is bounded, whatever comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Datagrams that wait for fragments.
    pub datagrams: usize,
    /// Bytes of them that are there.
    pub datagram_bytes: usize,
    /// Directions of TCP connections that are looked after.
    pub streams: usize,
    /// Bytes of them that belong to no whole message yet.
    pub stream_bytes: usize,
    /// Calls that are followed.
    pub calls: usize,
    /// Addresses that belong to them.
    pub addresses: usize,
}

/// The tap.
#[derive(Debug)]
pub struct Tap {
    duplicates: Duplicates,
    fragments: Fragments,
    streams: Streams,
    calls: Calls,
    counts: TapCounts,
    last_tick: Duration,
}

/// Receives what the tap makes of the frames.
pub type Sink<'s> = dyn FnMut(Event<'_>) + 's;

impl Tap {
    /// A tap that follows at most `max_calls` calls. A call that is silent, in signalling and media, for `idle` is over.
    pub fn new(max_calls: usize, idle: Duration) -> Self {
        Self {
            duplicates: Duplicates::new(),
            fragments: Fragments::new(),
            streams: Streams::new(),
            calls: Calls::new(max_calls, idle),
            counts: TapCounts::default(),
            last_tick: Duration::ZERO,
        }
    }

    /// Takes a frame; `out` gets what comes of it, at once.
    pub fn take(&mut self, frame: &Frame<'_>, out: &mut Sink<'_>) {
        self.counts.frames += 1;
        if frame.at.saturating_sub(self.last_tick) >= Duration::from_secs(1) {
            self.tick(frame.at, out);
        }
        self.link(frame, 0, out);
    }

    /// Gives up what has been waited for too long at `at`; to be called now and then when no frames come.
    pub fn tick(&mut self, at: Duration, out: &mut Sink<'_>) {
        self.last_tick = at;
        self.fragments.tick(at);
        self.streams.tick(at);
        self.calls.tick(at, out);
    }

    /// Ends all calls: no more frames will come.
    pub fn finish(&mut self, out: &mut Sink<'_>) {
        self.calls.finish(out);
    }

    /// What became of the frames so far.
    pub fn counts(&self) -> TapCounts {
        let calls = self.calls.counts();
        TapCounts {
            reassembled: self.fragments.reassembled(),
            incomplete: self.fragments.incomplete(),
            missed_bytes: self.streams.missed_bytes(),
            unknown_calls: calls.unknown,
            refused: calls.refused,
            media: calls.media,
            other_hops: calls.other_hops,
            unmatched: calls.unmatched,
            ..self.counts
        }
    }

    /// What is kept, counted anew.
    pub fn held(&mut self) -> Held {
        let (datagrams, datagram_bytes) = self.fragments.held();
        let (streams, stream_bytes) = self.streams.held();
        let (calls, addresses) = self.calls.held();
        Held { datagrams, datagram_bytes, streams, stream_bytes, calls, addresses }
    }

    fn link(&mut self, frame: &Frame<'_>, depth: u8, out: &mut Sink<'_>) {
        match frame.link.network(frame.bytes) {
            Some(packet) => self.network(packet, frame.at, depth, out),
            None => self.counts.other += 1,
        }
    }

    fn network(&mut self, bytes: &[u8], at: Duration, depth: u8, out: &mut Sink<'_>) {
        let Some(packet) = Packet::parse(bytes) else {
            self.counts.other += 1;
            return;
        };
        // The copies of a tunnel's packets differ outside and not inside; so only what carries nothing else is held
        // against what came before.
        let inner = if packet.fragment.is_none() { packet.inner() } else { None };
        if let Some(inner) = inner {
            return self.inner(inner, at, depth, out);
        }
        if self.duplicates.has_seen(&packet, at) {
            self.counts.duplicates += 1;
            return;
        }
        if packet.cut {
            self.counts.cut += 1;
        }
        if packet.fragment.is_none() {
            return self.transport(&packet, at, out);
        }
        if let Some(whole) = self.fragments.take(&packet, at) {
            let packet = Packet { fragment: None, payload: &whole, ..packet };
            match packet.inner() {
                Some(inner) => self.inner(inner, at, depth, out),
                None => self.transport(&packet, at, out),
            }
        }
    }

    fn inner(&mut self, inner: Inner<'_>, at: Duration, depth: u8, out: &mut Sink<'_>) {
        if depth == MAX_DEPTH {
            self.counts.other += 1;
            return;
        }
        match inner {
            Inner::Ip(bytes) => self.network(bytes, at, depth + 1, out),
            Inner::Ethernet(bytes) => self.link(&Frame { at, link: Link::Ethernet, bytes }, depth + 1, out),
        }
    }

    fn transport(&mut self, packet: &Packet<'_>, at: Duration, out: &mut Sink<'_>) {
        if let Some((source, target, payload)) = packet.udp() {
            if is_sip(payload) {
                self.sip(payload, (source, target), at, out);
            } else {
                self.calls.packet(payload, (source, target), at, out);
            }
        } else if let Some(segment) = Segment::of(packet) {
            let Self { streams, calls, counts, .. } = self;
            streams.take(&segment, at, &mut |message| {
                counts.sip += 1;
                let read = calls.message(message, (segment.source, segment.target), at, out);
                counts.malformed += u64::from(!read);
            });
        }
    }

    fn sip(&mut self, bytes: &[u8], way: (SocketAddr, SocketAddr), at: Duration, out: &mut Sink<'_>) {
        self.counts.sip += 1;
        let read = self.calls.message(bytes, way, at, out);
        self.counts.malformed += u64::from(!read);
    }
}

/// Whether bytes begin like a SIP message: RTP, RTCP, STUN and DTLS begin with no letter.
fn is_sip(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    bytes.first().is_some_and(u8::is_ascii_uppercase) && line.trim_ascii_end().ends_with(b" SIP/2.0")
}

#[cfg(test)]
mod tests;
