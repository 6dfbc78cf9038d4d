//! RTP packets (RFC 3550 section 5.1), the only caller of rtp-rs.

use rtp_rs::{RtpReader, RtpReaderError};

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than the fixed header.
    #[error("{0} bytes are too short for an RTP packet, which has at least 12")]
    TooShort(usize),
    /// Another version: not RTP at all, such as STUN, DTLS or ZRTP on the same port.
    #[error("version {0} in the first bits is not RTP, which has 2")]
    Version(u8),
    /// Contributing sources or extension run over the end.
    #[error("the headers need {needed} bytes, the packet has {got}")]
    HeaderTruncated {
        /// Bytes the header fields promise.
        needed: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The padding count is zero or larger than the payload.
    #[error("a padding of {0} bytes does not fit the packet")]
    Padding(u8),
}

/// A checked RTP packet: header fields and where its payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Sampling instant of the first sample, in units of the payload's clock.
    pub timestamp: u32,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Marker bit: the start of a talkspurt, of an event.
    pub marker: bool,
    /// Payload without padding.
    pub payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    /// Checks `bytes` and reads them as one RTP packet.
    ///
    /// # Errors
    /// [`RtpError`] names the field that does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let reader = RtpReader::new(bytes).map_err(RtpError::from)?;
        Ok(Self {
            ssrc: reader.ssrc(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            payload: reader.payload(),
        })
    }
}

/// Whether `bytes`, arrived on an RTP port, are RTCP: gateways may send both on one port, and the second byte
/// tells them apart (RFC 5761 section 4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 192..=223, ..] if first >> 6 == 2)
}

impl From<RtpReaderError> for RtpError {
    fn from(error: RtpReaderError) -> Self {
        match error {
            RtpReaderError::BufferTooShort(length) => Self::TooShort(length),
            RtpReaderError::UnsupportedVersion(version) => Self::Version(version),
            RtpReaderError::HeadersTruncated { header_len, buffer_len } => {
                Self::HeaderTruncated { needed: header_len, got: buffer_len }
            }
            RtpReaderError::PaddingLengthInvalid(length) => Self::Padding(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: [u8; 16] = [0x80, 0x80, 0xff, 0xfe, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];

    #[test]
    fn header_fields_and_payload_are_read() {
        let packet = RtpPacket::parse(&PLAIN).unwrap();
        assert_eq!((packet.ssrc, packet.sequence, packet.timestamp), (0xdead_beef, 0xfffe, 160));
        assert_eq!((packet.payload_type, packet.marker, packet.payload), (0, true, &[1, 2, 3, 4][..]));
    }

    #[test]
    fn sources_extension_and_padding_are_no_payload() {
        let mut bytes = PLAIN[..12].to_vec();
        bytes[0] = 0b1011_0001; // padding, extension, one contributing source
        bytes.extend([9; 4]);
        bytes.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        bytes.extend([5, 6, 0, 0, 3]);
        assert_eq!(RtpPacket::parse(&bytes).unwrap().payload, &[5, 6]);
    }

    #[test]
    fn each_fault_is_named() {
        let with = |first: u8, bytes: &[u8]| {
            let mut changed = bytes.to_vec();
            changed[0] = first;
            RtpPacket::parse(&changed).map(|packet| packet.sequence)
        };
        assert_eq!(with(0x80, &PLAIN[..11]), Err(RtpError::TooShort(11)));
        assert_eq!(with(0x00, &PLAIN), Err(RtpError::Version(0)));
        assert_eq!(with(0x8f, &PLAIN), Err(RtpError::HeaderTruncated { needed: 72, got: 16 }));
        assert_eq!(with(0x90, &PLAIN), Err(RtpError::HeaderTruncated { needed: 16 + 4 * 0x304, got: 16 }));
        assert_eq!(with(0xa0, &[PLAIN.as_slice(), &[0]].concat()), Err(RtpError::Padding(0)));
        assert_eq!(with(0xa0, &[PLAIN.as_slice(), &[99]].concat()), Err(RtpError::Padding(99)));
    }

    #[test]
    fn rtcp_on_the_rtp_port_is_told_apart() {
        assert!(is_rtcp(&[0x80, 200, 0, 0]));
        assert!(!is_rtcp(&[0x80, 0x80 | 13, 0, 0]));
        assert!(!is_rtcp(&[0x00, 200]));
        assert!(!is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80), first in 0x80u8..=0xbf) {
            let mut bytes = bytes;
            let _ = RtpPacket::parse(&bytes);
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Ok(packet) = RtpPacket::parse(&bytes) {
                prop_assert!(packet.payload.len() + 12 <= bytes.len());
                prop_assert!(packet.payload_type < 128);
            }
        }
    }
}
