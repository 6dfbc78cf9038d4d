//! Cosine of two embeddings after the cohort mean is taken away.

use crate::network::Embedding;
use crate::sizes::EMBEDDING;

/// Squared length of an embedding of length 1 in Q15, that is 1.0 in Q30.
const UNIT_Q30: i64 = 1 << 30;

/// Cosine, -1 to 1, of two embeddings with `mean` (Q15) subtracted from both.
///
/// Sums are exact: a difference of two Q15 values has 17 bits, 192 products of two have at most 42. `None`
/// when either embedding is not of unit length (within 10 %), or is the mean itself: a fault on the way here
/// must not look like a voice.
pub fn centred_cosine(one: &Embedding, other: &Embedding, mean: &[i16; EMBEDDING]) -> Option<f32> {
    if !is_unit(one) || !is_unit(other) {
        return None;
    }
    let (mut dot, mut one_squared, mut other_squared) = (0i64, 0i64, 0i64);
    for ((&a, &b), &m) in one.0.iter().zip(&other.0).zip(mean) {
        let (a, b) = (i64::from(a) - i64::from(m), i64::from(b) - i64::from(m));
        dot += a * b;
        one_squared += a * a;
        other_squared += b * b;
    }
    let lengths = (one_squared.unsigned_abs() as u128 * other_squared.unsigned_abs() as u128).isqrt();
    if lengths == 0 {
        return None;
    }
    Some((dot as f32 / lengths as f32).clamp(-1.0, 1.0))
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

    fn unit(values: &[f64]) -> Embedding {
        let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
        let mut embedding = Embedding([0; EMBEDDING]);
        for (slot, value) in embedding.0.iter_mut().zip(values) {
            *slot = (value / length * 32767.0).round() as i16;
        }
        embedding
    }

    fn reference(one: &Embedding, other: &Embedding, mean: &[i16; EMBEDDING]) -> f64 {
        let centred = |e: &Embedding| -> Vec<f64> {
            e.0.iter().zip(mean).map(|(&v, &m)| f64::from(v) - f64::from(m)).collect()
        };
        let (a, b) = (centred(one), centred(other));
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
            let mean: [i16; EMBEDDING] = mean.try_into().unwrap();
            let cosine = centred_cosine(&a, &b, &mean).unwrap();
            prop_assert!((f64::from(cosine) - reference(&a, &b, &mean)).abs() < 1e-6);
            prop_assert_eq!(centred_cosine(&b, &a, &mean), Some(cosine));
        }
    }

    #[test]
    fn the_mean_itself_has_no_direction() {
        let voice = unit(&[1.0; EMBEDDING]);
        assert_eq!(centred_cosine(&voice, &voice, &voice.0), None);
    }
}
