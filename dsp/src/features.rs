//! Log mel features from PCM, in fixed point.
//!
//! What Kaldi's `compute-fbank-feats` makes with 80 bins, no dither and everything else at its
//! default, and what the network was trained on: frames of 25 ms every 10 ms (only whole ones),
//! mean removed, pre-emphasis 0.97, Povey window, power spectrum, mel filter bank, natural
//! logarithm. At 8 kHz half the samples give bins of the same 31.25 Hz, so narrowband audio needs
//! no resampler: what differs is a constant gain in each mel bin, which mean normalisation
//! removes, and that bins above the telephone band hold nothing.

mod fft;
mod log;
mod mel;
mod tables;

use crate::sizes::MELS;
use fft::Complex;
pub(crate) use log::ln_q20;
pub(crate) use mel::white_tilt;
use tables::{cos, ln};
pub(crate) use tables::{exp, fixed};

/// Sampling band of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// 8 kHz telephone audio.
    Narrow,
    /// 16 kHz wideband audio.
    Wide,
}

impl Band {
    /// Samples per second.
    pub const fn sample_rate(self) -> usize {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
        }
    }

    /// Samples of a frame: 25 ms.
    pub const fn frame_samples(self) -> usize {
        self.sample_rate() / 40
    }

    /// Samples from one frame to the next: 10 ms.
    pub const fn shift_samples(self) -> usize {
        self.sample_rate() / 100
    }

    /// Mel bins that hold something of the signal.
    pub const fn mels(self) -> usize {
        match self {
            Self::Narrow => NARROW_BINS,
            Self::Wide => MELS,
        }
    }

    /// Points of the real transform: 32 ms, the power of two above a frame.
    const fn fft_points(self) -> usize {
        match self {
            Self::Narrow => 256,
            Self::Wide => 512,
        }
    }
}

impl Band {
    /// Brings a frame of this band to the scale of telephone frames, so that frames of both bands can stand in one
    /// stretch of speech. Within the telephone band they are then alike; mean normalisation takes the same constants out
    /// of a stretch of one band.
    pub fn to_telephone_scale(self, frame: &mut LogMel) {
        if self == Self::Wide {
            frame.iter_mut().zip(&WIDE_TO_NARROW_Q9).for_each(|(value, step)| *value += step);
        }
    }

    /// Undoes [`Self::to_telephone_scale`].
    pub fn from_telephone_scale(self, frame: &mut LogMel) {
        if self == Self::Wide {
            frame.iter_mut().zip(&WIDE_TO_NARROW_Q9).for_each(|(value, step)| *value -= step);
        }
    }
}

/// From a frame at 16 kHz to one of the same sound at 8 kHz: half as many samples give a quarter of the power, and the
/// pre-emphasis is another one. At most 0.7 neper, so that no frame overflows.
static WIDE_TO_NARROW_Q9: [i16; NARROW_BINS] = {
    let mut steps = [0; NARROW_BINS];
    let mut bin = 0;
    while bin < NARROW_BINS {
        let tilt = white_tilt(bin, 8_000.0) - white_tilt(bin, 16_000.0);
        steps[bin] = fixed(tilt - 2.0 * core::f64::consts::LN_2, 9) as i16;
        bin += 1;
    }
    steps
};

/// Natural logarithm of the 80 mel energies of one frame, Q9 (1/512 neper).
///
/// Energies are of 16-bit samples (not of samples divided by 32768), so values lie between
/// [`FLOOR_Q9`] and about 19,000.
pub type LogMel = [i16; MELS];

/// Mel bins of the telephone band: those centred at or below 3.6 kHz, 58 of them.
pub const NARROW_BINS: usize = mel::bins_up_to(3_600.0);

/// Lowest log energy, Q9: ln 128, which is where torchaudio's floor (the epsilon of f32, for samples
/// divided by 32768) lies.
pub const FLOOR_Q9: i16 = fixed(7.0 * core::f64::consts::LN_2, 9) as i16;

