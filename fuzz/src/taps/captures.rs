//! Capture files and frames of any bytes.

use super::{Bench, Heard, MAX_CALLS};
use crate::choices::Choices;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;
use vouch::tap::capture::{Capture, CaptureCounts, CaptureError};
use vouch::tap::{Frame, Link};

const IDLE: Duration = Duration::from_secs(600);

/// A capture file: read at once and a few bytes at a time it says the same, and its frames go through a tap.
pub fn capture(data: &[u8]) {
    let whole = read(data, usize::MAX);
    assert!(whole == read(data, 7), "a file says something else when it comes slowly");
    let Ok((packets, _)) = whole else { return };
    let mut bench = Bench::new(MAX_CALLS, IDLE);
    for Packet { at, link, bytes } in packets {
        bench.now = at;
        bench.frame(link, &bytes);
    }
    bench.finish();
}

#[derive(PartialEq)]
struct Packet {
    at: Duration,
    link: Link,
    bytes: Vec<u8>,
}

/// What a file gives: packets, and what it says of itself or what is wrong with it.
type Read_ = Result<(Vec<Packet>, Result<CaptureCounts, String>), String>;

fn read(data: &[u8], at_once: usize) -> Read_ {
    let source = Slow { data: data.to_vec(), read: 0, at_once };
    let mut capture = Capture::from_bytes(Path::new("x.pcap"), source).map_err(|error| error.to_string())?;
    let mut packets = Vec::new();
    let outcome = capture.read(&mut |&Frame { at, link, bytes }| {
        packets.push(Packet { at, link, bytes: bytes.to_vec() });
    });
    let counts = capture.counts();
    assert_eq!(packets.len() as u64 + counts.unknown_links, counts.packets);
    let length: usize = packets.iter().map(|packet| packet.bytes.len()).sum();
    assert!(length <= data.len(), "more bytes than the file has");
    if let Err(CaptureError::Block { offset, block, .. }) = &outcome {
        assert!(*offset <= data.len() as u64 && *block > 0, "block {block} at {offset}");
    }
    Ok((packets, outcome.map(|()| counts).map_err(|error| error.to_string())))
}

/// A file that comes `at_once` bytes at a time.
struct Slow {
    data: Vec<u8>,
    read: usize,
    at_once: usize,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &self.data[self.read..];
        let length = left.len().min(self.at_once).min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.read += length;
        Ok(length)
    }
}

/// Frames: each is its link, the time since the one before in units of 20 ms, its length in two bytes, and its bytes.
pub fn frames(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut bench = Bench::new(MAX_CALLS, IDLE);
    let mut rest = choices.rest();
    while let Some((head, behind)) = rest.split_at_checked(4) {
        let length = usize::from(head[2]) << 8 | usize::from(head[3]);
        let (bytes, behind) = behind.split_at(length.min(behind.len()));
        rest = behind;
        let links = [Link::Ethernet, Link::Raw, Link::LinuxSll, Link::LinuxSll2, Link::Loopback];
        bench.now += Duration::from_millis(20 * u64::from(head[1]));
        for heard in bench.frame(links[usize::from(head[0]) % links.len()], bytes) {
            if let Heard::Packet { bytes: packet, .. } = heard {
                assert!(packet.len() <= 65_535, "a packet longer than IP can carry");
            }
        }
    }
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.tap.held().datagrams, 0, "fragments wait for ever");
    bench.finish();
}
