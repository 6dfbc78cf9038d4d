//! `vouchctl capacity`: how many calls this box carries, measured on it, and what limits them.

mod bounds;
mod sockets;

use super::OfflineError;
use super::voice::Voice;
use bounds::{Bounds, Reason};
use nix::time::{ClockId, clock_gettime};
use serde_json::json;
use sockets::{PACKETS_PER_SECOND, PacketCost};
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;
use vouch_dsp::features::Band;
use vouch_dsp::listener::{Listener, Origin};
use vouch_dsp::sizes::FRAMES_PER_SECOND;

/// Net speech of the embedding that is timed: that of a verification.
const EMBEDDING_S: usize = 10;
/// Audio that the front end is timed with.
const AUDIO_S: usize = 20;
/// Each figure is the median of so many runs.
const RUNS: usize = 5;
/// A call is reckoned with one embedding in so many seconds: a verification and, on most calls, no second one.
const SECONDS_PER_EMBEDDING: f64 = 60.0;
/// Share of the processors that calls may take: the rest is for the gateway's bursts, SIP and the socket.
const USABLE: f64 = 0.8;

/// What was measured. Times are those of the processor, so a busy box gives the same figures as an idle one.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Name of the processor.
    pub cpu: String,
    /// Kernel that runs the network.
    pub kernel: String,
    /// Processors.
    pub cores: usize,
    /// Time of one embedding of 10 s of net speech, one thread, in ms.
    pub embedding_10s_ms: f64,
    /// Seconds of audio that detector and features take in a second.
    pub frontend_x_realtime: f64,
    /// What packets cost, with their sockets.
    pub packet: PacketCost,
    /// What else limits the number of calls.
    pub bounds: Bounds,
}

impl Capacity {
    /// Measures on this box, in a few seconds.
    ///
    /// # Errors
    /// [`OfflineError`] when the model is damaged, or loopback has no sockets.
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
        Ok(Self {
            cpu: cpu_name(),
            kernel: voice.kernel().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            embedding_10s_ms: embedding_s * 1e3,
            frontend_x_realtime: AUDIO_S as f64 / frontend_s,
            packet: PacketCost::measure(&pcm)?,
            bounds: Bounds::of_this_box(),
        })
    }

    /// Calls at once that one core carries: both streams send all the time, and there is an embedding a minute.
    pub fn calls_per_core(&self) -> u32 {
        let [packets, embeddings] = self.shares();
        (USABLE / (packets + embeddings)) as u32
    }

    /// Calls at once that the box carries, and why not more.
    pub fn calls(&self) -> (u64, Reason) {
        let [packets, embeddings] = self.shares();
        let reason = if packets > embeddings { Reason::Packets } else { Reason::Embeddings };
        let processor = (self.cores as f64 * USABLE / (packets + embeddings)) as u64;
        self.bounds.lowest((processor, reason))
    }

    /// Share of a core that a call takes, for its packets and for its embeddings.
    fn shares(&self) -> [f64; 2] {
        let heard = self.packet.path_us * PACKETS_PER_SECOND as f64;
        let delivered = self.packet.kernel_us * 2.0 * PACKETS_PER_SECOND as f64;
        [(heard + delivered) * 1e-6, self.embedding_10s_ms * 1e-3 / SECONDS_PER_EMBEDDING]
    }
}

/// Measures and prints.
///
/// # Errors
/// As [`Capacity::measure`], and what `out` says.
pub fn run(json: bool, out: &mut dyn Write) -> Result<(), OfflineError> {
    let capacity = Capacity::measure()?;
    if json { print_json(&capacity, out) } else { print_text(&capacity, out) }
}

