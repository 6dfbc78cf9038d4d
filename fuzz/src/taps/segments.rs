//! SIP over TCP, its segments in any order: messages come out as they were sent, in order and once, and all of them where
//! nothing is missing.

use super::wire::{TCP, ip, sip};
use super::{Bench, Heard};
use crate::choices::Choices;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::Duration;
use vouch::tap::Link;

/// How long a hole may stay before it counts as lost, and how many segments may wait behind it.
const PATIENCE: Duration = Duration::from_secs(3);
const MAX_WAITING: usize = 64;
/// Floods of a run: what they leave behind makes each further step slow.
const MAX_FLOODS: u8 = 3;
/// Messages of a stream.
const MESSAGES: usize = 60;

/// The first line of each; what begins with it begins a message.
const START: &str = "INVITE sip:bob@pbx.test SIP/2.0";

/// What is sent: INVITEs of different length, so that each that comes out can be recognised. And where each ends.
static SENT: LazyLock<(Vec<u8>, Vec<usize>)> = LazyLock::new(|| {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for number in 0..MESSAGES {
        let invite = sip(START, (&number.to_string(), "1 INVITE"), ("a", ""), "", &body(number));
        bytes.extend(invite.into_bytes());
        ends.push(bytes.len());
    }
    (bytes, ends)
});

fn body(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    letter.to_string().repeat(number * 37 % 400)
}

/// One direction of a connection, and what the other side acknowledges.
pub fn segments(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut scene = Scene::new(choices.byte());
    while let Some(step) = choices.step() {
        match step {
            b's' => scene.send_next(choices.byte()),
            b'g' => scene.gap(choices.byte()),
            b'r' => scene.again(&mut choices, false),
            b'x' => scene.again(&mut choices, true),
            b'a' => scene.acknowledge(),
            b'w' => scene.wait(Duration::from_millis(20) * choices.byte().into()),
            b'y' => scene.begin_anew(),
            b'f' => scene.flood(choices.byte()),
            _ => {}
        }
    }
    scene.bench.finish();
}

struct Scene {
    bench: Bench,
    /// Sequence number of the first byte.
    first: u32,
    packet: u16,
    /// End of what was sent of the stream so far, gaps included.
    sent: usize,
    /// End of what the tap has seen without a hole.
    seen: usize,
    /// What it has seen behind a hole, and since when there is one.
    behind: BTreeSet<(usize, usize)>,
    hole_since: Duration,
    /// It may have given up a hole.
    gave_up: bool,
    /// A segment began within a first line, and looks like another method.
    misleading: bool,
    floods: u8,
    /// Missed bytes and malformed messages of the connections before.
    earlier: (u64, u64),
    /// The message that came out last.
    last: Option<usize>,
    came: usize,
}

impl Scene {
    fn new(number: u8) -> Self {
        // Some streams pass the highest number.
        let first = 0_u32.wrapping_sub(u32::from(number) * 64);
        Self {
            bench: Bench::new(MESSAGES, Duration::from_secs(86_400)),
            first,
            packet: 0,
            sent: 0,
            seen: 0,
            behind: BTreeSet::new(),
            hole_since: Duration::ZERO,
            gave_up: false,
            misleading: false,
            floods: 0,
            earlier: (0, 0),
            last: None,
            came: 0,
        }
    }

    fn send_next(&mut self, length: u8) {
        let start = self.sent;
        self.sent = (start + usize::from(length) * 8).min(SENT.0.len());
        if start == 0 && self.sent < START.len() {
            // The tap looks after a stream from the first segment that has a first line.
            self.packet(false, (self.first, 1), 0x18, &SENT.0[..self.sent]);
            self.sent = 0;
            return;
        }
        self.segment(start, self.sent, false);
    }

    /// What the capture lost, unless it comes again.
    fn gap(&mut self, length: u8) {
        if self.seen > 0 {
            self.sent = (self.sent + usize::from(length)).min(SENT.0.len());
        }
    }

    /// Something sent before comes again: in the same pieces or in others, and with `lies` only where the receiver has it
    /// already, so that what it says now can make no difference.
    fn again(&mut self, choices: &mut Choices<'_>, lies: bool) {
        let (back, length) = (usize::from(choices.byte()) * 8, usize::from(choices.byte()) * 8);
        let start = self.sent.saturating_sub(back);
        let until = if lies { self.seen } else { self.sent };
        let end = (start + length).min(until);
        // Behind a hole that was given up nobody knows what the receiver has.
        if start < end && !(lies && self.gave_up) {
            self.segment(start, end, lies);
        }
    }