/// Samples of the longest frame.
pub const MAX_FRAME_SAMPLES: usize = Band::Wide.frame_samples();

/// Log mel energies of one frame of [`Band::frame_samples`] samples.
///
/// # Panics
/// When the frame has another length.
pub fn log_mel(band: Band, frame: &[i16]) -> LogMel {
    assert_eq!(frame.len(), band.frame_samples(), "a frame is 25 ms");
    let half = band.fft_points() / 2;
    let mut samples = [Complex::default(); fft::MAX_POINTS / 2];
    let exponent = prepare(band, frame, &mut samples[..half]);
    let mut power = [0; fft::MAX_POINTS / 2];
    fft::power_spectrum(&mut samples[..half], &mut power[..half]);
    let energies = mel::energies_q20(&power[..half]);

    // Undo, in the logarithm, what made the integers fit. In powers of two: the weights' Q20, the
    // spectrum's shift and N^2 / 16, and the block exponent twice; and the samples' factor twice.
    let transform_bits = fft::POWER_SHIFT as i32 + 2 * half.trailing_zeros() as i32 - 2;
    let bits = transform_bits - mel::WEIGHT_Q as i32 - 2 * exponent;
    let offset_q20 = bits * log::LN2_Q20 - LN_SAMPLE_FACTOR_SQUARED_Q20;
    energies.map(|energy| {
        let q20 = log::ln_q20(energy) + offset_q20;
        let q9 = (q20 + (1 << (log::Q - 10))) >> (log::Q - 9);
        if energy == 0 { FLOOR_Q9 } else { (q9 as i16).max(FLOOR_Q9) }
    })
}

/// Pre-emphasis is exact in hundredths, and eight more bits keep the fraction of the mean: below
/// 200 * 32768 * 256 = 2^30.7.
const MEAN_BITS: u32 = 8;
/// Of these, seven are left after the window: below 2^29.7.
const WINDOWED_BITS: u32 = 7;
/// ln of the square of what becomes of one unit of a sample.
const LN_SAMPLE_FACTOR_SQUARED_Q20: i32 = fixed(2.0 * ln((100 << WINDOWED_BITS) as f64), log::Q) as i32;
/// Shift of a product with the window.
const WINDOW_SHIFT: u32 = 31 + MEAN_BITS - WINDOWED_BITS;

/// Removes the mean, pre-emphasises, applies the window, scales the block to the 28 bits that the
/// transform takes, and packs the samples in pairs. Returns the exponent of the scaling.
///
/// With x the samples and m their mean, y\[i\] = (x\[i\] - m) - 0.97 (x\[i-1\] - m), which is
/// x\[i\] - 0.97 x\[i-1\] - 0.03 m; before the first sample lies a copy of it.
fn prepare(band: Band, frame: &[i16], packed: &mut [Complex]) -> i32 {
    let mut windowed = [0_i32; MAX_FRAME_SAMPLES];
    let windowed = &mut windowed[..frame.len()];
    let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
    let length = frame.len() as i32;
    let mean_part = (i64::from(3 * sum) * (1 << MEAN_BITS) / i64::from(length)) as i32;

    let window: &[i32] = match band {
        Band::Narrow => &NARROW_WINDOW_Q31,
        Band::Wide => &WIDE_WINDOW_Q31,
    };
    let mut before = i32::from(frame[0]);
    let mut all_bits = 0;
    for ((out, sample), weight) in windowed.iter_mut().zip(frame).zip(window) {
        let sample = i32::from(*sample);
        let emphasised = ((100 * sample - 97 * before) << MEAN_BITS) - mean_part;
        before = sample;
        let product = i64::from(emphasised) * i64::from(*weight);
        *out = ((product + (1 << (WINDOW_SHIFT - 1))) >> WINDOW_SHIFT) as i32;
        all_bits |= *out ^ (*out >> 31);
    }

    let exponent = (all_bits | 1).leading_zeros() as i32 - 4;
    for (out, pair) in packed.iter_mut().zip(windowed.chunks_exact(2)) {
        *out = Complex { re: scaled(pair[0], exponent), im: scaled(pair[1], exponent) };
    }
    exponent
}

