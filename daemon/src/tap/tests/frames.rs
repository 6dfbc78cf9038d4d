//! Every way that a frame may carry the same SIP message.

use super::*;

const VLAN_7: [u8; 4] = [0x81, 0x00, 0, 7];
const PROVIDER_9: [u8; 4] = [0x88, 0xa8, 0, 9];

fn invite() -> Vec<u8> {
    udp(CALLER, PROXY, &request("INVITE", "c1", 1, ("a", ""), ""))
}

fn ethernet(tags: &[[u8; 4]], ip: &[u8]) -> Vec<u8> {
    let ether_type = if ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    [&[2; 12][..], &tags.concat(), &ether_type, ip].concat()
}

/// IPv4 of another protocol than UDP.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4([203, 0, 113, 1], [203, 0, 113, 2], 64);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, etherparse::IpNumber(protocol), payload).unwrap();
    bytes
}

fn gre(flags: u16, protocol: u16, options: usize, payload: &[u8]) -> Vec<u8> {
    let head = [flags.to_be_bytes(), protocol.to_be_bytes()].concat();
    ipv4(47, &[&head[..], &vec![0; 4 * options], payload].concat())
}

fn vxlan(port: u16, frame: &[u8]) -> Vec<u8> {
    udp("203.0.113.1:40000", &format!("203.0.113.2:{port}"), &[&[8, 0, 0, 0, 0, 0, 7, 0][..], frame].concat())
}

/// Name of a kind of frame, its link, its bytes.
type Case = (&'static str, Link, Vec<u8>);

fn invite_over_ipv6() -> Vec<u8> {
    udp("[2001:db8::10]:5060", "[2001:db8::5]:5060", &request("INVITE", "c1", 1, ("a", ""), ""))
}

fn links() -> Vec<Case> {
    let (ip, ip6, frame) = (invite(), invite_over_ipv6(), ethernet(&[], &invite()));
    let sll = |tail: &[u8]| [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], tail].concat();
    let sll2 = |head: &[u8], tail: &[u8]| [head, &[0; 18], tail].concat();
    let hop_by_hop = {
        let length = (ip6.len() - 40 + 8) as u16;
        [&ip6[..4], &length.to_be_bytes(), &[0], &ip6[7..40], &[17, 0, 1, 4, 0, 0, 0, 0], &ip6[40..]].concat()
    };
    vec![
        ("Ethernet", Link::Ethernet, frame.clone()),
        ("Ethernet, IPv6", Link::Ethernet, ethernet(&[], &ip6)),
        ("Ethernet, padded", Link::Ethernet, [&frame[..], &[0; 6]].concat()),
        ("VLAN", Link::Ethernet, ethernet(&[VLAN_7], &ip)),
        ("QinQ", Link::Ethernet, ethernet(&[PROVIDER_9, VLAN_7], &ip6)),
        ("QinQ of old", Link::Ethernet, ethernet(&[[0x91, 0, 0, 1], VLAN_7, VLAN_7], &ip)),
        ("raw IP", Link::Raw, ip.clone()),
        ("raw IPv6 with an extension header", Link::Raw, hop_by_hop),
        ("loopback", Link::Loopback, [&[2, 0, 0, 0][..], &ip].concat()),
        ("cooked", Link::LinuxSll, sll(&[&[0x08, 0][..], &ip].concat())),
        ("cooked, VLAN", Link::LinuxSll, sll(&[&VLAN_7[..], &[0x08, 0], &ip].concat())),
        ("cooked 2", Link::LinuxSll2, sll2(&[0x86, 0xdd], &ip6)),
        ("cooked 2, VLAN", Link::LinuxSll2, sll2(&[0x81, 0x00], &[&[0, 7, 0x08, 0][..], &ip].concat())),
    ]
}

