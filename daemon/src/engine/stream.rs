//! One RTP stream of a call: whose packets it takes, and what it counts.

use super::codec::PayloadMap;
use super::jitter::JitterCounts;
use super::protection::{Open, Protection};
use super::source::SourceRule;
use crate::wire::rtcp::{self, RtcpPacket};
use crate::wire::rtp::{self, RtpPacket};
use crate::wire::sdp::Crypto;
use crate::wire::srtp::{SrtpError, Unprotector};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Where a stream comes from and what it carries, as the SDP says.
#[derive(Clone, Debug)]
pub struct MediaSource {
    /// Address and port of the SDP; the unspecified address or none means the peer's.
    pub signalled: Option<SocketAddr>,
    /// Address of the peer that sent the SDP.
    pub peer: IpAddr,
    /// Negotiated payload types.
    pub payloads: PayloadMap,
    /// Whether the stream is being sent, and not on hold; what arrives on hold is counted and not heard.
    pub sending: bool,
    /// The peer's key, where the stream is SRTP.
    pub crypto: Option<Crypto>,
}

/// What became of the packets of a stream, of a call, or of all calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// RTP packets taken.
    pub packets: u64,
    /// RTP packets taken but not heard: of another leg, on hold, of an opted-out caller.
    pub unheard: u64,
    /// Datagrams from elsewhere, dropped.
    pub wrong_source: u64,
    /// Datagrams that are neither RTP nor RTCP, or too long, dropped.
    pub malformed: u64,
    /// SRTP and SRTCP packets that the agreed key does not authenticate, dropped.
    pub unauthentic: u64,
    /// SRTP and SRTCP packets that came before, dropped.
    pub replayed: u64,
    /// RTCP packets.
    pub rtcp: u64,
    /// Packets of payload types that Vouch does not decode.
    pub unsupported: u64,
    /// Packets that the kernel dropped because the daemon was late.
    pub dropped_by_kernel: u64,
    /// Errors of the sockets.
    pub socket_errors: u64,
    /// What the jitter buffer found.
    pub jitter: JitterCounts,
}

impl Traffic {
    /// Adds the figures of `other`.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.unheard += other.unheard;
        self.wrong_source += other.wrong_source;
        self.malformed += other.malformed;
        self.unauthentic += other.unauthentic;
        self.replayed += other.replayed;
        self.rtcp += other.rtcp;
        self.unsupported += other.unsupported;
        self.dropped_by_kernel += other.dropped_by_kernel;
        self.socket_errors += other.socket_errors;
        self.jitter.add(&other.jitter);
    }
}

/// State of one stream, without its sockets.
#[derive(Debug, Default)]
pub(super) struct Stream {
    rule: Option<SourceRule>,
    pub(super) payloads: PayloadMap,
    pub(super) sending: bool,
    pub(super) traffic: Traffic,
    protection: Option<Protection>,
    /// When the last RTP packet was taken.
    pub(super) last_packet: Option<Instant>,
    /// A source said goodbye, and nothing came since.
    pub(super) said_goodbye: bool,
}

impl Stream {
    /// Applies what the SDP says.
    pub(super) fn set_source(&mut self, source: MediaSource) {
        self.rule = Some(SourceRule::new(source.signalled, source.peer).renewed(self.rule));
        self.payloads = source.payloads;
        let old = self.protection.take();
        self.protection = source.crypto.map(|crypto| Protection::renewed(crypto, old));
        self.sending = source.sending;
    }

