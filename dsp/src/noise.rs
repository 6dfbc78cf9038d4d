//! Noise added to speech in the log-mel domain, where the speech of a call is kept.
//!
//! A noisy frame's mel energies are, on average, the sum of the speech's and the noise's. The noise is five seconds of
//! many people talking, over and over (`daemon/examples/babble.rs` says how the file is made). Artificial noise moves
//! embeddings farther than any real one and helped less (`docs/scoring.md`). The same frames always get the same noise.

use crate::features::{LogMel, exp, fixed, ln_q20};
use crate::sizes::MELS;

/// Frames of the noise.
pub const FRAMES: usize = 500;

/// How far each mel bin of each frame lies below the loudest, in sixteenths of a neper of power.
static BABBLE: &[u8; FRAMES * MELS] = include_bytes!("noise/babble.mel");

/// Adds noise to the first `mels` bins of `frames`, so many dB below the power of the speech there.
pub fn add_babble(frames: &mut [LogMel], mels: usize, below_db: u8) {
    let level = |frame: &LogMel| total_q9(frame[..mels].iter().map(|&value| i32::from(value)));
    if frames.is_empty() || mels == 0 {
        return;
    }
    let speech_q9 = total_q9(frames.iter().map(level)) - ln_q9(frames.len() as u64);
    let babble_q9 = total_q9((0..FRAMES).map(|at| level(&babble(at)))) - ln_q9(FRAMES as u64);
    let gain_q9 = speech_q9 - babble_q9 - i32::from(below_db) * DECIBEL_Q12 / 8;
    for (at, frame) in frames.iter_mut().enumerate() {
        for (value, noise) in frame[..mels].iter_mut().zip(babble(at % FRAMES)) {
            let sum = sum_q9(i32::from(*value), i32::from(noise) + gain_q9);
            *value = sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    }
}

/// A decibel of power, in nepers of power, Q12.
const DECIBEL_Q12: i32 = fixed(core::f64::consts::LN_10 / 10.0, 12) as i32;

/// A frame of the noise; its loudest bin is at 0.
fn babble(at: usize) -> LogMel {
    core::array::from_fn(|mel| -(i16::from(BABBLE[at * MELS + mel]) << 5))
}

/// Steps per neper of the table of e^-x, and the nepers that it covers: what is below adds less than 1e-6.
const STEPS: usize = 64;
const NEPERS: usize = 14;

static EXP_MINUS_Q20: [u32; STEPS * NEPERS] = {
    let mut table = [0; STEPS * NEPERS];
    let mut index = 0;
    while index < table.len() {
        table[index] = fixed(exp(-(index as f64) / STEPS as f64), 20) as u32;
        index += 1;
    }
    table
};

/// e^-x, Q20, of an x of 0 or more in Q9.
fn exp_minus_q20(x_q9: i32) -> u32 {
    EXP_MINUS_Q20.get(x_q9 as usize * STEPS / 512).copied().unwrap_or(0)
}

/// Natural logarithm, Q9.
fn ln_q9(value: u64) -> i32 {
    ln_q20(value) >> 11
}

/// Logarithm of the sum of two energies, all Q9.
fn sum_q9(a: i32, b: i32) -> i32 {
    let (high, low) = (a.max(b), a.min(b));
    high + ((ln_q20((1 << 20) + u64::from(exp_minus_q20(high - low))) - ln_q20(1 << 20)) >> 11)
}

/// Logarithm of the sum of many energies, all Q9.
fn total_q9(levels: impl Iterator<Item = i32> + Clone) -> i32 {
    let top = levels.clone().max().unwrap_or(0);
    let sum: u64 = levels.map(|level| u64::from(exp_minus_q20(top - level))).sum();
    top + ((ln_q20(sum) - ln_q20(1 << 20)) >> 11)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    fn mean_energy(frames: &[LogMel], mels: usize) -> f64 {
        let energy =
            |frame: &LogMel| frame[..mels].iter().map(|&v| (f64::from(v) / 512.0).exp()).sum::<f64>();
        frames.iter().map(energy).sum::<f64>() / frames.len() as f64
    }

    #[test]
    fn the_noise_has_the_level_asked_for() {
        for (mels, db, share) in [(58, 10, 0.1), (80, 5, 0.316), (80, 0, 1.0)] {
            let speech = vec![[6_000; MELS]; 3 * FRAMES];
            let mut noisy = speech.clone();
            add_babble(&mut noisy, mels, db);
            let added = mean_energy(&noisy, mels) / mean_energy(&speech, mels) - 1.0;
            assert!((added / share - 1.0).abs() < 0.05, "{mels} bins at {db} dB: {added}");
        }
    }

    #[test]
    fn bins_above_the_band_stay() {
        let mut noisy = [[5_000; MELS]; 100];
        add_babble(&mut noisy, 58, 5);
        assert!(noisy.iter().all(|frame| frame[58..] == [5_000; MELS - 58]));
        assert!(noisy.iter().all(|frame| frame[..58].iter().all(|&value| value >= 5_000)));
        assert!(noisy.iter().any(|frame| frame[..58].iter().any(|&value| value > 5_100)));
    }

    #[test]
    fn any_levels_are_taken() {
        for level in [i16::MIN, 0, i16::MAX] {
            let mut frames = vec![[level; MELS]; 10];
            frames[3] = [i16::MAX; MELS];
            add_babble(&mut frames, MELS, 0);
            add_babble(&mut frames, MELS, u8::MAX);
        }
        add_babble(&mut [], MELS, 10);
    }
}
