//! G.722 (ITU-T G.722, 09/2012) decoder at 64 kbit/s: each byte gives two samples at 16 kHz.
//!
//! A byte holds a 6-bit code of the band below 4 kHz and, above it, a 2-bit code of the band up to 8 kHz. Each band is an
//! adaptive differential code (section 4) whose predictor has two poles and six zeros; a quadrature mirror filter puts
//! the bands together. Names in brackets are those of the recommendation's blocks.

use super::arithmetic::{product, saturated};

/// Samples that each byte gives.
pub const SAMPLES_PER_BYTE: usize = 2;

/// Decoder of one stream.
#[derive(Clone, Debug)]
pub struct G722 {
    lower: Subband,
    upper: Subband,
    /// Sums and differences of the bands, the newest last; the sums filter into the odd samples, the differences into the
    /// even ones.
    sums: [i32; TAPS],
    differences: [i32; TAPS],
}

impl Default for G722 {
    fn default() -> Self {
        Self::new()
    }
}

impl G722 {
    /// A decoder in the state of the recommendation's reset.
    pub const fn new() -> Self {
        Self {
            lower: Subband::new(LOWER_LEAST_STEP),
            upper: Subband::new(UPPER_LEAST_STEP),
            sums: [0; TAPS],
            differences: [0; TAPS],
        }
    }

    /// Decodes a payload into `pcm` as far as both reach; returns the number of samples.
    pub fn decode_into(&mut self, payload: &[u8], pcm: &mut [i16]) -> usize {
        let (pairs, _) = pcm.as_chunks_mut::<SAMPLES_PER_BYTE>();
        for (pair, code) in pairs.iter_mut().zip(payload) {
            let (low, high) = (self.decode_lower(code & 0x3f), self.decode_upper(code >> 6));
            *pair = self.join(low, high);
        }
        SAMPLES_PER_BYTE * pairs.len().min(payload.len())
    }

    /// The lower band (figure 8): heard with all six bits, predicted from the four upper ones, so that a network that
    /// steals bits does not lead the predictor astray.
    fn decode_lower(&mut self, code: u8) -> i32 {
        let band = &mut self.lower;
        let heard = i32::from(band.prediction) + product(LOWER_FINE[usize::from(code)], band.step);
        let coarse = usize::from(code >> 2);
        let difference = product(LOWER_COARSE[coarse], band.step);
        band.adapt_step(LOWER_GROWTH[coarse], LOWER_LARGEST_LOG, LOWER_SHIFT);
        band.predict(saturated(difference));
        limited(heard)
    }

    /// The upper band (figure 9).
    fn decode_upper(&mut self, code: u8) -> i32 {
        let band = &mut self.upper;
        let difference = product(UPPER[usize::from(code)], band.step);
        let heard = i32::from(band.prediction) + difference;
        band.adapt_step(UPPER_GROWTH[usize::from(code)], UPPER_LARGEST_LOG, UPPER_SHIFT);
        band.predict(saturated(difference));
        limited(heard)
    }

    /// The receive filter (section 4.4): two samples of the whole band from one of each half.
    fn join(&mut self, low: i32, high: i32) -> [i16; SAMPLES_PER_BYTE] {
        push(&mut self.sums, low + high);
        push(&mut self.differences, low - high);
        // 12 products below 2^15 * 2^12 each, whose weights add up to 2^13 at most: below 2^29.
        let first: i32 =
            self.differences.iter().zip(&MIRROR_FILTER).map(|(value, weight)| value * weight).sum();
        let second: i32 =
            self.sums.iter().zip(MIRROR_FILTER.iter().rev()).map(|(value, weight)| value * weight).sum();
        [saturated(first >> 11), saturated(second >> 11)]
    }
}

/// State of one band: quantiser step and predictor.
#[derive(Clone, Debug)]
struct Subband {
    /// Logarithm of the step (NB), Q11.
    log_step: i32,
    /// Step of the quantiser (DET).
    step: i16,
    /// Prediction of the next value (S), and the part of it that the zeros give (SZ).
    prediction: i16,
    zeros_part: i16,
    /// Weights of the poles (A), Q14, and the values that they weigh (RLT), newest first.
    poles: [i16; 2],
    values: [i16; 2],
    /// Signs of the last partial reconstructions (PLT), newest first: whether negative.
    signs: [bool; 2],
    /// Weights of the zeros (B), Q14, and the differences that they weigh (DLT), newest first.
    zeros: [i16; ZEROS],
    differences: [i16; ZEROS],
}

impl Subband {
    const fn new(step: i16) -> Self {
        Self {
            log_step: 0,
            step,
            prediction: 0,
            zeros_part: 0,
            poles: [0; 2],
            values: [0; 2],
            signs: [false; 2],
            zeros: [0; ZEROS],
            differences: [0; ZEROS],
        }
    }

    /// Quantiser scale factor (LOGSCL, SCALEL; LOGSCH, SCALEH): the logarithm leaks, and grows with large codes.
    fn adapt_step(&mut self, growth: i32, largest_log: i32, shift: i32) {
        self.log_step = (((self.log_step * 127) >> 7) + growth).clamp(0, largest_log);
        let fraction = i32::from(POWERS_OF_TWO[(self.log_step >> 6 & 31) as usize]);
        let down = shift - (self.log_step >> 11);
        let power = if down < 0 { fraction << -down } else { fraction >> down };
        self.step = (power << 2) as i16;
    }

