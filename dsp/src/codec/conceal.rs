//! Concealment of lost packets at 8 and 16 kHz, in the spirit of G.711 Appendix I (09/1999).
//!
//! The last pitch period is repeated, at full level for 10 ms and then fading to silence at 60 ms;
//! the first good samples are faded in over the repetition. Unlike the appendix this adds no
//! delay: the seam to the last good sample is closed by an offset that dies out within a quarter
//! of a period. It keeps the ear (and the noise floor) from stumbling; the caller marks what was
//! invented as [`Origin::Concealed`](crate::listener::Origin), so that it never counts as speech.

use crate::features::Band;

// Lengths are in samples at 8 kHz; at 16 kHz they are twice as many.

/// Shortest pitch period that is looked for: 5 ms, 200 Hz; higher voices give a multiple.
const MIN_PERIOD: usize = 40;
/// Longest pitch period that is looked for: 15 ms, 66 Hz.
const MAX_PERIOD: usize = 120;
/// Newest samples that are compared with earlier ones: 20 ms.
const COMPARED: usize = 160;
/// Samples kept, enough for 16 kHz.
const HISTORY: usize = 2 * (MAX_PERIOD + COMPARED);
/// Samples at full level: 10 ms.
const FULL_LEVEL: usize = 80;
/// Samples until silence: 60 ms.
const SILENT_AFTER: usize = 480;

/// Remembers what was heard of one stream, and continues it.
#[derive(Clone, Debug)]
pub struct Concealer {
    /// Samples for each one at 8 kHz.
    factor: usize,
    /// Newest sample last; invented ones at full level.
    history: [i16; HISTORY],
    /// Pitch period of the running loss.
    period: usize,
    /// Samples invented in the running loss.
    invented: usize,
    /// Step at the seam of the running loss.
    seam: i32,
    /// Largest magnitude remembered when the running loss began: what closes the seam may not be louder.
    loudest: i32,
}

impl Concealer {
    /// Nothing heard yet: a loss now gives silence.
    pub const fn new(band: Band) -> Self {
        let factor = band.sample_rate() / Band::Narrow.sample_rate();
        let period = factor * MIN_PERIOD;
        Self { factor, history: [0; HISTORY], period, invented: 0, seam: 0, loudest: 0 }
    }

    /// Takes good samples; after a loss their beginning is faded in over the continued repetition.
    pub fn heard(&mut self, pcm: &mut [i16]) {
        if self.invented > 0 {
            let full_level = self.factor * FULL_LEVEL;
            let more = 32 * (self.invented / FULL_LEVEL);
            let length = (self.period / 4 + more).min(full_level).min(pcm.len());
            let mut continued = self.clone();
            for (place, sample) in pcm.iter_mut().take(length).enumerate() {
                let old = i32::from(continued.repeat());
                let new = i32::from(*sample);
                *sample = (old + (new - old) * (place + 1) as i32 / (length + 1) as i32) as i16;
            }
            self.invented = 0;
        }
        self.remember(pcm);
    }

    /// Fills `pcm` with a continuation of what was heard.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        if self.invented == 0 {
            self.period = pitch_period(&self.history, self.factor);
            self.seam =
                i32::from(self.history[HISTORY - 1]) - i32::from(self.history[HISTORY - 1 - self.period]);
            self.loudest = self.history.iter().fold(0, |most, sample| most.max(i32::from(*sample).abs()));
        }
        pcm.fill_with(|| self.repeat());
    }

    /// The next sample of the repetition, faded.
    fn repeat(&mut self) -> i16 {
        let dies_out = self.period / 4;
        let left = dies_out.saturating_sub(self.invented) as i32;
        let offset = self.seam * left / dies_out as i32;
        let wanted = i32::from(self.history[HISTORY - self.period]) + offset;
        let sample = wanted.clamp(-self.loudest, self.loudest.min(i32::from(i16::MAX))) as i16;
        self.remember(&[sample]);
        let (silent_after, fading) = (self.factor * SILENT_AFTER, self.factor * (SILENT_AFTER - FULL_LEVEL));
        let loud = silent_after.saturating_sub(self.invented).min(fading);
        self.invented = (self.invented + 1).min(silent_after);
        (i32::from(sample) * loud as i32 / fading as i32) as i16
    }

    fn remember(&mut self, pcm: &[i16]) {
        let newest = &pcm[pcm.len().saturating_sub(HISTORY)..];
        self.history.copy_within(newest.len().., 0);
        self.history[HISTORY - newest.len()..].copy_from_slice(newest);
    }
}

