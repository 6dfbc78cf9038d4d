//! Packets as they are on the wire.

use std::net::{IpAddr, SocketAddr};

pub(super) const UDP: u8 = 17;
pub(super) const TCP: u8 = 6;

/// Which part of a datagram a fragment is: its first byte, and whether more follow.
pub(super) type Part = (usize, bool);

/// An IP packet, whole or a fragment. Checksums are left out: a capture shows packets whose card has yet to fill them in.
pub(super) fn ip(
    way: (IpAddr, IpAddr),
    protocol: u8,
    id: u16,
    part: Option<Part>,
    payload: &[u8],
) -> Vec<u8> {
    let (offset, more) = part.unwrap_or_default();
    match way {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let length = (20 + payload.len()) as u16;
            let part = (offset / 8) as u16 | u16::from(more) << 13;
            let head = [0x4500, length, id, part, 0x4000 | u16::from(protocol), 0];
            let head: Vec<u8> = head.iter().flat_map(|word| word.to_be_bytes()).collect();
            [&head[..], &source.octets(), &target.octets(), payload].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let extension = if part.is_some() { 8 } else { 0 };
            let next = if part.is_some() { 44 } else { protocol };
            let mut bytes = vec![0x60, 0, 0, 0];
            bytes.extend(((payload.len() + extension) as u16).to_be_bytes());
            bytes.extend([next, 64]);
            bytes.extend(source.octets());
            bytes.extend(target.octets());
            if part.is_some() {
                bytes.extend([protocol, 0]);
                bytes.extend((offset as u16 | u16::from(more)).to_be_bytes());
                bytes.extend(u32::from(id).to_be_bytes());
            }
            bytes.extend(payload);
            bytes
        }
        _ => panic!("one family"),
    }
}

/// A UDP datagram without its IP header.
pub(super) fn datagram(source: u16, target: u16, payload: &[u8]) -> Vec<u8> {
    let words = [source, target, (8 + payload.len()) as u16, 0];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend(payload);
    bytes
}

/// A UDP datagram with its IP header.
pub(super) fn udp((source, target): (SocketAddr, SocketAddr), id: u16, payload: &[u8]) -> Vec<u8> {
    let datagram = datagram(source.port(), target.port(), payload);
    ip((source.ip(), target.ip()), UDP, id, None, &datagram)
}

/// A description with one line of audio.
pub(super) fn sdp(address: SocketAddr, direction: &str) -> String {
    let (family, ip) = (if address.is_ipv4() { "IP4" } else { "IP6" }, address.ip());
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP 0 8\r\na={direction}\r\n",
        address.port()
    )
}

/// A SIP message that begins with `start`; `to` holds the tag, if there is one, and `more` further headers.
pub(super) fn sip(
    start: &str,
    (call, cseq): (&str, &str),
    (from, to): (&str, &str),
    more: &str,
    body: &str,
) -> String {
    let number = cseq.split(' ').next().unwrap_or_default();
    let kind = if body.starts_with("v=") { "Content-Type: application/sdp\r\n" } else { "" };
    format!(
        "{start}\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{call}-{number}\r\nFrom: <sip:1001@home.test>;tag={from}\r\n\
         To: <sip:bob@pbx.test>{to}\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
