//! Context-aware masking: what is heard around a segment decides how much of each channel passes.
//!
//! The mask of a segment of 100 positions comes from the mean of the squeezed map over the segment plus its mean over
//! everything, through two small matrices and a sigmoid.

use super::layers::{Dense, GROWTH, HIDDEN, SQUEEZED};
use super::matrix;
use crate::sizes::MAX_FRAMES;
use heapless::Vec;

/// Positions of one segment; the last one may be shorter.
pub(super) const SEGMENT: usize = 100;
/// Bits after the point of a mean of 7-bit activations.
const MEAN_BITS: u32 = 8;
/// The sigmoid's table covers -8 to 8 in steps of 1/32, its input has 11 bits after the point.
const LOGIT_LIMIT: i32 = 8 << 11;
const TABLE_BITS: u32 = 6;
const TABLE: usize = ((2 * LOGIT_LIMIT as usize) >> TABLE_BITS) + 1;
/// Sigmoid in Q15.
const SIGMOID: [i16; TABLE] = sigmoid_table();

/// Segments of the longest map.
const MAX_SEGMENTS: usize = MAX_FRAMES.div_ceil(2 * SEGMENT);

/// Makes the mask of each segment.
#[derive(Debug)]
pub(super) struct Masks<'a> {
    layer: &'a Dense<'a>,
    segments: Vec<[i32; SQUEEZED], MAX_SEGMENTS>,
    everything: [i32; SQUEEZED],
}

impl<'a> Masks<'a> {
    #[inline(always)]
    pub(super) fn new(layer: &'a Dense<'a>, squeezed: &[u8]) -> Self {
        let mut segments = Vec::new();
        let mut total = [0i32; SQUEEZED];
        for positions in squeezed.chunks(SEGMENT * SQUEEZED) {
            let sums = sums(positions);
            for (total, sum) in total.iter_mut().zip(&sums) {
                *total += sum;
            }
            let pushed = segments.push(means(&sums, positions.len() / SQUEEZED));
            pushed.expect("no map is longer than MAX_FRAMES");
        }
        let everything = means(&total, squeezed.len() / SQUEEZED);
        Self { layer, segments, everything }
    }

    /// Multipliers of the local convolution in a segment: the layer's times the mask, little endian.
    #[inline(always)]
    pub(super) fn multipliers(&self, segment: usize) -> [[u8; 4]; GROWTH] {
        let mask = self.mask(segment);
        core::array::from_fn(|channel| {
            let whole = i64::from(self.layer.local.requant.multiplier.at(channel));
            // Fits: the mask is below 1.
            (((whole * i64::from(mask[channel]) + (1 << 14)) >> 15) as i32).to_le_bytes()
        })
    }

    /// Mask of a segment, Q15.
    #[inline(always)]
    fn mask(&self, segment: usize) -> [i16; GROWTH] {
        let mut context = self.segments[segment];
        for (value, everything) in context.iter_mut().zip(&self.everything) {
            *value += everything;
        }
        let mut hidden = [0i32; HIDDEN];
        matrix::multiply(&self.layer.hidden, &context, &mut hidden);
        for value in &mut hidden {
            *value = (*value).clamp(0, i32::from(i16::MAX));
        }
        let mut logits = [0i32; GROWTH];
        matrix::multiply(&self.layer.mask, &hidden, &mut logits);
        logits.map(sigmoid)
    }
}

/// Sum of each channel.
#[inline(always)]
fn sums(positions: &[u8]) -> [i32; SQUEEZED] {
    let mut sums = [0i32; SQUEEZED];
    for position in positions.as_chunks::<SQUEEZED>().0 {
        for (sum, &value) in sums.iter_mut().zip(position) {
            *sum += i32::from(value);
        }
    }
    sums
}

/// Mean of each channel with 8 bits after the point, rounded.
#[inline(always)]
fn means(sums: &[i32; SQUEEZED], count: usize) -> [i32; SQUEEZED] {
    let count = count as i32;
    sums.map(|sum| ((sum << MEAN_BITS) + count / 2) / count)
}

/// Sigmoid of a Q11 logit in Q15, interpolated.
fn sigmoid(logit: i32) -> i16 {
    let place = logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT - 1) + LOGIT_LIMIT;
    let index = (place >> TABLE_BITS) as usize;
    let part = place & ((1 << TABLE_BITS) - 1);
    let (low, high) = (i32::from(SIGMOID[index]), i32::from(SIGMOID[index + 1]));
    (low + (((high - low) * part) >> TABLE_BITS)) as i16
}

const fn sigmoid_table() -> [i16; TABLE] {
    let mut table = [0i16; TABLE];
    let mut index = 0;
    while index < TABLE {
        let x = (index as f64) / 32.0 - 8.0;
        table[index] = (32768.0 / (1.0 + exp(-x)) + 0.5) as i16;
        index += 1;
    }
    table
}

/// e^x by its series at x / 256, squared eight times: exact to 1e-12 for the table's range.
const fn exp(x: f64) -> f64 {
    let small = x / 256.0;
    let (mut sum, mut term) = (1.0, 1.0);
    let mut order = 1;
    while order < 12 {
        term *= small / order as f64;
        sum += term;
        order += 1;
    }
    let mut squarings = 0;
    while squarings < 8 {
        sum *= sum;
        squarings += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    #[test]
    fn sigmoid_is_within_two_units_everywhere() {
        for logit in -40_000..40_000 {
            let exact = 32768.0 / (1.0 + (-f64::from(logit) / 2048.0).exp());
            let error = (f64::from(sigmoid(logit)) - exact).abs();
            let tail = 32768.0 / (1.0 + 8f64.exp());
            assert!(error <= if logit.abs() < LOGIT_LIMIT { 5.0 } else { tail + 1.0 }, "{logit}: {error}");
        }
    }

    #[test]
    fn sigmoid_never_falls_and_stays_below_one() {
        let values = (-20_000..20_000).map(sigmoid);
        assert!(values.clone().zip(values.skip(1)).all(|(low, high)| low <= high && high < i16::MAX));
    }

    #[test]
    fn means_round() {
        let mut positions = [0u8; 3 * SQUEEZED];
        positions[0] = 127;
        positions[SQUEEZED] = 126;
        positions[1] = 1;
        let means = means(&sums(&positions), 3);
        assert_eq!((means[0], means[1], means[2]), (253 * 256 / 3, 85, 0));
    }
}
