//! Statistics over time and the embedding.

use super::layers::{Model, POOLED, WIDEST};
use super::{Embedding, matrix};
use crate::kernel::Norm;
use crate::kernel::scalar::normalised;
use crate::sizes::EMBEDDING;

/// Mean and deviation of each channel of the map `[positions][1024]`, through the last matrix, at unit length.
#[inline(always)]
pub(super) fn run(model: &Model<'_>, map: &[i16]) -> Embedding {
    let mut pooled = [0i32; 2 * POOLED];
    statistics(&model.norm, map, &mut pooled);
    let mut values = [0i32; EMBEDDING];
    matrix::multiply(&model.dense, &pooled, &mut values);
    unit_length(&values)
}

/// Mean, then deviation (over positions - 1) of each channel, in the channel's step.
#[inline(always)]
fn statistics(norm: &Norm<'_>, map: &[i16], pooled: &mut [i32; 2 * POOLED]) {
    let mut sums = [0u32; POOLED];
    let mut squares = [0u64; POOLED];
    let gains: [i16; POOLED] = core::array::from_fn(|channel| norm.gain.at(channel));
    let offsets: [i32; POOLED] = core::array::from_fn(|channel| norm.offset.at(channel));
    for position in map.as_chunks::<WIDEST>().0 {
        for channel in 0..POOLED {
            let value = normalised(position[channel], gains[channel], offsets[channel], norm.shift);
            // Below 2^15, so that the square fits 32 bits.
            let value = value.clamp(0, i32::from(i16::MAX)) as u32;
            sums[channel] += value;
            squares[channel] += u64::from(value * value);
        }
    }
    let count = (map.len() / WIDEST) as u64;
    let (means, deviations) = pooled.split_at_mut(POOLED);
    for channel in 0..POOLED {
        let sum = u64::from(sums[channel]);
        // count <= 1500 and values < 2^15: the products stay below 2^53.
        let spread = count * squares[channel] - sum * sum;
        means[channel] = ((sum + count / 2) / count) as i32;
        deviations[channel] = rounded_sqrt(spread / (count * (count - 1))) as i32;
    }
}

/// Scales to unit length, Q15. All zero stays zero.
fn unit_length(values: &[i32; EMBEDDING]) -> Embedding {
    // Any real embedding stays far below 2^28; the clamp keeps the sum of squares in 64 bits.
    let values = values.map(|value| i64::from(value.clamp(-(1 << 28), 1 << 28)));
    let length = values.iter().map(|value| (value * value) as u64).sum::<u64>().isqrt().max(1) as i64;
    Embedding(values.map(|value| {
        let scaled = (2 * value * i64::from(i16::MAX) + length).div_euclid(2 * length);
        scaled.clamp(-i64::from(i16::MAX), i64::from(i16::MAX)) as i16
    }))
}

/// Nearest whole number to the square root.
fn rounded_sqrt(value: u64) -> u64 {
    let root = value.isqrt();
    root + u64::from(value - root * root > root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn root_is_the_nearest(value in 0u64..1 << 52) {
            let root = rounded_sqrt(value);
            // |root - sqrt(value)| <= 1/2, in whole numbers.
            prop_assert!(root * root <= value + root);
            prop_assert!(value <= root * root + root);
        }

        #[test]
        fn length_is_one(values in proptest::array::uniform32(-2_000_000i32..2_000_000)) {
            let mut all = [0; EMBEDDING];
            for (index, value) in all.iter_mut().enumerate() {
                *value = values[index % 32] / (1 + index as i32 / 32);
            }
            prop_assume!(all.iter().any(|&value| value.abs() > 1000));
            let squares: i64 = unit_length(&all).0.iter().map(|&value| i64::from(value).pow(2)).sum();
            let length = (squares as f64).sqrt() / 32768.0;
            prop_assert!((length - 1.0).abs() < 1e-3, "{}", length);
        }
    }

    #[test]
    fn nothing_stays_nothing() {
        assert_eq!(unit_length(&[0; EMBEDDING]).0, [0; EMBEDDING]);
        assert!(unit_length(&[i32::MIN; EMBEDDING]).0.iter().all(|&value| value == -2365));
    }
}
