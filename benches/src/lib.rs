//! What the benchmarks share: speech-like features without a recording, so that they run anywhere.

pub mod rtp;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use vouch_dsp::features::LogMel;
use vouch_dsp::network::{Scratch, ScratchSizes, scratch_sizes};
use vouch_dsp::sizes::MELS;

/// `count` frames that differ from each other; what an embedding costs does not depend on what is said.
pub fn frames(count: usize) -> Vec<LogMel> {
    let value = |frame: usize, mel: usize| ((frame * 37 + mel * 101) % 4096) as i16 + 3000;
    (0..count).map(|frame| std::array::from_fn::<i16, MELS, _>(|mel| value(frame, mel))).collect()
}

/// One second of a harmonic sound at 8 kHz with a moving pitch.
pub fn second_of_sound() -> Vec<i16> {
    let mut phase = 0.0_f64;
    let sample = |index: usize| {
        phase += (110.0 + 20.0 * (index as f64 / 8000.0 * 6.0).sin()) / 8000.0;
        let voice: f64 =
            (1..20).map(|n| (std::f64::consts::TAU * phase * f64::from(n)).sin() / f64::from(n)).sum();
        (voice * 4000.0) as i16
    };
    (0..8000).map(sample).collect()
}

/// Memory for embeddings of up to so many frames.
#[derive(Debug)]
pub struct Memory {
    narrow: Vec<u8>,
    wide: Vec<i16>,
}

impl Memory {
    /// Memory for up to `frames` frames.
    pub fn new(frames: usize) -> Self {
        let ScratchSizes { narrow, wide } = scratch_sizes(frames);
        Self { narrow: vec![0; narrow], wide: vec![0; wide] }
    }

    /// Lends it.
    pub fn scratch(&mut self) -> Scratch<'_> {
        Scratch { narrow: &mut self.narrow, wide: &mut self.wide }
    }
}

/// A moment of this thread's processor time: other programs do not count.
#[derive(Clone, Copy, Debug)]
pub struct ThreadTime(TimeSpec);

impl ThreadTime {
    /// Now.
    ///
    /// # Panics
    /// Where the system has no such clock, which Linux has.
    pub fn now() -> Self {
        Self(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock"))
    }

    /// Milliseconds since then.
    pub fn elapsed_ms(self) -> f64 {
        let spent = Self::now().0 - self.0;
        spent.tv_sec() as f64 * 1e3 + spent.tv_nsec() as f64 / 1e6
    }
}