    /// Adaptive predictor (section 3.6): takes the newest difference, adapts poles and zeros, predicts the next value.
    fn predict(&mut self, difference: i16) {
        let value = saturated(i32::from(self.prediction) + i32::from(difference));
        let partial = saturated(i32::from(self.zeros_part) + i32::from(difference)) < 0;
        self.adapt_poles(partial);
        self.adapt_zeros(difference);
        self.signs = [partial, self.signs[0]];
        self.values = [value, self.values[0]];
        push_front(&mut self.differences, difference);

        let twice = |value: i16| saturated(2 * i32::from(value));
        let weighed = |(weight, value): (&i16, &i16)| product(*weight, twice(*value));
        let poles_part = saturated(self.poles.iter().zip(&self.values).map(weighed).sum());
        self.zeros_part = saturated(self.zeros.iter().zip(&self.differences).map(weighed).sum());
        self.prediction = saturated(i32::from(poles_part) + i32::from(self.zeros_part));
    }

    /// UPPOL2 and UPPOL1.
    fn adapt_poles(&mut self, sign: bool) {
        let [first, second] = self.poles;
        let four_times = i32::from(saturated(4 * i32::from(first)));
        let pull = if sign == self.signs[0] { (-four_times).min(i32::from(i16::MAX)) } else { four_times };
        let push = if sign == self.signs[1] { 128 } else { -128 };
        let new_second = ((pull >> 7) + push + product(second, 32_512)).clamp(-12_288, 12_288);

        let push = if sign == self.signs[0] { 192 } else { -192 };
        let bound = 15_360 - new_second;
        let new_first = (push + product(first, 32_640)).clamp(-bound, bound);
        self.poles = [saturated(new_first), saturated(new_second)];
    }

    /// UPZERO.
    fn adapt_zeros(&mut self, difference: i16) {
        let size = if difference == 0 { 0 } else { 128 };
        for (zero, earlier) in self.zeros.iter_mut().zip(self.differences) {
            let push = if (earlier < 0) == (difference < 0) { size } else { -size };
            *zero = saturated(push + product(*zero, 32_640));
        }
    }
}

/// LIMIT: 15 bits.
fn limited(value: i32) -> i32 {
    value.clamp(-16_384, 16_383)
}

fn push(line: &mut [i32; TAPS], newest: i32) {
    line.copy_within(1.., 0);
    line[TAPS - 1] = newest;
}

fn push_front(line: &mut [i16; ZEROS], newest: i16) {
    line.copy_within(..ZEROS - 1, 1);
    line[0] = newest;
}

/// Taps of each half of the mirror filter.
const TAPS: usize = 12;
/// Zeros of a predictor.
const ZEROS: usize = 6;
const LOWER_LEAST_STEP: i16 = 32;
const UPPER_LEAST_STEP: i16 = 8;
const LOWER_LARGEST_LOG: i32 = 18_432;
const UPPER_LARGEST_LOG: i32 = 22_528;
const LOWER_SHIFT: i32 = 8;
const UPPER_SHIFT: i32 = 10;

/// Every other coefficient of the receive filter (table 4), Q13.
static MIRROR_FILTER: [i32; TAPS] = [-11, 53, -156, 362, -805, 3876, 951, -210, 32, 12, -11, 3];

/// 2^(n/32), Q11 (table 14, ILA and ILB).
static POWERS_OF_TWO: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// Outputs of the 6-bit quantiser (QM6), Q15 of the step.
static LOWER_FINE: [i16; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];

/// Outputs of the 4-bit quantiser (QM4), Q15 of the step.
static LOWER_COARSE: [i16; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];

/// What each 4-bit code adds to the logarithm of the step (WL by RL42), Q11.
static LOWER_GROWTH: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// Outputs of the upper band's quantiser (QM2), Q15 of the step.
static UPPER: [i16; 4] = [-7408, -1616, 7408, 1616];

/// What each of its codes adds to the logarithm of the step (WH by RH2), Q11.
static UPPER_GROWTH: [i32; 4] = [798, -214, 798, -214];

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    #[test]
    fn half_a_pair_of_room_is_left_and_a_payload_may_be_cut_anywhere() {
        let mut pcm = [7; 5];
        assert_eq!(G722::new().decode_into(&[0x12, 0x34, 0x56], &mut pcm), 4);
        assert_eq!(pcm[4], 7);
        assert_eq!(G722::new().decode_into(&[], &mut pcm), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_in_packets_of_any_size_decode_as_one(bytes in prop::collection::vec(any::<u8>(), 1..900), cut in 0..900_usize) {
            let (mut whole, mut parts) = (vec![0; 2 * bytes.len()], vec![0; 2 * bytes.len()]);
            prop_assert_eq!(G722::new().decode_into(&bytes, &mut whole), whole.len());
            let cut = cut.min(bytes.len());
            let mut decoder = G722::new();
            let first = decoder.decode_into(&bytes[..cut], &mut parts);
            prop_assert_eq!(first, 2 * cut);
            decoder.decode_into(&bytes[cut..], &mut parts[first..]);
            prop_assert_eq!(whole, parts);
        }
    }
}
