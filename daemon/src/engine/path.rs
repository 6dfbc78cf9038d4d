//! The packet path alone, without sockets, threads and slots: for measuring what a packet costs, and for feeding it
//! what no socket would.

use super::codec::PayloadMap;
use super::ear::Ear;
use super::stream::{MediaSource, Stream, Traffic};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;
use vouch_dsp::listener::Quality;

/// One caller's stream from RTP bytes to speech frames, as a call slot has it.
#[derive(Debug)]
pub struct PacketPath {
    stream: Stream,
    ear: Ear,
}

impl PacketPath {
    /// A path that takes packets from [`Self::SOURCE`].
    pub fn new(payloads: PayloadMap) -> Self {
        let mut stream = Stream::default();
        let (signalled, peer) = (Some(Self::SOURCE), Self::SOURCE.ip());
        stream.set_source(MediaSource { signalled, peer, payloads, sending: true, crypto: None });
        Self { stream, ear: Ear::new() }
    }

    /// Where its packets come from.
    pub const SOURCE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

    /// Takes a datagram from [`Self::SOURCE`].
    pub fn take(&mut self, bytes: &[u8], now: Instant) {
        if let Some(packet) = self.stream.take_clear(bytes, Self::SOURCE, now) {
            self.ear.take(&packet, &self.stream.payloads, now);
        }
    }

    /// Gives up packets that have been missing for too long.
    pub fn tick(&mut self, now: Instant) {
        self.ear.tick(&self.stream.payloads, now);
    }

    /// Frames of net speech so far.
    pub fn net_speech_frames(&self) -> u64 {
        self.ear.speech_frames()
    }

    /// Figures of the audio so far.
    pub fn quality(&self) -> Quality {
        self.ear.quality()
    }

    /// What became of the packets so far.
    pub fn traffic(&self) -> Traffic {
        let mut traffic = self.ear.traffic();
        traffic.add(&self.stream.traffic);
        traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::codec::Payload;
    use proptest::prelude::*;
    use std::time::Duration;

    /// RTP headers near each other, with any payload type and payload, and bytes that are no RTP.
    fn datagram() -> impl Strategy<Value = Vec<u8>> {
        let header = (0u8..=127, 0u16..60, 0u32..20_000, 0u8..3);
        let payload = proptest::collection::vec(any::<u8>(), 0..400);
        let rtp = (header, payload).prop_map(|((kind, sequence, timestamp, ssrc), payload)| {
            let kind = if kind > 20 { kind % 3 * 8 } else { kind };
            let mut bytes = vec![0x80, kind];
            bytes.extend(sequence.to_be_bytes());
            bytes.extend(timestamp.to_be_bytes());
            bytes.extend([0, 0, 0, ssrc]);
            bytes.extend(payload);
            bytes
        });
        prop_oneof![9 => rtp, 1 => proptest::collection::vec(any::<u8>(), 0..40)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_datagrams_are_taken_or_counted(datagrams in proptest::collection::vec((datagram(), 0u64..300), 0..120)) {
            let mut payloads = PayloadMap::default();
            payloads.set(16, Payload::TelephoneEvent { clock_khz: 8 });
            let mut path = PacketPath::new(payloads);
            let mut now = Instant::now();
            for (bytes, wait) in &datagrams {
                path.take(bytes, now);
                now += Duration::from_millis(*wait);
                path.tick(now);
            }
            let traffic = path.traffic();
            prop_assert_eq!(traffic.wrong_source, 0);
            prop_assert!(traffic.packets + traffic.malformed + traffic.rtcp >= datagrams.len() as u64);
            prop_assert!(traffic.packets <= datagrams.len() as u64);
            prop_assert!(path.net_speech_frames() * 10 <= u64::from(path.quality().heard_ms));
        }
    }
}