fn tunnels() -> Vec<Case> {
    let (ip, ip6, frame) = (invite(), invite_over_ipv6(), ethernet(&[], &invite()));
    let erspan_3 =
        |last: u8, content: &[u8]| [&[0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[last], content].concat();
    let erspan_3_ip = [&[0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0][..], &ip].concat();
    vec![
        ("IP in IP", Link::Raw, ipv4(4, &ip)),
        ("IPv6 in IP", Link::Raw, ipv4(41, &ip6)),
        ("GRE", Link::Raw, gre(0, 0x0800, 0, &ip)),
        ("GRE with checksum, key and number", Link::Raw, gre(0xb000, 0x86dd, 3, &ip6)),
        ("GRE with Ethernet", Link::Raw, gre(0x2000, 0x6558, 1, &frame)),
        ("ERSPAN I", Link::Raw, gre(0, 0x88be, 0, &frame)),
        (
            "ERSPAN II",
            Link::Raw,
            gre(0x1000, 0x88be, 1, &[&[0x10, 7, 0, 1, 0, 0, 0, 1][..], &frame].concat()),
        ),
        ("ERSPAN III", Link::Raw, gre(0x1000, 0x22eb, 1, &erspan_3(0, &frame))),
        (
            "ERSPAN III, longer",
            Link::Raw,
            gre(0x1000, 0x22eb, 1, &erspan_3(1, &[&[0; 8][..], &frame].concat())),
        ),
        ("ERSPAN III with IP", Link::Raw, gre(0x1000, 0x22eb, 1, &erspan_3_ip)),
        ("VXLAN", Link::Raw, vxlan(4789, &frame)),
        (
            "VXLAN of old, with VLANs",
            Link::Ethernet,
            ethernet(&[VLAN_7], &vxlan(8472, &ethernet(&[VLAN_7], &ip))),
        ),
        ("ERSPAN in VXLAN", Link::Raw, vxlan(4789, &ethernet(&[], &gre(0, 0x88be, 0, &frame)))),
    ]
}

#[test]
fn a_message_is_found_in_every_kind_of_frame() {
    for (name, link, bytes) in links().into_iter().chain(tunnels()) {
        let mut heard = Heard::new();
        heard.frame(link, &bytes);
        let source = if heard.said.first().is_some_and(|said| said.contains('[')) {
            "[2001:db8::10]:5060"
        } else {
            CALLER
        };
        assert_eq!(
            heard.news(),
            [format!("began from {source}"), "media [] by the caller".to_owned()],
            "{name}"
        );
        assert_eq!((heard.tap.counts().sip, heard.tap.counts().other), (1, 0), "{name}");
    }
}

#[test]
fn extension_headers_that_are_cut_off_or_out_of_place_are_counted() {
    let ip6 = invite_over_ipv6();
    let with = |next: u8, headers: &[u8]| {
        [&ip6[..4], &(headers.len() as u16).to_be_bytes(), &[next], &ip6[7..40], headers].concat()
    };
    // A hop-by-hop header, destination options and a route that claim 2 KiB, and one of the first behind another.
    let claims = [0, 60, 43].map(|next| with(next, &[17, 255, 1, 4, 0, 0, 0, 0]));
    let misplaced = with(60, &[0, 0, 1, 4, 0, 0, 0, 0, 17, 255, 1, 4]);
    for bytes in claims.iter().chain([&misplaced]) {
        let mut heard = Heard::new();
        heard.frame(Link::Raw, bytes);
        assert_eq!(heard.tap.counts().other, 1, "{bytes:?}");
    }
}

#[test]
fn what_carries_no_packet_is_counted() {
    let too_deep = (0..10).fold(invite(), |inner, _| ipv4(4, &inner));
    let cases = [
        (Link::Ethernet, [&[2; 12][..], &[0x08, 0x06], &[0; 28]].concat()),
        (Link::Ethernet, vec![1, 2, 3]),
        (Link::Ethernet, ethernet(&[VLAN_7; 5], &invite())),
        (Link::Raw, Vec::new()),
        (Link::Raw, vec![0x45; 10]),
        (Link::LinuxSll2, vec![0; 30]),
        (Link::Raw, too_deep),
    ];
    for (link, bytes) in cases {
        let mut heard = Heard::new();
        heard.frame(link, &bytes);
        assert_eq!((heard.news().len(), heard.tap.counts().other), (0, 1), "{link:?} {bytes:?}");
    }
}

#[test]
fn links_are_known_by_the_numbers_of_capture_files() {
    let known: Vec<Option<Link>> = [1, 101, 113, 276, 0, 147].map(Link::from_number).to_vec();
    let links = [Link::Ethernet, Link::Raw, Link::LinuxSll, Link::LinuxSll2, Link::Loopback];
    assert_eq!(known, links.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
}
