//! Mel filter bank on the 31.25 Hz grid, as Kaldi defines it.
//!
//! 80 triangles, equally wide on the scale mel(f) = 1127 ln(1 + f / 700), from 20 Hz to 8 kHz.
//! Each triangle begins in the middle of the one below it, so an FFT bin between two centres
//! belongs to both with weights that add up to one: one multiplication per FFT bin.

use super::tables::{cos, exp, fixed, ln};
use crate::sizes::MELS;

/// FFT bins of wideband; narrowband has the lower half of them.
const FFT_BINS: usize = 256;
/// Width of an FFT bin at both sampling rates, in Hz.
const BIN_HZ: f64 = 31.25;
/// Lower edge of the first triangle, in Hz.
const LOW_HZ: f64 = 20.0;
/// Upper edge of the last triangle, in Hz.
const HIGH_HZ: f64 = 8000.0;
/// Fraction bits of a weight.
pub(super) const WEIGHT_Q: u32 = 20;

/// Where the power of an FFT bin goes.
#[derive(Clone, Copy)]
struct Share {
    /// Triangle on whose falling edge the bin lies, plus one: 0 is below the first centre.
    falling: u8,
    /// Weight of the rising edge of the next triangle, Q20.
    rising_q20: u32,
}

static SHARES: [Share; FFT_BINS] = {
    let mut table = [Share { falling: 0, rising_q20: 0 }; FFT_BINS];
    let mut bin = 1;
    while bin < FFT_BINS {
        let place = place(bin as f64 * BIN_HZ);
        if place >= 0.0 {
            let falling = place as u8;
            table[bin] = Share { falling, rising_q20: fixed(place - falling as f64, WEIGHT_Q) as u32 };
        }
        bin += 1;
    }
    table
};

/// Energies of the 80 bins, Q20, of a power spectrum of 128 or 256 bins that add up to less
/// than 2^44.
pub(super) fn energies_q20(power: &[u64]) -> [u64; MELS] {
    // One more at each end, for what lies outside the first and last centre's far edge.
    let mut sums = [0_u64; MELS + 2];
    for (power, share) in power.iter().zip(&SHARES) {
        let rising = power * u64::from(share.rising_q20);
        let falling = usize::from(share.falling).min(MELS);
        sums[falling] += (power << WEIGHT_Q) - rising;
        sums[falling + 1] += rising;
    }
    let mut energies = [0; MELS];
    energies.copy_from_slice(&sums[1..=MELS]);
    energies
}

/// Bins whose centre lies at or below `hz`.
pub(super) const fn bins_up_to(hz: f64) -> usize {
    place(hz) as usize
}

/// Place of a frequency between centres: 0 is the lower edge, 1 the first centre, 80 the last.
const fn place(hz: f64) -> f64 {
    (mel(hz) - mel(LOW_HZ)) / (mel(HIGH_HZ) - mel(LOW_HZ)) * (MELS + 1) as f64
}

/// Centre of a triangle, in Hz.
const fn centre_hz(bin: usize) -> f64 {
    let step = (mel(HIGH_HZ) - mel(LOW_HZ)) / (MELS + 1) as f64;
    let at = mel(LOW_HZ) + step * (bin + 1) as f64;
    700.0 * (1.0 / exp(-at / 1127.0) - 1.0)
}

/// Log energy of white noise in each bin, relative to one FFT bin without pre-emphasis, in nepers: the
/// gain of the pre-emphasis and the weight of the triangle, both at its centre.
pub(crate) const fn white_tilt(bin: usize, sample_rate: f64) -> f64 {
    let hz = centre_hz(bin);
    let turn = core::f64::consts::TAU * hz / sample_rate;
    let gain = 1.0 + 0.97 * 0.97 - 2.0 * 0.97 * cos(turn);
    let width_hz = (mel(HIGH_HZ) - mel(LOW_HZ)) / (MELS + 1) as f64 * (700.0 + hz) / 1127.0;
    ln(gain * width_hz / BIN_HZ)
}

const fn mel(hz: f64) -> f64 {
    1127.0 * ln(1.0 + hz / 700.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_triangle_is_empty_up_to_the_top_of_its_band() {
        assert!(energies_q20(&[1; 256]).iter().all(|energy| *energy > 0));
        let narrow = energies_q20(&[1; 128]);
        assert!(narrow[..crate::features::NARROW_BINS].iter().all(|energy| *energy > 0));
        assert_eq!(narrow[MELS - 1], 0);
    }

    #[test]
    fn narrowband_triangles_within_the_telephone_band_lose_nothing() {
        let bins = crate::features::NARROW_BINS;
        assert_eq!(energies_q20(&[7; 256])[..bins], energies_q20(&[7; 128])[..bins]);
    }

    #[test]
    fn weights_of_inner_bins_add_up_to_one() {
        for bin in 2..240 {
            let mut power = [0; 256];
            power[bin] = 3;
            assert_eq!(energies_q20(&power).iter().sum::<u64>(), 3 << WEIGHT_Q, "bin {bin}");
        }
    }

    #[test]
    fn the_largest_power_does_not_overflow() {
        for bin in 2..240 {
            let mut power = [0; 256];
            power[bin] = (1 << 44) - 1;
            let sum: u128 = energies_q20(&power).iter().map(|energy| u128::from(*energy)).sum();
            assert_eq!(sum, ((1 << 44) - 1) << WEIGHT_Q, "bin {bin}");
        }
    }
}
