//! A telephone line: mu-law audio as RTP packets, with the faults of real networks on request.

use crate::srtp::Srtp;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Samples of a packet: 20 ms at 8 kHz.
const PACKET: usize = 160;
/// Sequence number of the first packet: it rolls over within a call.
const FIRST: u16 = 65_000;

/// Faults of a line. The default is a perfect one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Share of packets lost, 0 to 1.
    pub loss: f32,
    /// Most extra delay of a packet; packets overtake each other.
    pub jitter: Duration,
    /// Share of packets sent twice, 0 to 1.
    pub duplicates: f32,
}

/// One RTP packet and when it leaves, counted from the start of the talk.
struct Departure {
    at: Duration,
    packet: Vec<u8>,
}

/// Sends `mulaw` from `socket` to `target` in real time, as one RTP stream, through the faults of the line.
pub fn talk(socket: &UdpSocket, target: SocketAddr, mulaw: &[u8], faults: Faults, ssrc: u32) {
    send(socket, target, departures(mulaw, faults, ssrc, &|packet, _| packet));
}

/// The same over a perfect line, protected by `srtp`.
pub fn talk_secured(socket: &UdpSocket, target: SocketAddr, mulaw: &[u8], srtp: &Srtp, ssrc: u32) {
    let protect = |packet, index| srtp.protect(packet, index);
    send(socket, target, departures(mulaw, Faults::default(), ssrc, &protect));
}

fn send(socket: &UdpSocket, target: SocketAddr, departures: Vec<Departure>) {
    let start = Instant::now();
    for departure in departures {
        std::thread::sleep((start + departure.at).saturating_duration_since(Instant::now()));
        socket.send_to(&departure.packet, target).expect("loopback takes every packet");
    }
}

/// `protect` gets each packet, and its index beyond 16 bits.
fn departures(
    mulaw: &[u8],
    faults: Faults,
    ssrc: u32,
    protect: &dyn Fn(Vec<u8>, u64) -> Vec<u8>,
) -> Vec<Departure> {
    // A fixed seed: every run meets the same faults.
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ u64::from(ssrc));
    let mut departures = Vec::new();
    for (index, payload) in mulaw.chunks(PACKET).enumerate() {
        let packet = protect(rtp(index, payload, ssrc), u64::from(FIRST) + index as u64);
        let copies = if dice.roll() < faults.duplicates { 2 } else { 1 };
        if dice.roll() < faults.loss {
            continue;
        }
        for _ in 0..copies {
            let at = Duration::from_millis(20 * index as u64) + faults.jitter.mul_f32(dice.roll());
            departures.push(Departure { at, packet: packet.clone() });
        }
    }
    departures.sort_by_key(|departure| departure.at);
    departures
}

/// RFC 3550 section 5.1: fixed header, payload type 0 (PCMU), marker on the first packet.
fn rtp(index: usize, payload: &[u8], ssrc: u32) -> Vec<u8> {
    let sequence = FIRST.wrapping_add(index as u16);
    let timestamp = 4_294_960_000_u32.wrapping_add((index * PACKET) as u32);
    let mut packet = vec![0x80, if index == 0 { 0x80 } else { 0 }];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// Repeatable random numbers (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    /// The next number, 0 to 1.
    fn roll(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1_u64 << 24) as f32
    }
}
