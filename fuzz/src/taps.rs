//! The tap from outside: frames in, events out. Each target has a file of its own; here is what they share.
//!
//! After each frame the bounds of what the tap keeps are looked at, and whether its events tell a story that makes sense.

mod captures;
mod fragments;
mod segments;
mod tapped;
mod wire;

pub use captures::{capture, frames};
pub use fragments::fragments;
pub use segments::segments;
pub use tapped::tapped;

use std::collections::{HashMap, HashSet};
use std::time::Duration;
use vouch::tap::{CallId, Event, Frame, Held, Link, StreamKey, Tap};
use vouch::wire::sdp::MAX_MEDIA;

/// Calls that the taps here follow.
const MAX_CALLS: usize = 3;
/// Most lines of audio of a call.
const MAX_LINES: usize = 4;
/// Most addresses of a call: two for each line of the descriptions of both sides and of eight branches, and sixteen on other
/// hops.
const MAX_ADDRESSES: usize = 10 * MAX_MEDIA * 2 + 16;

/// What the tap said.
enum Heard {
    Began { call: CallId, body: Vec<u8> },
    Media,
    Packet { stream: StreamKey, bytes: Vec<u8> },
    Ended,
}

/// A tap, its clock, and what is known of its calls.
struct Bench {
    tap: Tap,
    now: Duration,
    /// Calls in progress, by their Call-IDs.
    calls: HashMap<CallId, String>,
    gone: HashSet<CallId>,
    frames: u64,
    packets: u64,
    max_calls: usize,
}

impl Bench {
    fn new(max_calls: usize, idle: Duration) -> Self {
        Self {
            tap: Tap::new(max_calls, idle),
            now: Duration::from_secs(1_700_000_000),
            calls: HashMap::new(),
            gone: HashSet::new(),
            frames: 0,
            packets: 0,
            max_calls,
        }
    }

    /// A frame; what the tap says to it.
    fn frame(&mut self, link: Link, bytes: &[u8]) -> Vec<Heard> {
        self.frames += 1;
        let at = self.now;
        self.hear(|tap, out| tap.take(&Frame { at, link, bytes }, out))
    }

    /// Time without frames.
    fn pass(&mut self, duration: Duration) -> Vec<Heard> {
        self.now += duration;
        let now = self.now;
        self.hear(|tap, out| tap.tick(now, out))
    }

    /// The end: nothing of any call is left.
    fn finish(&mut self) {
        self.hear(|tap, out| tap.finish(out));
        assert!(self.calls.is_empty(), "a call that never ends");
        let held = self.tap.held();
        assert_eq!((held.calls, held.addresses), (0, 0), "calls leave something behind");
    }

    fn hear(&mut self, act: impl FnOnce(&mut Tap, &mut dyn FnMut(Event<'_>))) -> Vec<Heard> {
        let Self { tap, calls, gone, packets, .. } = self;
        let mut heard = Vec::new();
        act(tap, &mut |event| {
            heard.push(match event {
                Event::Began { call, invite, .. } => {
                    let new =
                        calls.insert(call, invite.call_id().to_owned()).is_none() && !gone.contains(&call);
                    assert!(new, "a call begins twice");
                    Heard::Began { call, body: invite.body.clone() }
                }
                Event::Media { call, lines, .. } => {
                    assert!(calls.contains_key(&call), "news of a call that is over");
                    assert!(lines.len() <= MAX_LINES, "too many lines");
                    Heard::Media
                }
                Event::Packet { stream, bytes } => {
                    *packets += 1;
                    assert!(calls.contains_key(&stream.call), "a packet for a call that is over");
                    Heard::Packet { stream, bytes: bytes.to_vec() }
                }
                Event::Ended(call) => {
                    assert!(calls.remove(&call).is_some() && gone.insert(call), "a call ends twice");
                    Heard::Ended
                }
            });
        });
        self.check_bounds();
        heard
    }

    /// The bounds that ARCHITECTURE.md names.
    fn check_bounds(&mut self) {
        let held = self.tap.held();
        let Held { datagrams, datagram_bytes, streams, stream_bytes, calls, addresses } = held;
        assert!(datagrams <= 256 && datagram_bytes <= 4 << 20, "{held:?}");
        assert!(streams <= 4096 && stream_bytes <= 16 << 20, "{held:?}");
        assert!(calls <= self.max_calls && calls == self.calls.len(), "{held:?}");
        assert!(addresses <= calls * MAX_ADDRESSES, "{held:?}");
        let counts = self.tap.counts();
        assert_eq!((counts.frames, counts.media), (self.frames, self.packets), "{counts:?}");
        assert!(counts.malformed <= counts.sip, "{counts:?}");
    }
}
