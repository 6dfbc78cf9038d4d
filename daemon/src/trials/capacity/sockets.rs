//! What packets cost, measured with real sockets over loopback.

use super::{median_seconds, thread_time};
use crate::engine::PacketPath;
use crate::engine::codec::PayloadMap;
use crate::sys::media_socket::{Batch, MediaSocket};
use crate::trials::OfflineError;
use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use vouch_dsp::codec::g711::Law;
use vouch_dsp::features::Band;

/// Packets of a stream in a second.
pub(super) const PACKETS_PER_SECOND: usize = 50;
/// Calls that take turns, so that each finds the processor's caches as full of others as on a busy box.
const CALLS: usize = 200;
/// Packets that a receiver finds on a socket.
const AT_ONCE: usize = 2;
/// Rounds that are measured, and rounds before them.
const ROUNDS: usize = 50;
const WARM_UP: usize = 10;
const RTP_HEADER: usize = 12;

/// Processor time of a packet, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacketCost {
    /// From the socket to features: a packet of the caller.
    pub path_us: f64,
    /// Of that, to take it from its socket.
    pub receive_us: f64,
    /// Until it lies in a socket: sending over loopback and delivery, in place of a network card's driver.
    pub kernel_us: f64,
}

/// One call's socket and way to features.
struct Call {
    socket: MediaSocket,
    address: SocketAddr,
    path: PacketPath,
}

impl PacketCost {
    /// Measures with `pcm` as what is said.
    ///
    /// # Errors
    /// [`OfflineError::Loopback`] when the system gives no sockets.
    pub(super) fn measure(pcm: &[i16]) -> Result<Self, OfflineError> {
        let packets = packets(pcm);
        let alone_s = median_seconds(|| {
            let mut path = PacketPath::new(PayloadMap::default());
            let now = Instant::now();
            packets.iter().for_each(|bytes| path.take(bytes, now));
            black_box(path.net_speech_frames());
            Ok(())
        })?;
        let alone_us = alone_s * 1e6 / packets.len() as f64;
        let [kernel_us, path_us] = over_loopback(&packets).map_err(OfflineError::Loopback)?;
        Ok(Self { path_us, receive_us: (path_us - alone_us).max(0.0), kernel_us })
    }
}

/// Microseconds to send a packet, and to take it to features.
fn over_loopback(packets: &[Vec<u8>]) -> io::Result<[f64; 2]> {
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut calls = (0..CALLS).map(|_| Call::open()).collect::<Result<Vec<_>, _>>()?;
    let mut batch = Batch::new();
    let [mut sending, mut taking] = [Duration::ZERO; 2];
    for (round, pair) in packets.chunks_exact(AT_ONCE).cycle().take(WARM_UP + ROUNDS).enumerate() {
        let start = thread_time();
        for call in &calls {
            for packet in pair {
                sender.send_to(packet, call.address)?;
            }
        }
        let sent = thread_time();
        for call in &mut calls {
            call.take(&mut batch)?;
        }
        if round >= WARM_UP {
            sending += sent - start;
            taking += thread_time() - sent;
        }
    }
    let measured = (ROUNDS * CALLS * AT_ONCE) as f64;
    Ok([sending, taking].map(|time| time.as_secs_f64() * 1e6 / measured))
}

impl Call {
    fn open() -> io::Result<Self> {
        let socket = MediaSocket::bind(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)?;
        let address = socket.address()?;
        Ok(Self { socket, address, path: PacketPath::new(PayloadMap::default()) })
    }

    /// What a receiver does with a call.
    fn take(&mut self, batch: &mut Batch) -> io::Result<()> {
        self.socket.receive(batch)?;
        let now = Instant::now();
        batch.datagrams().for_each(|datagram| self.path.take(datagram.bytes, now));
        Ok(())
    }
}

/// RTP packets of 20 ms mu-law.
fn packets(pcm: &[i16]) -> Vec<Vec<u8>> {
    let payloads = pcm.chunks_exact(Band::Narrow.sample_rate() / PACKETS_PER_SECOND);
    payloads
        .zip(0u16..)
        .map(|(samples, sequence)| {
            let mut packet = vec![0x80, 0];
            packet.extend(sequence.to_be_bytes());
            packet.extend((u32::from(sequence) * samples.len() as u32).to_be_bytes());
            packet.extend([0; 4]);
            debug_assert_eq!(packet.len(), RTP_HEADER);
            packet.extend(samples.iter().map(|&sample| Law::Mu.encode(sample)));
            packet
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::speech_like;
    use super::*;
    use crate::wire::rtp::RtpPacket;

    #[test]
    fn the_packets_are_rtp_and_carry_the_sound() {
        let pcm = speech_like(1_600);
        let packets = packets(&pcm);
        assert_eq!(packets.len(), 10);
        let last = RtpPacket::parse(&packets[9]).unwrap();
        assert_eq!((last.sequence, last.timestamp, last.payload.len()), (9, 1_440, 160));
        assert!(pcm.iter().any(|sample| sample.abs() > 4_000));
    }

    #[test]
    fn a_packet_costs_something_everywhere() {
        let cost = PacketCost::measure(&speech_like(8_000)).unwrap();
        assert!(cost.kernel_us > 0.0 && cost.path_us > cost.receive_us, "{cost:?}");
    }
}
