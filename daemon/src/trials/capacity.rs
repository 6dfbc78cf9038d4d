//! `vouchctl capacity`: how many calls this box carries, measured on it.

use super::OfflineError;
use super::voice::Voice;
use crate::engine::PacketPath;
use crate::engine::codec::PayloadMap;
use serde_json::json;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;
use vouch_dsp::codec::g711::Law;
use vouch_dsp::features::Band;
use vouch_dsp::listener::{Listener, Origin};
use vouch_dsp::sizes::FRAMES_PER_SECOND;

/// Net speech of the embedding that is timed: that of a verification.
const EMBEDDING_S: usize = 10;
/// Audio that the front end is timed with.
const AUDIO_S: usize = 20;
/// Each figure is the median of so many runs.
const RUNS: usize = 5;
/// Packets of a call in a second.
const PACKETS_PER_SECOND: usize = 50;
/// A call is reckoned with one embedding in so many seconds: a verification and, on most calls, no second one.
const SECONDS_PER_EMBEDDING: f64 = 60.0;
const RTP_HEADER: usize = 12;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Name of the processor.
    pub cpu: String,
    /// Kernel that runs the network.
    pub kernel: String,
    /// Time of one embedding of 10 s of net speech, one thread, in ms.
    pub embedding_10s_ms: f64,
    /// Seconds of audio that detector and features take in a second.
    pub frontend_x_realtime: f64,
    /// Time of one packet from its bytes to features, in microseconds.
    pub packet_path_us: f64,
}

impl Capacity {
    /// Measures on this box, in a few seconds.
    ///
    /// # Errors
    /// [`OfflineError`] when the model is damaged.
    pub fn measure() -> Result<Self, OfflineError> {
        let mut voice = Voice::new()?;
        let frames = EMBEDDING_S * FRAMES_PER_SECOND;
        let embedding_s = median_seconds(|| voice.embed_silence(frames))?;
        let pcm = speech_like(AUDIO_S * Band::Narrow.sample_rate());
        let frontend_s = median_seconds(|| {
            let mut listener = Listener::new(Band::Narrow);
            for packet in pcm.chunks(Band::Narrow.sample_rate() / PACKETS_PER_SECOND) {
                listener.hear(packet, Origin::Heard, |frame| _ = black_box(frame));
            }
            Ok(())
        })?;
        let packets = packets(&pcm);
        let packets_s = median_seconds(|| {
            black_box(hear_packets(&packets));
            Ok(())
        })?;
        Ok(Self {
            cpu: cpu_name(),
            kernel: voice.kernel().to_owned(),
            embedding_10s_ms: embedding_s * 1e3,
            frontend_x_realtime: AUDIO_S as f64 / frontend_s,
            packet_path_us: packets_s * 1e6 / packets.len() as f64,
        })
    }

    /// Calls at once that one core carries, each with packets all the time and an embedding a minute.
    pub fn calls_per_core(&self) -> u32 {
        let packets = self.packet_path_us * 1e-6 * PACKETS_PER_SECOND as f64;
        let embeddings = self.embedding_10s_ms * 1e-3 / SECONDS_PER_EMBEDDING;
        (1.0 / (packets + embeddings)) as u32
    }
}

/// Measures and prints.
///
/// # Errors
/// As [`Capacity::measure`], and what `out` says.
pub fn run(json: bool, out: &mut dyn Write) -> Result<(), OfflineError> {
    let capacity = Capacity::measure()?;
    if json {
        let object = json!({
            "cpu": capacity.cpu,
            "kernel": capacity.kernel,
            "embedding_10s_ms": capacity.embedding_10s_ms,
            "frontend_x_realtime": capacity.frontend_x_realtime,
            "packet_path_us": capacity.packet_path_us,
            "calls_per_core": capacity.calls_per_core(),
        });
        writeln!(out, "{object}")?;
    } else {
        writeln!(out, "processor           {}, kernel {}", capacity.cpu, capacity.kernel)?;
        writeln!(out, "embedding of 10 s   {:.1} ms", capacity.embedding_10s_ms)?;
        writeln!(out, "front end           {:.0} times real time", capacity.frontend_x_realtime)?;
        writeln!(out, "packet to features  {:.1} us", capacity.packet_path_us)?;
        writeln!(
            out,
            "calls per core      {} (packets all the time, an embedding every {SECONDS_PER_EMBEDDING} s)",
            capacity.calls_per_core()
        )?;
    }
    Ok(())
}

fn median_seconds(mut work: impl FnMut() -> Result<(), OfflineError>) -> Result<f64, OfflineError> {
    let mut times = [0.0; RUNS];
    for time in &mut times {
        let start = Instant::now();
        work()?;
        *time = start.elapsed().as_secs_f64();
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

/// A voice-like buzz of 140 Hz that comes and goes four times a second: what a packet costs does not depend on what
/// is said, but much of it must count as speech.
fn speech_like(samples: usize) -> Vec<i16> {
    let rate = Band::Narrow.sample_rate() as f64;
    let sample = |n: usize| {
        let t = n as f64 / rate;
        let phase = std::f64::consts::TAU * 140.0 * t;
        let voice: f64 = (1..20).map(|h| (phase * f64::from(h)).sin() / f64::from(h)).sum();
        let syllable = (std::f64::consts::TAU * 4.0 * t).sin().max(0.0);
        (4_000.0 * voice * syllable) as i16
    };
    (0..samples).map(sample).collect()
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

/// What the engine does with each packet of a stream, but for the socket.
fn hear_packets(packets: &[Vec<u8>]) -> u64 {
    let mut path = PacketPath::new(PayloadMap::default());
    let now = Instant::now();
    packets.iter().for_each(|bytes| path.take(bytes, now));
    path.net_speech_frames()
}

/// Model name as Linux gives it, or the architecture where it gives none.
fn cpu_name() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtp::RtpPacket;

    #[test]
    fn calls_share_a_core_by_what_they_cost() {
        let cpu = String::new();
        let capacity = Capacity {
            cpu: cpu.clone(),
            kernel: cpu,
            embedding_10s_ms: 300.0,
            frontend_x_realtime: 1000.0,
            packet_path_us: 20.0,
        };
        // 50 packets of 20 us are 1 ms a second, 300 ms a minute are 5 ms a second: 6 ms in all.
        assert_eq!(capacity.calls_per_core(), 166);
    }

    #[test]
    fn the_packets_are_rtp_and_carry_the_sound() {
        let pcm = speech_like(1_600);
        let packets = packets(&pcm);
        assert_eq!(packets.len(), 10);
        let last = RtpPacket::parse(&packets[9]).unwrap();
        assert_eq!((last.sequence, last.timestamp, last.payload.len()), (9, 1_440, 160));
        assert!(pcm.iter().any(|sample| sample.abs() > 4_000));
    }
}
