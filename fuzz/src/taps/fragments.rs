//! Fragments in any order, beside a naive reassembly: what a datagram says is exactly what its fragments say, and one whose
//! fragments contradict each other says nothing (RFC 5722).

use super::wire::{UDP, datagram, ip, sdp, sip, udp};
use super::{Bench, Heard};
use crate::choices::Choices;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use vouch::tap::Link;

/// How long a datagram may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Fragments that a datagram may have.
const MAX_PIECES: usize = 128;
/// Floods of a run: each is 300 frames.
const MAX_FLOODS: u8 = 3;
/// Longer than the time within which the same packet is a copy.
const APART: Duration = Duration::from_millis(101);

/// Fragments of the media of a call over IPv4 and of one over IPv6.
pub fn fragments(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut scene = Scene::new();
    while let Some(step) = choices.step() {
        match step {
            b'p' => scene.piece(&mut choices, false),
            b'x' => scene.piece(&mut choices, true),
            b'w' => scene.pass(Duration::from_millis(100) * choices.byte().into()),
            b'c' => scene.copy(),
            b'f' if scene.floods < MAX_FLOODS => scene.flood(choices.byte()),
            _ => {}
        }
    }
    scene.bench.pass(PATIENCE + Duration::from_secs(1));
    assert_eq!(scene.bench.tap.held().datagrams, 0, "fragments wait for ever");
    scene.bench.finish();
}

struct Scene {
    bench: Bench,
    waiting: HashMap<u8, Naive>,
    reassembled: u64,
    floods: u8,
    last: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let mut bench = Bench::new(2, Duration::from_secs(86_400));
        for id in [0, 4] {
            let (caller, relay) = way(id);
            let (call, ends) = (format!("c{id}"), [caller, relay].map(|end| SocketAddr::new(end.ip(), 5060)));
            let invite = "INVITE sip:bob@pbx.test SIP/2.0";
            let invite = sip(invite, (&call, "1 INVITE"), ("a", ""), "", &sdp(caller, "sendrecv"));
            bench.frame(Link::Raw, &udp((ends[0], ends[1]), 1, invite.as_bytes()));
            // Answered: what only rings is forgotten sooner than an input here may last.
            let answer =
                sip("SIP/2.0 200 OK", (&call, "1 INVITE"), ("a", ";tag=b"), "", &sdp(relay, "sendrecv"));
            bench.frame(Link::Raw, &udp((ends[1], ends[0]), 1, answer.as_bytes()));
        }
        assert_eq!(bench.calls.len(), 2);
        Self { bench, waiting: HashMap::new(), reassembled: 0, floods: 0, last: Vec::new() }
    }

    fn pass(&mut self, duration: Duration) {
        self.bench.pass(duration);
        // Later it is no copy.
        self.last.clear();
    }

    /// A fragment of one of eight datagrams: where it begins, how long it is, whether it is the last; `lies` changes what it
    /// says. Half of the datagrams are of each family.
    fn piece(&mut self, choices: &mut Choices<'_>, lies: bool) {
        let (number, place, length) = (choices.number(), choices.number(), choices.byte());
        let id = number & 7;
        // Far places too, where the longest datagram ends.
        let offset = if number & 32 != 0 { 65_528 - 8 * usize::from(place) } else { 8 * usize::from(place) };
        let more = number & 16 == 0;
        let length = if more && number & 64 == 0 { usize::from(length) & !7 } else { usize::from(length) };
        let payload: Vec<u8> = (offset..offset + length)
            .map(|at| if lies && at >= 20 { !said(id, at) } else { said(id, at) })
            .collect();
        self.bench.now += APART;
        let (source, target) = way(id);
        // A last fragment at the beginning is a whole datagram.
        let part = (offset > 0 || more).then_some((offset, more));
        let bytes = ip((source.ip(), target.ip()), UDP, id.into(), part, &payload);
        let heard = self.bench.frame(Link::Raw, &bytes);
        self.last = bytes;
        let expected = match part {
            None => Some(payload),
            Some(_) => self.expect(id, offset, more, payload),
        };
        // Shorter ones are no RTP.
        let expected = expected.filter(|whole| whole.len() >= 16);
        let packets: Vec<Vec<u8>> = heard.into_iter().filter_map(packet).collect();
        assert_eq!(packets, expected.iter().map(|whole| whole[8..].to_vec()).collect::<Vec<_>>());
        assert_eq!(self.bench.tap.counts().reassembled, self.reassembled);
    }

    /// What the naive reassembly makes of a fragment.
    fn expect(&mut self, id: u8, offset: usize, more: bool, payload: Vec<u8>) -> Option<Vec<u8>> {
        if payload.is_empty() {
            return None;
        }
        let now = self.bench.now;
        self.waiting.retain(|_, naive| now - naive.since <= PATIENCE);
        let naive = self.waiting.entry(id).or_insert_with(|| Naive {
            since: now,
            pieces: Vec::new(),
            refused: false,
        });
        naive.take(Piece { offset, more, payload });
        let whole = naive.whole()?;
        self.waiting.remove(&id);
        self.reassembled += 1;
        Some(whole)
    }

    /// The last packet at once again, as a mirror port shows it.
    fn copy(&mut self) {
        if !self.last.is_empty() {
            let before = self.bench.tap.counts().duplicates;
            assert!(self.bench.frame(Link::Raw, &self.last).is_empty(), "a copy says something");
            assert_eq!(self.bench.tap.counts().duplicates, before + 1);
        }
    }

    /// Datagrams that never become whole, so many that all others must make room.
    fn flood(&mut self, length: u8) {
        self.floods += 1;
        let payload = vec![0; 8 * (1 + usize::from(length))];
        for id in 0..300 {
            let way = ([203, 0, 113, 1].into(), [203, 0, 113, 2].into());
            self.bench.frame(Link::Raw, &ip(way, UDP, id, Some((0, true)), &payload));
        }
        self.bench.now += APART;
        self.waiting.clear();
        self.last.clear();
    }
}

