//! Link layers: what stands before the IP packet in a frame.

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, with or without VLAN tags.
    Ethernet,
    /// The IP packet itself.
    Raw,
    /// Linux cooked capture, as of the interface `any`.
    LinuxSll,
    /// The same, version 2.
    LinuxSll2,
    /// Four bytes of address family, as of a BSD loopback.
    Loopback,
}

/// Length of an Ethernet header without tags.
const ETHERNET: usize = 14;
/// VLAN tags before the packet: provider, customer, and two that stacked mirrors add.
const MAX_TAGS: usize = 4;

impl Link {
    /// The link of a number in a capture file (`LINKTYPE_*` of tcpdump.org).
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 | 108 => Some(Self::Loopback),
            1 => Some(Self::Ethernet),
            // 12 and 14 are what some systems write for raw IP; 228 and 229 say IPv4 and IPv6.
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            113 => Some(Self::LinuxSll),
            276 => Some(Self::LinuxSll2),
            _ => None,
        }
    }

    /// The IP packet in a frame; `None` where it carries none.
    pub(super) fn network(self, frame: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Raw => Some(frame),
            Self::Loopback => frame.get(4..),
            Self::Ethernet => tagged(frame.get(ETHERNET - 2..)?),
            // The protocol stands at the end of version 1's header, and at the beginning of version 2's.
            Self::LinuxSll => tagged(frame.get(14..)?),
            Self::LinuxSll2 => match be16(frame, 0)? {
                IPV4 | IPV6 => frame.get(20..),
                tag if is_tag(tag) => tagged(frame.get(22..)?),
                _ => None,
            },
        }
    }
}

/// The IP packet behind an EtherType and any VLAN tags.
fn tagged(mut bytes: &[u8]) -> Option<&[u8]> {
    for _ in 0..=MAX_TAGS {
        match be16(bytes, 0)? {
            IPV4 | IPV6 => return bytes.get(2..),
            tag if is_tag(tag) => bytes = bytes.get(4..)?,
            _ => return None,
        }
    }
    None
}

pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;

/// 802.1Q, 802.1ad, and the two numbers that were used for QinQ before it.
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8 | 0x9100 | 0x9200)
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}
