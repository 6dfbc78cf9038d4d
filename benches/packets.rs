//! The packet path: what one packet costs, alone and with its socket.
//!
//! `cargo bench -p vouch-benches --bench packets`. Compare figures of one run: absolute times are those of a machine.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};
use vouch::engine::PacketPath;
use vouch::engine::codec::PayloadMap;
use vouch::sys::media_socket::{Batch, MediaSocket};
use vouch::wire::rtp::RtpPacket;
use vouch_benches::rtp::Talk;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Mu-law.
const AUDIO: u8 = 0;
/// Comfort noise: through the jitter buffer, and no further.
const NOISE: u8 = 13;

fn in_memory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(1));
    let packet = Talk::new(AUDIO).next_packet().to_vec();
    group.bench_function("RTP header", |bencher| bencher.iter(|| RtpPacket::parse(&packet).is_ok()));
    for (name, payload_type) in [("jitter buffer", NOISE), ("to features", AUDIO)] {
        let (mut talk, mut path) = (Talk::new(payload_type), PacketPath::new(PayloadMap::default()));
        let now = Instant::now();
        group.bench_function(name, |bencher| bencher.iter(|| path.take(talk.next_packet(), now)));
    }
    group.finish();
}

/// Times `work` alone: before each run so many packets are sent.
fn with_packets(socket: &MediaSocket, packets: usize, runs: u64, mut work: impl FnMut()) -> Duration {
    let sender = UdpSocket::bind((LOCAL, 0)).expect("loopback has ports");
    let to = socket.address().expect("a bound socket has an address");
    let mut took = Duration::ZERO;
    for _ in 0..runs {
        (0..packets).for_each(|_| _ = sender.send_to(&[0x80; 172], to).expect("loopback takes every packet"));
        let start = Instant::now();
        work();
        took += start.elapsed();
    }
    took
}

fn sockets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("socket");
    let socket = MediaSocket::bind(LOCAL, 0).expect("loopback has ports");
    let mut batch = Batch::new();
    for packets in [0, 1, 2, 8] {
        group.bench_function(format!("{packets} packets in one call"), |bencher| {
            bencher
                .iter_custom(|runs| with_packets(&socket, packets, runs, || _ = socket.receive(&mut batch)));
        });
    }
    group.bench_function("count of a muted one", |bencher| bencher.iter(|| socket.dropped().is_ok()));
    group.finish();
}

criterion_group!(benches, in_memory, sockets);
criterion_main!(benches);