/// Lag at which the newest samples correlate best with earlier ones; the longest one when none do.
fn pitch_period(history: &[i16; HISTORY], factor: usize) -> usize {
    let compared = factor * COMPARED;
    let newest = &history[HISTORY - compared..];
    let (mut best, mut best_score) = (factor * MAX_PERIOD, (0_u128, 1_u128));
    for period in factor * MIN_PERIOD..=factor * MAX_PERIOD {
        let earlier = &history[HISTORY - compared - period..HISTORY - period];
        let (mut product, mut energy) = (0_i64, 1_u64);
        for (new, old) in newest.iter().zip(earlier) {
            product += i64::from(i32::from(*new) * i32::from(*old));
            energy += u64::from(old.unsigned_abs()) * u64::from(old.unsigned_abs());
        }
        // Largest product^2 / energy, compared crosswise: below 2^(78 + 39).
        let product = product.max(0) as u128;
        let score = (product * product, u128::from(energy));
        if score.0 * best_score.1 > best_score.0 * score.1 {
            (best, best_score) = (period, score);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// A voice-like wave of period 71: three harmonics.
    fn wave(samples: core::ops::Range<usize>) -> Vec<i16> {
        let at = |n: usize, harmonic: f64| {
            (core::f64::consts::TAU * harmonic * n as f64 / 71.0 + harmonic).sin() * 6_000.0 / harmonic
        };
        samples.map(|n| (at(n, 1.0) + at(n, 2.0) + at(n, 3.0)) as i16).collect()
    }

    fn level(pcm: &[i16]) -> f64 {
        (pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
    }

    #[test]
    fn a_periodic_wave_goes_on_in_phase() {
        let mut concealer = Concealer::new(Band::Narrow);
        concealer.heard(&mut wave(0..800));
        let mut lost = [0; 80];
        concealer.conceal(&mut lost);
        for (invented, missing) in lost.iter().zip(wave(800..880)) {
            assert!((i32::from(*invented) - i32::from(missing)).abs() < 20, "{invented} {missing}");
        }
    }

    #[test]
    fn wideband_has_twice_the_samples() {
        let mut concealer = Concealer::new(Band::Wide);
        // A period of 142 samples, that of the wave above at twice the rate.
        let wide: Vec<i16> = wave(0..800).iter().flat_map(|sample| [*sample, *sample]).collect();
        concealer.heard(&mut wide.clone());
        let mut lost = [0; 1000];
        concealer.conceal(&mut lost);
        let ratio = level(&lost[..142]) / level(&wide[..1420]);
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
        assert!(lost[400..680].iter().any(|sample| *sample != 0), "half way");
        assert!(lost[960..].iter().all(|sample| *sample == 0), "after 60 ms");
    }

    #[test]
    fn a_long_loss_fades_to_silence_at_60_ms() {
        let mut concealer = Concealer::new(Band::Narrow);
        concealer.heard(&mut wave(0..800));
        let mut lost = [0; 640];
        concealer.conceal(&mut lost);
        let heard = level(&wave(0..710));
        assert!((level(&lost[..71]) / heard - 1.0).abs() < 0.05);
        let middle = level(&lost[200..340]) / heard;
        assert!((0.4..0.65).contains(&middle), "{middle}");
        assert!(lost[480..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn the_first_good_samples_are_faded_in() {
        let mut concealer = Concealer::new(Band::Narrow);
        concealer.heard(&mut wave(0..800));
        concealer.conceal(&mut [0; 160]);
        let mut good = [10_000; 160];
        concealer.heard(&mut good);
        assert!(good[0] < 9_000, "{}", good[0]);
        assert!(good[80..].iter().all(|sample| *sample == 10_000));
    }

    #[test]
    fn a_loss_before_anything_was_heard_is_silent() {
        let mut lost = [7; 160];
        Concealer::new(Band::Narrow).conceal(&mut lost);
        assert_eq!(lost, [0; 160]);
    }

    proptest! {
        /// Any audio, any pattern of loss, any packet length: no panic, never louder than the input.
        #[test]
        fn losses_anywhere_stay_in_range(
            packets in prop::collection::vec((any::<bool>(), prop::collection::vec(-9_000..9_000_i16, 1..400)), 1..30),
            is_wide: bool,
        ) {
            let mut concealer = Concealer::new(if is_wide { Band::Wide } else { Band::Narrow });
            for (lost, mut pcm) in packets {
                if lost {
                    concealer.conceal(&mut pcm);
                } else {
                    concealer.heard(&mut pcm);
                }
                prop_assert!(pcm.iter().all(|sample| sample.unsigned_abs() <= 9_000));
            }
        }
    }
}
