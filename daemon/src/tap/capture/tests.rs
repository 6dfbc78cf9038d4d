use super::*;
use proptest::prelude::*;
use std::io::Write;

/// A packet as it was read: seconds, nanoseconds, kind of link, length.
type Seen = (u64, u32, Link, usize);

fn read(bytes: &[u8]) -> (Vec<Seen>, Result<CaptureCounts, String>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut seen = Vec::new();
    let named = |text: String| text.replace(&file.path().display().to_string(), "x.pcap");
    let mut capture = match Capture::open(file.path()) {
        Ok(capture) => capture,
        Err(error) => return (seen, Err(named(error.to_string()))),
    };
    let outcome = capture.read(&mut |frame: &Frame<'_>| {
        seen.push((frame.at.as_secs(), frame.at.subsec_nanos(), frame.link, frame.bytes.len()));
    });
    (seen, outcome.map(|()| capture.counts()).map_err(|error| named(error.to_string())))
}

/// Numbers of 32 bits in either byte order.
fn words(big: bool, words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| if big { word.to_be_bytes() } else { word.to_le_bytes() }).collect()
}

fn pcap(big: bool, magic: u32, network: u32) -> Vec<u8> {
    let version = if big { 0x0002_0004 } else { 0x0004_0002 };
    words(big, &[magic, version, 0, 0, 65_535, network])
}

fn block(big: bool, kind: u32, content: &[u8]) -> Vec<u8> {
    let padded = content.len().next_multiple_of(4);
    let length = words(big, &[12 + padded as u32]);
    [&words(big, &[kind])[..], &length, content, &vec![0; padded - content.len()], &length].concat()
}

fn section(big: bool) -> Vec<u8> {
    let version = if big { 0x0001_0000 } else { 0x0000_0001 };
    block(big, 0x0a0d_0d0a, &words(big, &[0x1a2b_3c4d, version, u32::MAX, u32::MAX]))
}

fn short(big: bool, one: u16, other: u16) -> Vec<u8> {
    [one, other].iter().flat_map(|it| if big { it.to_be_bytes() } else { it.to_le_bytes() }).collect()
}

fn interface(big: bool, link: u16, resolution: Option<u8>) -> Vec<u8> {
    let option =
        resolution.map_or(Vec::new(), |it| [&short(big, 9, 1)[..], &[it, 0, 0, 0], &[0; 4]].concat());
    block(big, 1, &[&short(big, link, 0)[..], &words(big, &[0]), &option].concat())
}

fn packet(big: bool, interface: u32, time: u64, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u32;
    let head = words(big, &[interface, (time >> 32) as u32, time as u32, length, length]);
    block(big, 6, &[&head[..], bytes].concat())
}

#[test]
fn pcap_is_read_in_both_byte_orders_and_resolutions() {
    for big in [false, true] {
        for (magic, nanos) in [(0xa1b2_c3d4, 7000), (0xa1b2_3c4d, 7)] {
            let file = [pcap(big, magic, 1), words(big, &[1_700_000_000, 7, 3, 3]), vec![1, 2, 3]].concat();
            let (seen, counts) = read(&file);
            assert_eq!(seen, [(1_700_000_000, nanos, Link::Ethernet, 3)]);
            assert_eq!(counts, Ok(CaptureCounts { packets: 1, ..CaptureCounts::default() }));
        }
    }
}

#[test]
fn pcapng_is_read_with_several_interfaces_sections_and_resolutions() {
    for big in [false, true] {
        let time = 1_700_000_000;
        let dropped = |count: u64| if big { count.to_be_bytes() } else { count.to_le_bytes() };
        let statistics = |of: u32, count: u64| {
            let option = [&short(big, 5, 8)[..], &dropped(count), &[0; 4]].concat();
            block(big, 5, &[words(big, &[of, 0, 0]), option].concat())
        };
        let file = [
            section(big),
            interface(big, 1, None),
            interface(big, 101, Some(9)),
            interface(big, 113, Some(0x80 | 10)),
            interface(big, 147, None),
            packet(big, 0, time * 1_000_000 + 5, &[1; 5]),
            packet(big, 1, time * 1_000_000_000 + 6, &[1; 6]),
            packet(big, 2, time * 1024 + 512, &[1; 7]),
            packet(big, 3, 0, &[1; 8]),
            statistics(0, 3),
            statistics(0, 12),
            statistics(1, 1),
            block(big, 0x0bad, &[0; 8]),
            section(big),
            interface(big, 276, Some(0)),
            packet(big, 0, time, &[1; 9]),
            block(big, 3, &[words(big, &[10]), vec![1; 10]].concat()),
        ];
        let (seen, counts) = read(&file.concat());
        let expected = [
            (time, 5000, Link::Ethernet, 5),
            (time, 6, Link::Raw, 6),
            (time, 500_000_000, Link::LinuxSll, 7),
            (time, 0, Link::LinuxSll2, 9),
            (time, 0, Link::LinuxSll2, 10),
        ];
        assert_eq!(seen, expected);
        let counts = counts.unwrap();
        assert_eq!((counts.packets, counts.dropped, counts.unknown_links), (6, Some(13), 1));
    }
}

