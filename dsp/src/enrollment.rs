//! The embedding of a voiceprint: of the speech as it was heard and of a noisy copy of it.
//!
//! Enrollment calls are mostly clean, later ones not. An embedding that moves under noise lies nearer to the mean of
//! the speaker's embeddings in two conditions than to that in one of them, on clean calls too, since part of what a
//! single one says is the moment's. How much it helps stands in `docs/scoring.md`.

use crate::features::{Band, LogMel};
use crate::network::{EmbedError, Embedding, Network, Scratch};
use crate::noise::add_babble;
use crate::score::voices;
use crate::sizes::EMBEDDING;

/// How far the noise of the copy lies below the speech, in dB.
pub const NOISE_BELOW_DB: u8 = 5;

/// Embedding of enrollment speech, the mean of that of `frames` and of their noisy copy, and whether several voices were
/// heard in it. The frames are noisy afterwards.
///
/// # Errors
/// As [`Network::embed`].
pub fn embed(
    network: &Network<'_>,
    frames: &mut [LogMel],
    band: Band,
    scratch: &mut Scratch<'_>,
) -> Result<(Embedding, bool), EmbedError> {
    let (clean, several) = voices::embed(network, frames, band, scratch)?;
    let mut sums = clean.0.map(i32::from);
    add_babble(frames, band.mels(), NOISE_BELOW_DB);
    let noisy = network.embed(frames, band, scratch)?;
    sums.iter_mut().zip(noisy.0).for_each(|(sum, value)| *sum += i32::from(value));
    Ok((direction(&sums), several))
}

/// Embedding of unit length in the direction of `sums`.
fn direction(sums: &[i32; EMBEDDING]) -> Embedding {
    let length = sums.iter().map(|&sum| i64::from(sum).pow(2).unsigned_abs()).sum::<u64>().isqrt().max(1);
    Embedding(sums.map(|sum| (i64::from(sum) * i64::from(i16::MAX) / length as i64) as i16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_has_unit_length() {
        let mut sums = [0; EMBEDDING];
        (sums[0], sums[1]) = (-3 * 32_767, 4 * 32_767);
        let values = direction(&sums).0;
        assert!((i32::from(values[0]) + 19_660).abs() <= 1 && (i32::from(values[1]) - 26_213).abs() <= 1);
        assert_eq!(values[2..], [0; EMBEDDING - 2]);
        assert_eq!(direction(&[0; EMBEDDING]).0, [0; EMBEDDING]);
    }
}
