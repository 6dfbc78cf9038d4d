mod calls;
mod frames;
mod packets;

use super::*;
use etherparse::PacketBuilder;

/// Where the packets of these tests go.
const CALLER: &str = "192.0.2.10:5060";
const PROXY: &str = "198.51.100.5:5060";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An IPv4 or IPv6 packet with a UDP datagram.
fn udp(source: &str, target: &str, payload: &[u8]) -> Vec<u8> {
    let (source, target) = (at(source), at(target));
    let builder = match (source.ip(), target.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        _ => panic!("one family"),
    };
    let mut bytes = Vec::new();
    builder.udp(source.port(), target.port()).write(&mut bytes, payload).unwrap();
    bytes
}

/// What a tap made of packets, in words.
struct Heard {
    tap: Tap,
    now: Duration,
    said: Vec<String>,
}

impl Heard {
    fn new() -> Self {
        let now = Duration::from_secs(1_700_000_000);
        Self { tap: Tap::new(100, Duration::from_secs(1800)), now, said: Vec::new() }
    }

    fn frame(&mut self, link: Link, bytes: &[u8]) {
        let Self { tap, now, said } = self;
        // Longer than the time within which the same packet is a copy.
        *now += Duration::from_millis(200);
        tap.take(&Frame { at: *now, link, bytes }, &mut |event| said.push(words(&event)));
    }

    fn udp(&mut self, source: &str, target: &str, payload: &[u8]) {
        self.frame(Link::Raw, &udp(source, target, payload));
    }

    fn wait(&mut self, seconds: u64) {
        let Self { tap, now, said } = self;
        *now += Duration::from_secs(seconds);
        tap.tick(*now, &mut |event| said.push(words(&event)));
    }

    /// What was said since this was asked last.
    fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }
}

fn words(event: &Event<'_>) -> String {
    match event {
        Event::Began { from, .. } => format!("began from {from}"),
        Event::Ended(_) => "ended".to_owned(),
        Event::Packet { stream, bytes } => format!("{:?} {} {}", stream.side, stream.line, bytes.len()),
        Event::Media { lines, request, .. } => {
            let line = |line: &TappedLine| {
                let heard = if line.plan.sending { "" } else { " held" };
                let encrypted = if line.encrypted { " encrypted" } else { "" };
                let codec = line.plan.codec.map_or("none", |codec| codec.name());
                format!("{} {codec}{heard}{encrypted}", line.plan.m_line)
            };
            let lines: Vec<String> = lines.iter().map(line).collect();
            let by = if request.is_some() { " by the caller" } else { "" };
            format!("media [{}]{by}", lines.join(", "))
        }
    }
}

use std::net::IpAddr;

/// A SIP request of the call `id`: `tags` are those of From and To, `body` is a description or nothing.
fn request(method: &str, id: &str, number: u32, tags: (&str, &str), body: &str) -> Vec<u8> {
    let to = if tags.1.is_empty() { String::new() } else { format!(";tag={}", tags.1) };
    message(&format!("{method} sip:bob@pbx.test SIP/2.0"), method, (id, number), (tags.0, &to), body)
}

/// A response to a request of the same call, number and method.
fn response(status: u16, method: &str, id: &str, number: u32, tags: (&str, &str), body: &str) -> Vec<u8> {
    let to = if tags.1.is_empty() { String::new() } else { format!(";tag={}", tags.1) };
    message(&format!("SIP/2.0 {status} Words"), method, (id, number), (tags.0, &to), body)
}

fn message(
    start: &str,
    method: &str,
    (id, number): (&str, u32),
    (from, to): (&str, &str),
    body: &str,
) -> Vec<u8> {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    // ACK and CANCEL of an INVITE that failed share its branch; here all of one number do.
    format!(
        "{start}\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{id}-{number}\r\nFrom: <sip:1001@home.test>;tag={from}\r\n\
         To: <sip:bob@pbx.test>{to}\r\nCall-ID: {id}\r\nCSeq: {number} {method}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A description with one line of audio.
fn sdp(address: &str, direction: &str) -> String {
    let address = at(address);
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8\r\na={direction}\r\n",
        ip = address.ip(),
        port = address.port()
    )
}

/// An RTP packet.
fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 0, 0, 0, 0, 9]);
    packet.extend([0xff; 160]);
    packet
}