#[test]
fn a_file_that_ends_within_a_packet_is_read_up_to_it() {
    let whole =
        [pcap(false, 0xa1b2_c3d4, 1), words(false, &[5, 0, 2, 2]), vec![1; 2], words(false, &[6, 0, 90, 90])];
    let (seen, counts) = read(&whole.concat());
    assert_eq!((seen.len(), counts.unwrap().truncated), (1, true));
    let ng = [section(false), interface(false, 1, None), packet(false, 0, 1, &[1; 40])].concat();
    let (seen, counts) = read(&ng[..ng.len() - 9]);
    assert_eq!((seen.len(), counts.unwrap().truncated), (0, true));
}

#[test]
fn faults_name_the_file_the_block_and_its_place() {
    let fault = |bytes: &[u8]| read(bytes).1.unwrap_err();
    assert_eq!(fault(b"#!/bin/sh\nexit 0 # and so on\n"), "x.pcap: is neither a pcap nor a pcapng file");
    assert_eq!(fault(b""), "x.pcap: is neither a pcap nor a pcapng file");
    let strange = [section(false), packet(false, 2, 1, &[1; 4])].concat();
    assert_eq!(
        fault(&strange),
        "x.pcap: block 2 at byte 28: a packet of interface 2, which the file does not describe"
    );
    let mut broken = [section(false), interface(false, 1, None), packet(false, 0, 1, &[1; 4])].concat();
    let last = broken.len() - 4;
    broken[last] ^= 0x40;
    assert_eq!(fault(&broken), "x.pcap: block 3 at byte 48: its header or its length is broken");
    for big in [false, true] {
        let short = [section(big), words(big, &[0x8000_0001, 8, 0, 0])].concat();
        assert_eq!(fault(&short), "x.pcap: block 2 at byte 28: its header or its length is broken");
        let dated = [pcap(big, 0xa1b2_c3d4, 1), words(big, &[0x8000_0001, 8, 4, 4, 0])].concat();
        assert_eq!(read(&dated).0, [(0x8000_0001, 8000, Link::Ethernet, 4)], "a packet of a pcap file");
    }
    let huge =
        [pcap(false, 0xa1b2_c3d4, 1), words(false, &[5, 0, 1 << 30, 1 << 30]), vec![0; 1 << 19]].concat();
    let text = read(&huge).1.map(|counts| counts.truncated);
    assert!(text == Ok(true) || text.is_err_and(|text| text.contains("block 2 at byte 24")));
    let missing = Capture::open(Path::new("/nowhere/x.pcap")).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/x.pcap: No such file"), "{missing}");
    assert!(Capture::open(Path::new("/")).unwrap_err().to_string().starts_with("/: "));
}

#[test]
fn a_packet_larger_than_the_buffer_is_read() {
    let size = BUFFER as u32 + 1000;
    let file = [
        pcap(false, 0xa1b2_c3d4, 1),
        words(false, &[5, 0, size, size]),
        vec![1; size as usize],
        words(false, &[6, 0, 1, 1]),
        vec![1],
    ];
    let (seen, counts) = read(&file.concat());
    assert_eq!((seen.len(), counts.unwrap().packets), (2, 2));
}

/// A pipe, which gives a few bytes at a time.
struct Pipe(Vec<u8>);

impl io::Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.0.len().min(7).min(buffer.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0.drain(..length);
        Ok(length)
    }
}

#[test]
fn a_capture_that_comes_through_a_pipe_is_read_as_a_file() {
    let pcapng = [section(false), interface(false, 1, None), packet(false, 0, 7, &[1; 60])].concat();
    for (bytes, packets) in [(pcap(false, 0xa1b2_c3d4, 1), 0), (pcapng, 1)] {
        let mut capture = Capture::from_bytes(Path::new("pipe"), Pipe(bytes)).unwrap();
        capture.read(&mut |_| {}).unwrap();
        assert_eq!(capture.counts().packets, packets);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_files_are_read_as_far_as_they_go(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
        cut in any::<prop::sample::Index>(),
        is_ng: bool,
    ) {
        let mut file = if is_ng {
            [section(false), interface(false, 1, Some(9)), packet(false, 0, 1, &[1; 40]), packet(false, 0, 2, &[2; 40])].concat()
        } else {
            [pcap(false, 0xa1b2_c3d4, 1), words(false, &[5, 0, 40, 40]), vec![1; 40], words(false, &[6, 0, 40, 40]), vec![1; 40]].concat()
        };
        let (seen, counts) = read(&file);
        prop_assert_eq!((seen.len(), counts.unwrap().truncated), (2, false));
        for (place, byte) in flips {
            let place = place.index(file.len());
            file[place] ^= byte;
        }
        let (seen, _) = read(&file[..cut.index(file.len())]);
        prop_assert!(seen.len() <= 2);
    }
}