    fn segment(&mut self, start: usize, end: usize, lies: bool) {
        if start == end {
            return;
        }
        let message = SENT.1.iter().rfind(|end| **end <= start).map_or(start, |end| start - end);
        self.misleading |= (1..START.len()).contains(&message);
        let mut payload = SENT.0[start..end].to_vec();
        if lies {
            payload.fill(b'#');
        }
        let sequence = self.first.wrapping_add(start as u32);
        let heard = self.packet(false, (sequence, 1), 0x18, &payload);
        if !lies {
            self.note(start, end);
        }
        for heard in heard {
            self.check(heard);
        }
        self.check_complete();
    }

    fn note(&mut self, start: usize, end: usize) {
        if start > self.seen {
            if self.behind.is_empty() {
                self.hole_since = self.bench.now;
            }
            self.behind.insert((start, end));
            self.gave_up |= self.bench.now - self.hole_since > PATIENCE || self.behind.len() > MAX_WAITING;
            return;
        }
        self.seen = self.seen.max(end);
        while let Some(&(start, end)) = self.behind.first().filter(|(start, _)| *start <= self.seen) {
            self.behind.remove(&(start, end));
            self.seen = self.seen.max(end);
        }
    }

    fn check(&mut self, heard: Heard) {
        let Heard::Began { call, body: said } = heard else { return };
        let Ok(number) = self.bench.calls[&call].parse::<usize>() else {
            panic!("a message that nobody sent")
        };
        assert!(self.last.is_none_or(|last| last < number), "message {number} after {:?}", self.last);
        assert_eq!(said, body(number).into_bytes(), "message {number} changed on its way");
        self.last = Some(number);
        self.came += 1;
    }

    /// Where nothing is missing, everything that is whole has come out.
    fn check_complete(&self) {
        let (missed, malformed) = self.counted();
        let (missed, malformed) = (missed - self.earlier.0, malformed - self.earlier.1);
        assert!(malformed == 0 || self.gave_up && self.misleading, "{malformed} malformed");
        if !self.gave_up {
            let whole = SENT.1.iter().filter(|end| **end <= self.seen).count();
            assert_eq!((self.came, missed), (whole, 0));
        }
    }

    /// Missed bytes and malformed messages of all connections.
    fn counted(&self) -> (u64, u64) {
        let counts = self.bench.tap.counts();
        (counts.missed_bytes, counts.malformed)
    }

    /// The other side has all that was sent, whatever the tap saw.
    fn acknowledge(&mut self) {
        let all = self.first.wrapping_add(self.sent as u32);
        self.gave_up |= !self.behind.is_empty();
        for heard in self.packet(true, (1, all), 0x10, &[]) {
            self.check(heard);
        }
    }

    /// Another connection of the same ends: nothing of the old one counts.
    fn begin_anew(&mut self) {
        self.packet(false, (self.first.wrapping_sub(1), 0), 0x02, &[]);
        self.bench.finish();
        let earlier = self.counted();
        let bench = std::mem::replace(&mut self.bench, Bench::new(0, Duration::ZERO));
        *self = Self {
            bench,
            earlier,
            packet: self.packet,
            floods: self.floods,
            ..Self::new((self.first.wrapping_neg() / 64) as u8)
        };
    }

    /// Connections of others that begin a message and never end it.
    fn flood(&mut self, length: u8) {
        self.floods += 1;
        if self.floods > MAX_FLOODS {
            return;
        }
        let start = format!("INVITE sip:bob@pbx.test SIP/2.0\r\nX: {}", "x".repeat(64 * usize::from(length)));
        for port in 0..200 {
            let head = head((10_000 + port + 200 * u16::from(length % 8), 5060), (1, 1), 0x18);
            let way = (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2)));
            self.bench.frame(Link::Raw, &ip(way, TCP, port, None, &[&head, start.as_bytes()].concat()));
        }
    }

    fn packet(&mut self, back: bool, numbers: (u32, u32), flags: u8, payload: &[u8]) -> Vec<Heard> {
        // The number of the packet tells it from a copy.
        self.packet = self.packet.wrapping_add(1);
        let ends = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), IpAddr::V4(Ipv4Addr::new(198, 51, 100, 5)));
        let (way, ports) = if back { ((ends.1, ends.0), (5060, 40_000)) } else { (ends, (40_000, 5060)) };
        let segment = [&head(ports, numbers, flags), payload].concat();
        self.bench.frame(Link::Raw, &ip(way, TCP, self.packet, None, &segment))
    }

    fn wait(&mut self, duration: Duration) {
        self.bench.pass(duration);
    }
}

/// A TCP header without options (RFC 9293 section 3.1).
fn head((source, target): (u16, u16), (sequence, acknowledged): (u32, u32), flags: u8) -> Vec<u8> {
    let mut bytes = [source.to_be_bytes(), target.to_be_bytes()].concat();
    bytes.extend([sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes
}
