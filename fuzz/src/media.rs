//! Packets in the clear.

use vouch::wire::rtcp::{self, RtcpPacket};
use vouch::wire::rtp::RtpPacket;

/// An RTP packet: read without a panic, and its payload lies behind the header.
pub fn rtp(data: &[u8]) {
    if let Ok(packet) = RtpPacket::parse(data) {
        assert!(packet.payload.len() + 12 <= data.len(), "a payload longer than its packet");
        assert!(packet.payload_type < 128);
    }
}

/// An RTCP compound: the walk ends, and ends at the first fault.
pub fn rtcp(data: &[u8]) {
    let mut seen = 0;
    let mut packets = rtcp::packets(data);
    while let Some(packet) = packets.next() {
        seen += 1;
        match packet {
            Ok(RtcpPacket::Goodbye(sources)) => assert!(sources.iter().count() <= 31),
            Ok(_) => {}
            Err(_) => assert!(packets.next().is_none(), "a walk goes on behind a fault"),
        }
    }
    assert!(seen <= data.len() / 4 + 1, "more packets than there is room for");
}
