//! IP packets, and the packets that are carried inside them: IP in IP, GRE with ERSPAN, VXLAN.

use super::link::{IPV4, IPV6, be16};
use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpSlice, TcpSlice, UdpSlice};
use std::net::{IpAddr, SocketAddr};

/// An IP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) source: IpAddr,
    pub(super) target: IpAddr,
    /// Number of the protocol of the payload, extension headers skipped.
    pub(super) protocol: u8,
    /// Identification of IPv4, or of an IPv6 fragment; else 0.
    pub(super) id: u32,
    /// Which part of the payload it is, where it is not all of it.
    pub(super) fragment: Option<Fragment>,
    /// Whether the capture kept only the beginning.
    pub(super) cut: bool,
    pub(super) payload: &'a [u8],
}

/// Which part of a payload a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// First byte.
    pub(super) offset: usize,
    /// Whether more follow it.
    pub(super) more: bool,
}

/// What a packet carries instead of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner<'a> {
    Ip(&'a [u8]),
    Ethernet(&'a [u8]),
}

/// Ports of VXLAN: its own (RFC 7348), and the one that Linux used before there was one.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];

impl<'a> Packet<'a> {
    /// Reads an IPv4 or IPv6 packet.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (ip, broken) = LaxIpSlice::from_slice(bytes).ok()?;
        // etherparse 0.21 walks the extension headers as if all were whole, past the end of one that is not.
        if broken.is_some() {
            return None;
        }
        let content = ip.payload().clone();
        let (id, fragment) = match &ip {
            LaxIpSlice::Ipv4(ip) => {
                let header = ip.header();
                let offset = usize::from(header.fragments_offset().value()) * 8;
                let more = header.more_fragments();
                (header.identification().into(), (offset > 0 || more).then_some(Fragment { offset, more }))
            }
            LaxIpSlice::Ipv6(ip) => {
                let headers = ip.extensions().clone().into_iter();
                let fragment = headers.filter_map(|header| match header {
                    Ipv6ExtensionSlice::Fragment(header) => Some(header),
                    _ => None,
                });
                fragment.last().map_or((0, None), |header| {
                    let offset = usize::from(header.fragment_offset().value()) * 8;
                    let more = header.more_fragments();
                    // An "atomic" fragment (RFC 6946) is the whole packet.
                    let fragment = (offset > 0 || more).then_some(Fragment { offset, more });
                    (header.identification(), fragment)
                })
            }
        };
        Some(Self {
            source: ip.source_addr(),
            target: ip.destination_addr(),
            protocol: content.ip_number.0,
            id,
            fragment,
            cut: content.incomplete,
            payload: content.payload,
        })
    }

    /// Source, target and payload of a UDP datagram.
    pub(super) fn udp(&self) -> Option<(SocketAddr, SocketAddr, &'a [u8])> {
        if self.protocol != IpNumber::UDP.0 {
            return None;
        }
        let udp = UdpSlice::from_slice_lax(self.payload).ok()?;
        let source = SocketAddr::new(self.source, udp.source_port());
        // The slice borrows from the payload, its accessor from itself.
        let header = udp.header_slice().len();
        let end = header + udp.payload().len();
        Some((source, SocketAddr::new(self.target, udp.destination_port()), self.payload.get(header..end)?))
    }

    /// The TCP segment, if it is one.
    pub(super) fn tcp(&self) -> Option<TcpSlice<'a>> {
        if self.protocol != IpNumber::TCP.0 {
            return None;
        }
        TcpSlice::from_slice(self.payload).ok()
    }

    /// What it carries instead of a transport, if it is a tunnel.
    pub(super) fn inner(&self) -> Option<Inner<'a>> {
        match IpNumber(self.protocol) {
            IpNumber::IPV4 | IpNumber::IPV6 => Some(Inner::Ip(self.payload)),
            IpNumber::GRE => gre(self.payload),
            IpNumber::UDP => {
                let (_, target, payload) = self.udp()?;
                let is_vxlan = VXLAN_PORTS.contains(&target.port()) && payload.first()? & 0x08 != 0;
                is_vxlan.then(|| payload.get(8..).map(Inner::Ethernet)).flatten()
            }
            _ => None,
        }
    }
}

/// What GRE (RFC 2784, RFC 2890) carries.
fn gre(bytes: &[u8]) -> Option<Inner<'_>> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    let (flags, protocol) = (be16(bytes, 0)?, be16(bytes, 2)?);
    if flags & (7 | ROUTING) != 0 {
        // PPTP, or source routes, which nobody mirrors through.
        return None;
    }
    let options = [CHECKSUM, KEY, SEQUENCE].iter().filter(|&&option| flags & option != 0).count();
    let content = bytes.get(4 + 4 * options..)?;
    match protocol {
        IPV4 | IPV6 => Some(Inner::Ip(content)),
        0x6558 => Some(Inner::Ethernet(content)),
        // ERSPAN of type I has no header of its own; type II brings one, and numbers its packets.
        0x88be if flags & SEQUENCE == 0 => Some(Inner::Ethernet(content)),
        0x88be => content.get(8..).map(Inner::Ethernet),
        0x22eb => erspan_3(content),
        _ => None,
    }
}

/// ERSPAN type III: 12 bytes, 8 more where its last bit says so; it may carry IP without Ethernet.
fn erspan_3(bytes: &[u8]) -> Option<Inner<'_>> {
    let word = be16(bytes, 10)?;
    let content = bytes.get(if word & 1 == 1 { 20 } else { 12 }..)?;
    match word >> 10 & 0x1f {
        2 => Some(Inner::Ip(content)),
        _ => Some(Inner::Ethernet(content)),
    }
}
