//! Frames as they are on the wire, made by hand: a call between others, to be written into a capture file.

use crate::sniffer::Pcap;
use std::net::SocketAddrV4;
use std::time::Duration;

/// A call between two phones, as a capture shows it.
#[derive(Debug)]
pub struct Script {
    pcap: Pcap,
    now: Duration,
    sequence: u16,
}

impl Script {
    /// A script that begins at some time of 2026.
    pub fn new(pcap: Pcap) -> Self {
        Self { pcap, now: Duration::from_secs(1_790_000_000), sequence: 0 }
    }

    /// A datagram, 10 ms later.
    pub fn datagram(&mut self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        self.now += Duration::from_millis(10);
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend((28 + payload.len() as u16).to_be_bytes());
        // No identification, no fragments, 64 hops, UDP; checksums are nobody's business here.
        frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        frame.extend(from.ip().octets());
        frame.extend(to.ip().octets());
        for word in [from.port(), to.port(), 8 + payload.len() as u16, 0] {
            frame.extend(word.to_be_bytes());
        }
        frame.extend(payload);
        self.pcap.packet(self.now, &frame);
    }

    /// mu-law audio as RTP, 20 ms a packet, in the time that it takes.
    pub fn talk(&mut self, from: SocketAddrV4, to: SocketAddrV4, mulaw: &[u8]) {
        self.talk_as(from, to, mulaw, |packet| packet);
    }

    /// The same, each packet as `change` leaves it; numbers begin at 0.
    pub fn talk_as(
        &mut self,
        from: SocketAddrV4,
        to: SocketAddrV4,
        mulaw: &[u8],
        mut change: impl FnMut(Vec<u8>) -> Vec<u8>,
    ) {
        self.sequence = 0;
        for payload in mulaw.chunks(160) {
            let mut packet = vec![0x80, 0];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
            packet.extend([0, 0, 0, 7]);
            packet.extend(payload);
            self.datagram(from, to, &change(packet));
            self.now += Duration::from_millis(10);
            self.sequence = self.sequence.wrapping_add(1);
        }
    }

    /// A SIP message of call `id` with this first line; `tags` are those of From and To.
    pub fn sip(
        &mut self,
        way: (SocketAddrV4, SocketAddrV4),
        line: &str,
        (id, cseq): (&str, &str),
        to: &str,
        body: &str,
    ) {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.message(way, line, (id, cseq), to, (kind, body));
    }

    /// The same with a multipart body, as recording clients send it.
    pub fn multipart(
        &mut self,
        way: (SocketAddrV4, SocketAddrV4),
        line: &str,
        names: (&str, &str),
        to: &str,
        body: &str,
    ) {
        let kind = "Require: siprec\r\nContent-Type: multipart/mixed;boundary=part\r\n";
        self.message(way, line, names, to, (kind, body));
    }

    fn message(
        &mut self,
        way: (SocketAddrV4, SocketAddrV4),
        line: &str,
        (id, cseq): (&str, &str),
        to: &str,
        (kind, body): (&str, &str),
    ) {
        let branch = cseq.replace(' ', "-");
        let message = format!(
            "{line}\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK-{id}-{branch}\r\nFrom: <sip:1001@home.test>;tag=a\r\n\
             To: <sip:agent@pbx.test>{to}\r\nCall-ID: {id}\r\nCSeq: {cseq}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.datagram(way.0, way.1, message.as_bytes());
    }
}

/// A description with one line of audio, over this transport.
pub fn sdp(address: SocketAddrV4, transport: &str, more: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} {transport} 0\r\n{more}"
    )
}