/// Where the datagrams of an id come from and go to.
fn way(id: u8) -> (SocketAddr, SocketAddr) {
    let ends: [IpAddr; 2] = if id < 4 {
        [[192, 0, 2, 10].into(), [198, 51, 100, 5].into()]
    } else {
        [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 10].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 5].into()]
    };
    (SocketAddr::new(ends[0], 4000), SocketAddr::new(ends[1], 30_000))
}

/// Byte `at` of a datagram: the header of UDP without a length, which says that all of it belongs to it; that of RTP; anything.
fn said(id: u8, at: usize) -> u8 {
    let mut head = datagram(4000, 30_000, &[0x80, 0, 0, id, 0, 0, 0, 0, 0, 0, 0, 9]);
    head[4..6].fill(0);
    head.get(at).copied().unwrap_or((at / 8) as u8 ^ id << 5)
}

fn packet(heard: Heard) -> Option<Vec<u8>> {
    match heard {
        Heard::Packet { bytes, .. } => Some(bytes),
        _ => None,
    }
}

#[derive(PartialEq)]
struct Piece {
    offset: usize,
    more: bool,
    payload: Vec<u8>,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.payload.len()
    }
}

/// All fragments of a datagram, looked at anew each time.
struct Naive {
    since: Duration,
    pieces: Vec<Piece>,
    refused: bool,
}

impl Naive {
    fn take(&mut self, piece: Piece) {
        if self.pieces.iter().any(|known| known.offset == piece.offset && known.payload == piece.payload) {
            return;
        }
        self.pieces.push(piece);
        self.refused |= !self.is_sound();
    }

    fn is_sound(&self) -> bool {
        let pieces = &self.pieces;
        let fits =
            |piece: &Piece| piece.end() <= 65_535 && (!piece.more || piece.payload.len().is_multiple_of(8));
        let apart = |a: &Piece, b: &Piece| a.end() <= b.offset || b.end() <= a.offset;
        let mut pairs =
            pieces.iter().enumerate().flat_map(|(place, a)| pieces[..place].iter().map(move |b| (a, b)));
        let last: Vec<&Piece> = pieces.iter().filter(|piece| !piece.more).collect();
        let ends = last.iter().all(|last| pieces.iter().all(|piece| piece.end() <= last.end()));
        pieces.iter().all(fits)
            && pairs.all(|(a, b)| apart(a, b))
            && last.len() <= 1
            && ends
            && pieces.len() <= MAX_PIECES
    }

    fn whole(&self) -> Option<Vec<u8>> {
        let length = self.pieces.iter().find(|piece| !piece.more)?.end();
        let mut bytes = vec![None; length];
        for piece in self.pieces.iter().filter(|_| !self.refused) {
            for (place, byte) in piece.payload.iter().enumerate() {
                bytes[piece.offset + place] = Some(*byte);
            }
        }
        bytes.into_iter().collect()
    }
}