    /// Address that the packets come from, once it is known.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.rule.as_ref().map(SourceRule::address)
    }

    /// Counts packets that nobody wanted to see.
    pub(super) fn passed_by(&mut self, packets: u64, now: Instant) {
        self.traffic.packets += packets;
        self.traffic.unheard += packets;
        if let Some(protection) = &mut self.protection {
            protection.passed_by(packets);
        }
        if packets > 0 {
            self.last_packet = Some(now);
            self.said_goodbye = false;
        }
    }

    /// Counts audio that came without a packet.
    pub(super) fn captured(&mut self, at: Instant) {
        self.traffic.packets += 1;
        self.last_packet = Some(at);
    }

    /// Takes a datagram from the RTP port; gives the packet in it if it belongs to the stream. SRTP is decrypted in place.
    pub(super) fn take_rtp<'a>(
        &mut self,
        bytes: &'a mut [u8],
        from: SocketAddr,
        now: Instant,
    ) -> Option<RtpPacket<'a>> {
        if self.protection.is_none() {
            return self.take_clear(bytes, from, now);
        }
        if rtp::is_rtcp(bytes) {
            self.take_rtcp(bytes, from);
            return None;
        }
        let bytes = if self.knows(from) { self.unprotected(bytes, Unprotector::rtp)? } else { return None };
        self.take_packet(bytes, from, now)
    }

    /// The same for a stream that is not secured.
    pub(super) fn take_clear<'a>(
        &mut self,
        bytes: &'a [u8],
        from: SocketAddr,
        now: Instant,
    ) -> Option<RtpPacket<'a>> {
        if !self.knows(from) {
            return None;
        }
        if rtp::is_rtcp(bytes) {
            self.read_rtcp(bytes);
            return None;
        }
        self.take_packet(bytes, from, now)
    }

    /// Takes a datagram from the RTCP port.
    pub(super) fn take_rtcp(&mut self, bytes: &mut [u8], from: SocketAddr) {
        if self.knows(from)
            && let Some(bytes) = self.unprotected(bytes, Unprotector::rtcp)
        {
            self.read_rtcp(bytes);
        }
    }

    /// Takes what is RTP as far as is known. Only a valid packet may choose the port that is heard.
    fn take_packet<'a>(&mut self, bytes: &'a [u8], from: SocketAddr, now: Instant) -> Option<RtpPacket<'a>> {
        let Ok(packet) = RtpPacket::parse(bytes) else {
            self.traffic.malformed += 1;
            return None;
        };
        if !self.rule.as_mut().is_some_and(|rule| rule.admit(from, now)) {
            self.traffic.wrong_source += 1;
            return None;
        }
        self.traffic.packets += 1;
        self.last_packet = Some(now);
        self.said_goodbye = false;
        Some(packet)
    }

    fn read_rtcp(&mut self, bytes: &[u8]) {
        for packet in rtcp::packets(bytes) {
            match packet {
                Ok(packet) => {
                    self.traffic.rtcp += 1;
                    self.said_goodbye |= matches!(packet, RtcpPacket::Goodbye(_));
                }
                Err(_) => self.traffic.malformed += 1,
            }
        }
    }

    /// The packet in `bytes` without its protection, if it has any; nothing, counted, where it is not what it should be.
    fn unprotected<'a>(&mut self, bytes: &'a mut [u8], open: Open) -> Option<&'a [u8]> {
        let Some(protection) = &mut self.protection else { return Some(bytes) };
        let count = match protection.open(bytes, open) {
            Ok(bytes) => return Some(bytes),
            Err(SrtpError::Malformed(_)) => &mut self.traffic.malformed,
            Err(SrtpError::Replayed) => &mut self.traffic.replayed,
            Err(SrtpError::Unauthentic | SrtpError::TooManySources) => &mut self.traffic.unauthentic,
        };
        *count += 1;
        None
    }

    fn knows(&mut self, from: SocketAddr) -> bool {
        let known = self.rule.is_some_and(|rule| rule.is_known(from));
        self.traffic.wrong_source += u64::from(!known);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::srtp::protect::Protector;
    use crate::wire::srtp::{MasterKey, Suite};

    const RTP: [u8; 13] = [0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0xff];
    const GOODBYE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0, 9];

    fn from(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn stream() -> Stream {
        let mut stream = Stream::default();
        let peer = from("192.0.2.1:0").ip();
        let source = MediaSource {
            signalled: None,
            peer,
            payloads: PayloadMap::default(),
            sending: true,
            crypto: None,
        };
        stream.set_source(source);
        stream
    }

    #[test]
    fn nothing_is_taken_before_the_source_is_known() {
        let mut stream = Stream::default();
        assert_eq!(stream.take_rtp(&mut RTP.clone(), from("192.0.2.1:4000"), Instant::now()), None);
        assert_eq!(stream.traffic, Traffic { wrong_source: 1, ..Traffic::default() });
    }

    #[test]
    fn packets_of_the_source_pass_and_everything_else_is_counted() {
        let mut stream = stream();
        let (right, wrong, now) = (from("192.0.2.1:4000"), from("192.0.2.2:4000"), Instant::now());
        assert_eq!(stream.take_rtp(&mut RTP.clone(), right, now).map(|packet| packet.ssrc), Some(9));
        assert_eq!(stream.take_rtp(&mut RTP.clone(), wrong, now), None);
        assert_eq!(stream.take_rtp(&mut RTP.clone(), from("192.0.2.1:4002"), now), None);
        assert_eq!(stream.take_rtp(&mut b"\0\x01 STUN has no version".clone(), right, now), None);
        let counted = Traffic { packets: 1, wrong_source: 2, malformed: 1, ..Traffic::default() };
        assert_eq!(stream.traffic, counted);
        assert_eq!(stream.last_packet, Some(now));
    }

    #[test]
    fn a_goodbye_holds_until_the_next_packet_on_either_port() {
        let mut stream = stream();
        stream.take_rtcp(&mut GOODBYE.clone(), from("192.0.2.2:4001"));
        assert!(!stream.said_goodbye);
        stream.take_rtcp(&mut GOODBYE.clone(), from("192.0.2.1:4001"));
        assert!(stream.said_goodbye);
        assert!(stream.take_rtp(&mut RTP.clone(), from("192.0.2.1:4000"), Instant::now()).is_some());
        assert!(!stream.said_goodbye);
        assert_eq!(stream.take_rtp(&mut GOODBYE.clone(), from("192.0.2.1:4000"), Instant::now()), None);
        assert!(stream.said_goodbye);
        let mut cut = GOODBYE;
        stream.take_rtcp(&mut cut[..6], from("192.0.2.1:4001"));
        assert_eq!((stream.traffic.rtcp, stream.traffic.malformed), (2, 1));
    }

    /// A stream under the key `seed`, and what its peer protects packets with.
    fn secured(seed: u8) -> (Stream, Protector) {
        let mut stream = stream();
        let (source, protector) = keyed(seed);
        stream.set_source(source);
        (stream, protector)
    }

    fn keyed(seed: u8) -> (MediaSource, Protector) {
        let suite = Suite::AesCm128HmacSha1With80;
        let key = MasterKey::new(suite, &[seed; 30]).unwrap();
        let (peer, payloads) = (from("192.0.2.1:0").ip(), PayloadMap::default());
        let protector = Protector::new(&key);
        let crypto = Some(Crypto { tag: 1, key, mki_length: 0 });
        (MediaSource { signalled: None, peer, payloads, sending: true, crypto }, protector)
    }

    #[test]
    fn a_secured_stream_takes_what_is_authentic_once() {
        let (mut stream, peer) = secured(1);
        let (right, now) = (from("192.0.2.1:4000"), Instant::now());
        let mut take =
            |mut bytes: Vec<u8>, from| stream.take_rtp(&mut bytes, from, now).map(|it| it.payload.to_vec());
        assert_eq!(take(RTP.to_vec(), from("192.0.2.1:5000")), None, "a forger chooses no port");
        assert_eq!(take(peer.rtp(&RTP, 0), right), Some(vec![0xff]));
        assert_eq!(take(peer.rtp(&RTP, 0), right), None);
        assert_eq!(take(vec![0x80, 0, 1], right), None);
        let counted = Traffic { packets: 1, malformed: 2, replayed: 1, ..Traffic::default() };
        assert_eq!(stream.traffic, counted, "13 bytes have no room for a tag");
        stream.take_rtcp(&mut [GOODBYE.as_slice(), &[0; 14]].concat(), from("192.0.2.1:4001"));
        assert_eq!((stream.said_goodbye, stream.traffic.unauthentic, stream.traffic.rtcp), (false, 1, 0));
        stream.take_rtcp(&mut peer.rtcp(&GOODBYE, 1, true), from("192.0.2.1:4001"));
        assert_eq!((stream.said_goodbye, stream.traffic.rtcp), (true, 1));
    }

    #[test]
    fn the_same_keys_keep_what_is_known_and_new_ones_begin_anew() {
        let (mut stream, old) = secured(1);
        let (right, now) = (from("192.0.2.1:4000"), Instant::now());
        let takes =
            |stream: &mut Stream, mut bytes: Vec<u8>| stream.take_rtp(&mut bytes, right, now).is_some();
        assert!(takes(&mut stream, old.rtp(&RTP, 0)));
        stream.set_source(keyed(1).0);
        assert!(!takes(&mut stream, old.rtp(&RTP, 0)), "a replay");
        let (source, new) = keyed(2);
        stream.set_source(source);
        assert!(takes(&mut stream, new.rtp(&RTP, 0)));
        assert!(!takes(&mut stream, old.rtp(&[0x80, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9, 0xff], 0)));
        assert_eq!((stream.traffic.replayed, stream.traffic.unauthentic), (1, 1));
        stream.set_source(MediaSource { crypto: None, ..keyed(2).0 });
        assert!(takes(&mut stream, RTP.to_vec()), "in the clear, once agreed");
    }

    #[test]
    fn what_the_kernel_drops_moves_the_rollover_counter_on() {
        let (mut stream, peer) = secured(1);
        let (right, now) = (from("192.0.2.1:4000"), Instant::now());
        assert!(stream.take_rtp(&mut peer.rtp(&RTP, 0), right, now).is_some());
        stream.passed_by(3 << 16, now);
        assert!(stream.take_rtp(&mut peer.rtp(&RTP, 3), right, now).is_some());
        assert_eq!(stream.traffic.packets, 2 + (3 << 16));
    }
}
