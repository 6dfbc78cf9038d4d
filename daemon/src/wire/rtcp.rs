//! RTCP compound packets (RFC 3550 section 6): who reports, and who says goodbye.

/// Why bytes are no RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Shorter than the common header.
    #[error("{0} bytes are too short for an RTCP packet, which has at least 4")]
    TooShort(usize),
    /// Another version.
    #[error("version {0} in the first bits is not RTCP, which has 2")]
    Version(u8),
    /// A packet's length runs over the end of the compound.
    #[error("an RTCP packet promises {needed} bytes, {got} are left")]
    Truncated {
        /// Bytes the length field promises.
        needed: usize,
        /// Bytes there are.
        got: usize,
    },
    /// A goodbye lists more sources than it has room for.
    #[error("a BYE lists {sources} sources in {words} words")]
    Sources {
        /// Sources that the count promises.
        sources: u8,
        /// 32-bit words in its body.
        words: usize,
    },
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// A sender report of this source.
    SenderReport(u32),
    /// A receiver report of this source.
    ReceiverReport(u32),
    /// These sources leave.
    Goodbye(Sources<'a>),
    /// Anything else (SDES, APP, feedback, XR), by its packet type.
    Other(u8),
}

/// Sources of a goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources<'a>(&'a [u8]);

impl Sources<'_> {
    /// Each source in turn.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.as_chunks().0.iter().map(|source| u32::from_be_bytes(*source))
    }
}

/// The packets of a compound, in order; stops after the first error.
///
/// The rule that a compound begins with a report is not enforced: reduced-size RTCP (RFC 5506) breaks it.
pub fn packets(bytes: &[u8]) -> Packets<'_> {
    Packets { rest: Some(bytes) }
}

/// Iterator of [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<RtcpPacket<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.rest.take()?;
        Some(first(bytes).map(|(packet, rest)| {
            self.rest = (!rest.is_empty()).then_some(rest);
            packet
        }))
    }
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const GOODBYE: u8 = 203;

fn first(bytes: &[u8]) -> Result<(RtcpPacket<'_>, &[u8]), RtcpError> {
    let &[flags, kind, high, low, ref rest @ ..] = bytes else {
        return Err(RtcpError::TooShort(bytes.len()));
    };
    if flags >> 6 != 2 {
        return Err(RtcpError::Version(flags >> 6));
    }
    let length = 4 * usize::from(u16::from_be_bytes([high, low]));
    let Some((body, rest)) = rest.split_at_checked(length) else {
        return Err(RtcpError::Truncated { needed: length + 4, got: bytes.len() });
    };
    Ok((body_of(kind, flags & 0x1f, body)?, rest))
}

fn body_of(kind: u8, count: u8, body: &[u8]) -> Result<RtcpPacket<'_>, RtcpError> {
    Ok(match (kind, body.first_chunk::<4>()) {
        (SENDER_REPORT, Some(source)) => RtcpPacket::SenderReport(u32::from_be_bytes(*source)),
        (RECEIVER_REPORT, Some(source)) => RtcpPacket::ReceiverReport(u32::from_be_bytes(*source)),
        (SENDER_REPORT | RECEIVER_REPORT, None) => {
            return Err(RtcpError::Truncated { needed: 8, got: 4 + body.len() });
        }
        (GOODBYE, _) => {
            let Some(sources) = body.get(..4 * usize::from(count)) else {
                return Err(RtcpError::Sources { sources: count, words: body.len() / 4 });
            };
            RtcpPacket::Goodbye(Sources(sources))
        }
        (other, _) => RtcpPacket::Other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_compound_is_read_packet_by_packet() {
        let mut bytes = vec![0x80, 200, 0, 6, 0, 0, 0, 7];
        bytes.extend([0; 20]);
        bytes.extend([0x81, 202, 0, 2, 0, 0, 0, 7, 1, 0, 0, 0]);
        bytes.extend([0x82, 203, 0, 2, 0, 0, 0, 7, 0, 0, 1, 0]);
        let read: Vec<_> = packets(&bytes).map(Result::unwrap).collect();
        assert_eq!(read[..2], [RtcpPacket::SenderReport(7), RtcpPacket::Other(202)]);
        let RtcpPacket::Goodbye(sources) = read[2] else { panic!("{read:?}") };
        assert_eq!(sources.iter().collect::<Vec<_>>(), [7, 256]);
    }

    #[test]
    fn each_fault_is_named_and_ends_the_walk() {
        let only = |bytes: &[u8]| packets(bytes).collect::<Result<Vec<_>, _>>().unwrap_err();
        assert_eq!(only(&[0x80, 200]), RtcpError::TooShort(2));
        assert_eq!(only(&[0x40, 200, 0, 0]), RtcpError::Version(1));
        assert_eq!(only(&[0x80, 200, 0, 2, 0, 0, 0, 0]), RtcpError::Truncated { needed: 12, got: 8 });
        assert_eq!(only(&[0x80, 201, 0, 0]), RtcpError::Truncated { needed: 8, got: 4 });
        assert_eq!(only(&[0x82, 203, 0, 1, 0, 0, 0, 9]), RtcpError::Sources { sources: 2, words: 1 });
        assert_eq!(packets(&[0x40, 200, 0, 0, 0x80, 201, 0, 1, 0, 0, 0, 1]).count(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 199u8..206) {
            let mut bytes = bytes;
            if let [flags, second, ..] = bytes.as_mut_slice() {
                *flags = 0x80 | *flags & 0x3f;
                *second = kind;
            }
            prop_assert!(packets(&bytes).count() <= bytes.len() / 4 + 1);
        }
    }
}