#[inline(always)]
fn scaled(value: i32, exponent: i32) -> i32 {
    if exponent >= 0 { value << exponent } else { value >> -exponent }
}

static NARROW_WINDOW_Q31: [i32; Band::Narrow.frame_samples()] = povey_window();
static WIDE_WINDOW_Q31: [i32; Band::Wide.frame_samples()] = povey_window();

/// Kaldi's own window: a Hann window (zero at both ends) to the power of 0.85.
const fn povey_window<const N: usize>() -> [i32; N] {
    let mut window = [0; N];
    let mut index = 1;
    while index < N - 1 {
        let angle = core::f64::consts::TAU * index as f64 / (N - 1) as f64;
        let weight = exp(0.85 * ln(0.5 - 0.5 * cos(angle)));
        window[index] = saturated(fixed(weight, 31));
        index += 1;
    }
    window
}

/// One, at the top of the window, is the largest Q31 value.
const fn saturated(q31: i64) -> i32 {
    if q31 > i32::MAX as i64 { i32::MAX } else { q31 as i32 }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    /// A sound with a line every 50 Hz up to 3.6 kHz, from `at` seconds on.
    fn sound<const N: usize>(rate: f64, at: f64) -> [i16; N] {
        core::array::from_fn(|n| {
            let time = at + n as f64 / rate;
            let line = |k: u32| (core::f64::consts::TAU * f64::from(50 * k) * time + f64::from(k * k)).sin();
            (250.0 * (1..=72).map(line).sum::<f64>()) as i16
        })
    }

    #[test]
    fn both_bands_have_one_scale_within_the_telephone_band() {
        let mut apart = [0_i32; NARROW_BINS];
        for at in 0..50 {
            let at = f64::from(at) * 0.0137;
            let narrow = log_mel(Band::Narrow, &sound::<200>(8_000.0, at));
            let measured = log_mel(Band::Wide, &sound::<400>(16_000.0, at));
            let mut wide = measured;
            Band::Wide.to_telephone_scale(&mut wide);
            let pairs = apart.iter_mut().zip(wide.iter().zip(&narrow));
            pairs.for_each(|(sum, (wide, narrow))| *sum += i32::from(wide - narrow));
            Band::Wide.from_telephone_scale(&mut wide);
            assert_eq!(wide, measured);
        }
        // Below 80 Hz bins are narrower than the lines stand apart.
        for (bin, sum) in apart.iter().enumerate().skip(2) {
            assert!((sum / 50).abs() < 30, "bin {bin}: {} / 512 neper apart", sum / 50);
        }
    }

    #[test]
    fn fifty_eight_bins_are_within_the_telephone_band() {
        assert_eq!(NARROW_BINS, 58);
    }

    #[test]
    fn silence_and_dc_lie_on_the_floor() {
        for level in [0, 1, -1, i16::MAX, i16::MIN] {
            assert_eq!(log_mel(Band::Narrow, &[level; 200]), [FLOOR_Q9; MELS]);
            assert_eq!(log_mel(Band::Wide, &[level; 400]), [FLOOR_Q9; MELS]);
        }
    }

    #[test]
    fn the_loudest_frame_does_not_overflow() {
        let mut frame = [i16::MIN; 400];
        frame.iter_mut().step_by(2).for_each(|sample| *sample = i16::MAX);
        assert!(log_mel(Band::Narrow, &frame[..200]).iter().all(|value| *value < 20_000));
        assert!(log_mel(Band::Wide, &frame).iter().all(|value| *value < 20_000));
    }
}