fn print_json(capacity: &Capacity, out: &mut dyn Write) -> Result<(), OfflineError> {
    let Capacity { packet, bounds, .. } = capacity;
    let (calls, reason) = capacity.calls();
    let object = json!({
        "cpu": capacity.cpu,
        "kernel": capacity.kernel,
        "cores": capacity.cores,
        "embedding_10s_ms": capacity.embedding_10s_ms,
        "frontend_x_realtime": capacity.frontend_x_realtime,
        "packet_path_us": packet.path_us,
        "packet_receive_us": packet.receive_us,
        "packet_kernel_us": packet.kernel_us,
        "calls_per_core": capacity.calls_per_core(),
        "memory_per_call_bytes": Bounds::memory_per_call(),
        "calls": calls,
        "limited_by": reason.word(),
        "calls_by_memory": bounds.memory,
        "calls_by_files": bounds.files,
        "calls_by_ports": bounds.ports,
    });
    Ok(writeln!(out, "{object}")?)
}

fn print_text(capacity: &Capacity, out: &mut dyn Write) -> Result<(), OfflineError> {
    let Capacity { packet, bounds, .. } = capacity;
    let (calls, reason) = capacity.calls();
    writeln!(
        out,
        "processor           {}, {} cores, kernel {}",
        capacity.cpu, capacity.cores, capacity.kernel
    )?;
    writeln!(out, "embedding of 10 s   {:.1} ms", capacity.embedding_10s_ms)?;
    writeln!(out, "front end           {:.0} times real time", capacity.frontend_x_realtime)?;
    writeln!(
        out,
        "packet to features  {:.1} us, of which {:.1} us to receive it",
        packet.path_us, packet.receive_us
    )?;
    writeln!(
        out,
        "packet in the system {:.1} us until it lies in the socket (over loopback)",
        packet.kernel_us
    )?;
    writeln!(
        out,
        "calls per core      {} (two streams all the time, an embedding every {SECONDS_PER_EMBEDDING} s, {:.0} % of the core)",
        capacity.calls_per_core(),
        USABLE * 100.0
    )?;
    writeln!(
        out,
        "memory per call     {} KiB, room for {} calls",
        Bounds::memory_per_call() / 1024,
        bounds.memory
    )?;
    writeln!(out, "open files          room for {} calls, as far as this shell is allowed", bounds.files)?;
    writeln!(out, "UDP ports           room for {} calls, if `rtp-ports` has them all", bounds.ports)?;
    Ok(writeln!(out, "this box carries    {calls} calls, limited by {}", reason.text())?)
}

/// Median of the processor time that `work` takes.
fn median_seconds(mut work: impl FnMut() -> Result<(), OfflineError>) -> Result<f64, OfflineError> {
    let mut times = [0.0; RUNS];
    for time in &mut times {
        let start = thread_time();
        work()?;
        *time = (thread_time() - start).as_secs_f64();
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

/// Processor time of this thread so far.
fn thread_time() -> Duration {
    // Every Linux has this clock.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
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

/// Model name as Linux gives it, or the architecture where it gives none.
fn cpu_name() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(packet_us: f64, embedding_ms: f64) -> Capacity {
        Capacity {
            cpu: String::new(),
            kernel: String::new(),
            cores: 2,
            embedding_10s_ms: embedding_ms,
            frontend_x_realtime: 1000.0,
            packet: PacketCost { path_us: packet_us, receive_us: 1.0, kernel_us: 0.0 },
            bounds: Bounds { memory: 1000, files: 2000, ports: 3000 },
        }
    }

    #[test]
    fn calls_share_a_core_by_what_they_cost() {
        // 50 packets of 20 us are 1 ms a second, 300 ms a minute are 5 ms a second: 6 ms in all, of 800.
        let capacity = capacity(20.0, 300.0);
        assert_eq!(capacity.calls_per_core(), 133);
        assert_eq!(capacity.calls(), (266, Reason::Embeddings));
    }

    #[test]
    fn the_lowest_bound_decides_and_is_named() {
        assert_eq!(capacity(100.0, 60.0).calls(), (266, Reason::Packets));
        assert_eq!(capacity(1.0, 6.0).calls(), (1000, Reason::Memory));
    }
}
