//! One RTP stream of a call: whose packets it takes, and what it counts.

use super::codec::PayloadMap;
use super::jitter::JitterCounts;
use super::source::SourceRule;
use crate::wire::rtcp::{self, RtcpPacket};
use crate::wire::rtp::{self, RtpPacket};
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
        if packets > 0 {
            self.last_packet = Some(now);
            self.said_goodbye = false;
        }
    }

    /// Takes a datagram from the RTP port; gives the packet in it if it belongs to the stream.
    pub(super) fn take_rtp<'a>(
        &mut self,
        bytes: &'a [u8],
        from: SocketAddr,
        now: Instant,
    ) -> Option<RtpPacket<'a>> {
        if rtp::is_rtcp(bytes) {
            self.take_rtcp(bytes, from);
            return None;
        }
        if !self.knows(from) {
            return None;
        }
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

    /// Takes a datagram from the RTCP port.
    pub(super) fn take_rtcp(&mut self, bytes: &[u8], from: SocketAddr) {
        if !self.knows(from) {
            return;
        }
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

    fn knows(&mut self, from: SocketAddr) -> bool {
        let known = self.rule.is_some_and(|rule| rule.is_known(from));
        self.traffic.wrong_source += u64::from(!known);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTP: [u8; 13] = [0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0xff];
    const GOODBYE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0, 9];

    fn from(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn stream() -> Stream {
        let mut stream = Stream::default();
        let peer = from("192.0.2.1:0").ip();
        let source = MediaSource { signalled: None, peer, payloads: PayloadMap::default(), sending: true };
        stream.set_source(source);
        stream
    }

    #[test]
    fn nothing_is_taken_before_the_source_is_known() {
        let mut stream = Stream::default();
        assert_eq!(stream.take_rtp(&RTP, from("192.0.2.1:4000"), Instant::now()), None);
        assert_eq!(stream.traffic, Traffic { wrong_source: 1, ..Traffic::default() });
    }

    #[test]
    fn packets_of_the_source_pass_and_everything_else_is_counted() {
        let mut stream = stream();
        let (right, wrong, now) = (from("192.0.2.1:4000"), from("192.0.2.2:4000"), Instant::now());
        assert_eq!(stream.take_rtp(&RTP, right, now).map(|packet| packet.ssrc), Some(9));
        assert_eq!(stream.take_rtp(&RTP, wrong, now), None);
        assert_eq!(stream.take_rtp(&RTP, from("192.0.2.1:4002"), now), None);
        assert_eq!(stream.take_rtp(b"\0\x01 STUN has no version", right, now), None);
        let counted = Traffic { packets: 1, wrong_source: 2, malformed: 1, ..Traffic::default() };
        assert_eq!(stream.traffic, counted);
        assert_eq!(stream.last_packet, Some(now));
    }

    #[test]
    fn a_goodbye_holds_until_the_next_packet_on_either_port() {
        let mut stream = stream();
        stream.take_rtcp(&GOODBYE, from("192.0.2.2:4001"));
        assert!(!stream.said_goodbye);
        stream.take_rtcp(&GOODBYE, from("192.0.2.1:4001"));
        assert!(stream.said_goodbye);
        assert!(stream.take_rtp(&RTP, from("192.0.2.1:4000"), Instant::now()).is_some());
        assert!(!stream.said_goodbye);
        assert_eq!(stream.take_rtp(&GOODBYE, from("192.0.2.1:4000"), Instant::now()), None);
        assert!(stream.said_goodbye);
        stream.take_rtcp(&GOODBYE[..6], from("192.0.2.1:4001"));
        assert_eq!((stream.traffic.rtcp, stream.traffic.malformed), (2, 1));
    }
}
