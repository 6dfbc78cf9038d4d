//! Cosine of two embeddings after what does not tell people apart is taken away.

use super::constants;
use crate::features::Band;
use crate::network::Embedding;
use crate::sizes::EMBEDDING;

/// Squared length of an embedding of length 1 in Q15, that is 1.0 in Q30.
const UNIT_Q30: i64 = 1 << 30;
/// Bits below Q15 in which directions are taken away.
const FINE: u32 = 8;
/// Squared length, Q46, of one 32nd: what is shorter is what rounding left.
const SHORTEST_Q46: i64 = (1 << (2 * (15 + FINE))) >> 10;

/// What embeddings have in common, whoever speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Common {
    /// Mean embedding of the cohort, Q15.
    pub mean: [i16; EMBEDDING],
    /// Directions in which embeddings move with the line and its noise, Q15: of unit length, and each at right angles
    /// to the others.
    pub nuisance: &'static [[i16; EMBEDDING]],
}

impl Common {
    /// What the calibration program measured for a band.
    pub fn of(band: Band) -> &'static Self {
        match band {
            Band::Narrow => &constants::NARROW,
            Band::Wide => &constants::WIDE,
        }
    }

    /// Cosine, -1 to 1, of two embeddings without their mean and without their parts in the nuisance directions.
    ///
    /// `None` when either embedding is not of unit length (within 10 %), or nothing of it is left: a fault on the way
    /// here must not look like a voice.
    pub fn cosine(&self, one: &Embedding, other: &Embedding) -> Option<f32> {
        let (one, other) = (self.personal_q23(one)?, self.personal_q23(other)?);
        let dot = product_q46(&one, &other);
        let (one_squared, other_squared) = (product_q46(&one, &one), product_q46(&other, &other));
        if one_squared < SHORTEST_Q46 || other_squared < SHORTEST_Q46 {
            return None;
        }
        let lengths = (one_squared.unsigned_abs() as u128 * other_squared.unsigned_abs() as u128).isqrt();
        Some((dot as f32 / lengths as f32).clamp(-1.0, 1.0))
    }

    /// What is left of an embedding, Q23: at most 2 in absolute value, and a little more for what rounding adds.
    fn personal_q23(&self, embedding: &Embedding) -> Option<[i32; EMBEDDING]> {
        if !is_unit(embedding) {
            return None;
        }
        let mut left = [0; EMBEDDING];
        for ((left, &value), &mean) in left.iter_mut().zip(&embedding.0).zip(&self.mean) {
            *left = (i32::from(value) - i32::from(mean)) << FINE;
        }
        for direction in self.nuisance {
            // Products are below 2^40, their sum below 2^48; the part along the direction is again below 2 in Q23.
            let along: i64 = left.iter().zip(direction).map(|(&l, &d)| i64::from(l) * i64::from(d)).sum();
            let along_q23 = (along + (1 << 14)) >> 15;
            for (left, &value) in left.iter_mut().zip(direction) {
                *left -= ((along_q23 * i64::from(value) + (1 << 14)) >> 15) as i32;
            }
        }
        Some(left)
    }
}

/// Sum of products, Q46: at most 192 of 2^50, so below 2^58.
fn product_q46(one: &[i32; EMBEDDING], other: &[i32; EMBEDDING]) -> i64 {
    one.iter().zip(other).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum()
}

/// Whether the length is 1 within 10 %, so its square within about 20 %.
fn is_unit(embedding: &Embedding) -> bool {
    let squared: i64 = embedding.0.iter().map(|&v| i64::from(v) * i64::from(v)).sum();
    (squared - UNIT_Q30).abs() < UNIT_Q30 / 5
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Two directions at right angles: the first axis, and the diagonal between the next two.
    static TWO: [[i16; EMBEDDING]; 2] = {
        let mut two = [[0; EMBEDDING]; 2];
        two[0][0] = i16::MAX;
        (two[1][1], two[1][2]) = (23_170, 23_170);
        two
    };

    fn unit(values: &[f64]) -> Embedding {
        let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
        let mut embedding = Embedding([0; EMBEDDING]);
        for (slot, value) in embedding.0.iter_mut().zip(values) {
            *slot = (value / length * 32767.0).round() as i16;
        }
        embedding
    }

    fn reference(one: &Embedding, other: &Embedding, mean: &[i16; EMBEDDING]) -> f64 {
        let personal = |e: &Embedding| -> Vec<f64> {
            let mut left: Vec<f64> =
                e.0.iter().zip(mean).map(|(&v, &m)| f64::from(v) - f64::from(m)).collect();
            let half = (left[1] + left[2]) / 2.0;
            (left[0], left[1], left[2]) = (0.0, left[1] - half, left[2] - half);
            left
        };
        let (a, b) = (personal(one), personal(other));
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
    }

    proptest! {
        #[test]
        fn it_is_the_cosine(
            a in proptest::collection::vec(-1.0..1.0f64, EMBEDDING),
            b in proptest::collection::vec(-1.0..1.0f64, EMBEDDING),
            mean in proptest::collection::vec(-800..800i16, EMBEDDING),
        ) {
            let (a, b) = (unit(&a), unit(&b));
            let common = Common { mean: mean.try_into().unwrap(), nuisance: &TWO };
            let cosine = common.cosine(&a, &b).unwrap();
            prop_assert!((f64::from(cosine) - reference(&a, &b, &common.mean)).abs() < 1e-4);
            prop_assert_eq!(common.cosine(&b, &a), Some(cosine));
        }
    }

    #[test]
    fn shipped_directions_are_at_right_angles() {
        for band in [Band::Narrow, Band::Wide] {
            let directions = Common::of(band).nuisance;
            for (at, one) in directions.iter().enumerate() {
                for (to, other) in directions.iter().enumerate() {
                    let product: i64 =
                        one.iter().zip(other).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
                    let wanted = if at == to { UNIT_Q30 } else { 0 };
                    assert!((product - wanted).abs() < 1 << 21, "directions {at} and {to} of {band:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_common_has_no_direction() {
        let (voice, other) = (unit(&[1.0; EMBEDDING]), unit(&[0.0, 0.0, 0.0, 1.0]));
        let mean = Common { mean: voice.0, nuisance: &[] };
        assert_eq!(mean.cosine(&voice, &voice), None);
        let nuisance = Common { mean: [0; EMBEDDING], nuisance: &TWO };
        let moved = unit(&[-1.0]);
        assert_eq!((nuisance.cosine(&moved, &other), nuisance.cosine(&other, &moved)), (None, None));
        assert_eq!(nuisance.cosine(&other, &unit(&[3.0, 1.0, 1.0, 1.0])).map(|c| c > 0.999), Some(true));
    }
}
