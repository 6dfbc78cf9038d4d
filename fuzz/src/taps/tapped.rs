//! Calls of others as frames: their signalling on two hops, their media, and time, in any order.
//!
//! Steps are letters (see `Scene::step`). What must hold: a call hears only what goes to or comes from an address that it
//! signalled; a BYE ends it, and what comes afterwards is nobody's; a copy of a packet says nothing.

use super::wire::{sdp, sip, udp};
use super::{Bench, Heard, MAX_CALLS};
use crate::choices::Choices;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use vouch::tap::Link;

/// Silence after which a call is over.
const IDLE: Duration = Duration::from_secs(60);
/// Signalling addresses: the caller, the proxy next to it, and what stands behind that.
const CALLER: SocketAddr = address(192, 10, 5060);
const PROXY: SocketAddr = address(198, 5, 5060);
const PBX: SocketAddr = address(203, 9, 5060);
/// Media addresses; one is private, and its host signals from another.
const MEDIA: [SocketAddr; 8] = [
    address(192, 10, 4000),
    address(192, 10, 4002),
    address(10, 10, 4000),
    address(192, 11, 4000),
    address(198, 5, 30_000),
    address(198, 5, 30_002),
    address(203, 9, 20_000),
    address(203, 9, 20_002),
];

const fn address(first: u8, last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(first, 0, 2, last)), port)
}

/// Calls of others, and an hour of silence behind them.
pub fn tapped(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut scene = Scene::new();
    while let Some(step) = choices.step() {
        scene.step(step, &mut choices);
    }
    for _ in 0..4 {
        scene.bench.pass(Duration::from_secs(900));
    }
    assert!(scene.bench.calls.is_empty(), "a silent call lives for ever");
    scene.bench.finish();
}

struct Scene {
    bench: Bench,
    packet: u16,
    last: Vec<u8>,
    /// By Call-ID, the addresses that its messages ever named.
    named: HashMap<String, HashSet<SocketAddr>>,
    /// Call-IDs that more than one branch answered.
    forked: HashSet<String>,
    /// Somebody damaged a message, so nobody knows what it named.
    damaged: bool,
}

impl Scene {
    fn new() -> Self {
        Self {
            bench: Bench::new(MAX_CALLS, IDLE),
            packet: 0,
            last: Vec::new(),
            named: HashMap::new(),
            forked: HashSet::new(),
            damaged: false,
        }
    }

