//! Packets seen twice, cut, in fragments; and anything at all.

use super::*;
use proptest::prelude::*;

#[test]
fn a_copy_is_dropped_and_a_repetition_is_not() {
    let mut heard = Heard::new();
    let ring = udp(CALLER, PROXY, &request("INVITE", "c1", 1, ("a", ""), ""));
    let take = |heard: &mut Heard, bytes: &[u8], after: u64| {
        let Heard { tap, now, said } = heard;
        *now += Duration::from_millis(after);
        tap.take(&Frame { at: *now, link: Link::Raw, bytes }, &mut |event| said.push(words(&event)));
    };
    take(&mut heard, &ring, 200);
    // A router took one from the time to live and made the checksum anew.
    let mut routed = ring.clone();
    routed[8] -= 1;
    routed[10] ^= 0x5a;
    take(&mut heard, &routed, 1);
    assert_eq!((heard.tap.counts().duplicates, heard.tap.counts().sip), (1, 1));
    take(&mut heard, &ring, 500);
    assert_eq!(
        (heard.tap.counts().duplicates, heard.tap.counts().sip),
        (1, 2),
        "SIP sends again after 500 ms"
    );
    take(&mut heard, &udp(CALLER, PROXY, &request("INVITE", "c2", 1, ("a", ""), "")), 1);
    assert_eq!((heard.tap.counts().duplicates, heard.tap.counts().sip), (1, 3));
}

/// The fragments of a packet of IPv4 or IPv6, of `size` bytes each.
fn fragments(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let is_ipv4 = packet[0] >> 4 == 4;
    let (head, payload) = packet.split_at(if is_ipv4 { 20 } else { 40 });
    let count = payload.len().div_ceil(size);
    let fragment = |(index, part): (usize, &[u8])| {
        let (offset, more) = ((index * size / 8) as u16, index + 1 < count);
        let mut head = head.to_vec();
        if is_ipv4 {
            head[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
            head[4..6].copy_from_slice(&77_u16.to_be_bytes());
            head[6..8].copy_from_slice(&(offset | if more { 0x2000 } else { 0 }).to_be_bytes());
        } else {
            head[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
            let next = std::mem::replace(&mut head[6], 44);
            head.extend([next, 0]);
            head.extend((offset << 3 | u16::from(more)).to_be_bytes());
            head.extend(77_u32.to_be_bytes());
        }
        head.extend(part);
        head
    };
    payload.chunks(size).enumerate().map(fragment).collect()
}

#[test]
fn fragments_of_both_families_are_put_together() {
    let long = request(
        "INVITE",
        "c1",
        1,
        ("a", ""),
        &sdp("192.0.2.10:4000", "sendrecv").replace("s=-", &"s=x".repeat(900)),
    );
    for packet in [udp(CALLER, PROXY, &long), udp("[2001:db8::10]:5060", "[2001:db8::5]:5060", &long)] {
        let mut heard = Heard::new();
        let parts = fragments(&packet, 1480);
        assert_eq!(parts.len(), 3);
        for part in parts.iter().rev() {
            heard.frame(Link::Raw, part);
        }
        assert_eq!(heard.news()[1], "media [0 PCMU] by the caller");
        assert_eq!((heard.tap.counts().reassembled, heard.tap.counts().incomplete), (1, 0));
    }
}

#[test]
fn a_cut_packet_is_counted_and_still_read_as_far_as_it_goes() {
    let mut heard = Heard::new();
    let packet = udp(CALLER, PROXY, &request("OPTIONS", "c1", 1, ("a", ""), ""));
    heard.frame(Link::Raw, &packet[..packet.len() - 40]);
    assert_eq!((heard.tap.counts().cut, heard.tap.counts().malformed), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_frames_are_taken(frames in prop::collection::vec((0_u8..5, prop::collection::vec(any::<u8>(), 0..200)), 0..20)) {
        let links = [Link::Ethernet, Link::Raw, Link::LinuxSll, Link::LinuxSll2, Link::Loopback];
        let mut heard = Heard::new();
        for (link, bytes) in &frames {
            heard.frame(links[usize::from(*link)], bytes);
        }
        prop_assert_eq!(heard.tap.counts().frames, frames.len() as u64);
    }

    #[test]
    fn damaged_frames_are_taken(flips in prop::collection::vec((0_usize..400, any::<u8>()), 0..6), cut in 0_usize..400) {
        let inner = udp(CALLER, PROXY, &request("INVITE", "c1", 1, ("a", ""), &sdp("192.0.2.10:4000", "sendrecv")));
        let frame = [&[2; 12][..], &[8, 0], &inner].concat();
        let mut packet = udp("203.0.113.1:4000", "203.0.113.2:4789", &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &frame].concat());
        for (place, byte) in flips {
            let length = packet.len();
            packet[place % length] ^= byte;
        }
        let mut heard = Heard::new();
        heard.frame(Link::Raw, &packet);
        heard.frame(Link::Raw, &packet[..cut.min(packet.len())]);
        prop_assert_eq!(heard.tap.counts().frames, 2);
    }
}