    /// Each message's first argument is its place in the conversation: two bits choose the call, three the address of its
    /// media, one the hop.
    fn step(&mut self, step: u8, choices: &mut Choices<'_>) {
        match step {
            b'i' => self.invite(choices),
            b'r' => self.respond(choices),
            b'a' => drop(self.request("ACK", choices.number(), ("a", ";tag=b"), false)),
            b'b' => self.bye(choices.number(), false),
            b'h' => self.bye(choices.number(), true),
            b'c' => drop(self.request("CANCEL", choices.number(), ("a", ""), false)),
            b'o' => drop(self.request("INVITE", choices.number(), ("a", ";tag=b"), true)),
            b'u' => drop(self.request("UPDATE", choices.number(), ("b", ";tag=a"), true)),
            b'p' => self.media(choices),
            b'q' => self.copy(),
            b'd' => self.damage(choices),
            b'w' => self.pass(Duration::from_millis(100) * choices.byte().into()),
            b'z' => self.pass(Duration::from_secs(choices.byte().into())),
            _ => {}
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.bench.pass(duration);
        // Later it is no copy.
        self.last.clear();
    }

    fn invite(&mut self, choices: &mut Choices<'_>) {
        let (number, more) = (choices.number(), choices.number());
        let replaces = if more & 1 == 1 {
            format!("Replaces: c{};to-tag=b;from-tag=a\r\n", more >> 1 & 3)
        } else {
            String::new()
        };
        let body = if more & 8 == 8 { String::new() } else { self.offer(number, more) };
        let start = "INVITE sip:bob@pbx.test SIP/2.0";
        let text = sip(start, (&call(number), "1 INVITE"), ("a", ""), &replaces, &body);
        self.send(way(number, false), text.into_bytes());
    }

    /// An answer to the first INVITE or to a later one, with or without a description, by one of two branches.
    fn respond(&mut self, choices: &mut Choices<'_>) {
        let (number, more) = (choices.number(), choices.number());
        let status = [100, 180, 183, 200, 202, 302, 401, 486][usize::from(more & 7)];
        let cseq = ["1 INVITE", "2 INVITE", "2 UPDATE", "1 CANCEL"][usize::from(more >> 3 & 3)];
        let branch = if more & 32 == 32 { "c" } else { "b" };
        if branch == "c" {
            self.forked.insert(call(number));
        }
        let (from, to) =
            if cseq == "2 UPDATE" { (branch, ";tag=a".to_owned()) } else { ("a", format!(";tag={branch}")) };
        let body = if status == 100 { String::new() } else { self.offer(number, more) };
        let text = sip(&format!("SIP/2.0 {status} Words"), (&call(number), cseq), (from, &to), "", &body);
        self.send(way(number, cseq != "2 UPDATE"), text.into_bytes());
    }

    fn request(&mut self, method: &str, number: u8, (from, to): (&str, &str), offers: bool) -> Vec<Heard> {
        let cseq = if matches!(method, "ACK" | "CANCEL") { "1" } else { "2" };
        let body = if offers { self.offer(number, 0) } else { String::new() };
        let start = format!("{method} sip:bob@pbx.test SIP/2.0");
        let text = sip(&start, (&call(number), &format!("{cseq} {method}")), (from, to), "", &body);
        self.send(way(number, from == "b"), text.into_bytes())
    }

    /// A BYE of either side, on either hop.
    fn bye(&mut self, number: u8, of_callee: bool) {
        let tags = if of_callee { ("b", ";tag=a") } else { ("a", ";tag=b") };
        self.request("BYE", number, tags, false);
        let call = call(number);
        if !self.forked.contains(&call) && !self.damaged {
            assert!(
                self.bench.calls.values().all(|other| *other != call),
                "a BYE was seen and the call goes on"
            );
        }
    }

    /// A description, whose address is remembered.
    fn offer(&mut self, number: u8, more: u8) -> String {
        let media = MEDIA[usize::from(number >> 2 & 7)];
        let named = self.named.entry(call(number)).or_default();
        named.insert(media);
        // It may be one behind address translation: then the port counts at the host that signals.
        named.extend([CALLER, PROXY, PBX].map(|peer| SocketAddr::new(peer.ip(), media.port())));
        sdp(media, ["sendrecv", "sendonly", "recvonly", "inactive"][usize::from(more >> 6)])
    }

    fn media(&mut self, choices: &mut Choices<'_>) {
        let (number, filling) = (choices.number(), choices.byte());
        let way = (MEDIA[usize::from(number & 7)], MEDIA[usize::from(number >> 3 & 7)]);
        let sequence = self.packet.to_be_bytes();
        let packet =
            [&[0x80, 0, sequence[0], sequence[1], 0, 0, 0, 0, 0, 0, 0, 9][..], &[filling; 20]].concat();
        for heard in self.send(way, packet.clone()) {
            let Heard::Packet { stream, bytes } = heard else { panic!("media that say something") };
            assert_eq!(bytes, packet, "a packet changed on its way");
            let call = &self.bench.calls[&stream.call];
            let named =
                self.named.get(call).is_some_and(|named| named.contains(&way.0) || named.contains(&way.1));
            assert!(named || self.damaged, "{call} hears what goes from {} to {}", way.0, way.1);
        }
    }

    fn copy(&mut self) {
        if !self.last.is_empty() {
            let before = self.bench.tap.counts().duplicates;
            assert!(self.bench.frame(Link::Raw, &self.last).is_empty(), "a copy says something");
            assert_eq!(self.bench.tap.counts().duplicates, before + 1);
        }
    }

    /// The last packet with a byte changed, as another packet.
    fn damage(&mut self, choices: &mut Choices<'_>) {
        let (place, change) =
            (usize::from(choices.byte()) << 8 | usize::from(choices.byte()), choices.byte());
        if !self.last.is_empty() {
            self.damaged = true;
            let mut bytes = self.last.clone();
            let length = bytes.len();
            bytes[place % length] ^= change;
            self.bench.frame(Link::Raw, &bytes);
            self.last.clear();
        }
    }

    fn send(&mut self, way: (SocketAddr, SocketAddr), payload: Vec<u8>) -> Vec<Heard> {
        // The number of the packet tells it from a copy.
        self.packet = self.packet.wrapping_add(1);
        self.last = udp(way, self.packet, &payload);
        self.bench.frame(Link::Raw, &self.last)
    }
}

/// The Call-ID of a message.
fn call(number: u8) -> String {
    format!("c{}", number & 3)
}

/// From and to of a message on the hop next to the caller, or on the one behind it.
fn way(number: u8, back: bool) -> (SocketAddr, SocketAddr) {
    let (near, far) = if number & 32 == 32 { (PROXY, PBX) } else { (CALLER, PROXY) };
    if back { (far, near) } else { (near, far) }
}
