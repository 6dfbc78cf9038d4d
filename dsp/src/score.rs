//! From two embeddings to a 0-100 score.
//!
//! Both embeddings lose the cohort mean of their band and the directions in which lines and noise move them. The
//! cosine of what is left becomes a log-likelihood ratio by a linear calibration with a term for the test's duration,
//! and that a score whose anchors an administrator can be told: a threshold of 90 lets at most 1 impostor in 1,000 through. All constants
//! are generated from speech (see the head of `score/constants.rs`); nothing here is typed in.

pub mod calibrate;
pub mod centre;
mod constants;
pub mod voices;

use crate::features::Band;
use crate::network::Embedding;
pub use calibrate::{Curve, Curves, THRESHOLDS};
use centre::Common;
pub use constants::MODEL_VERSION;

/// Outcome of comparing a voiceprint with a test embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Band that the comparison was made in.
    pub band: Band,
    /// Cosine of what is left of the two embeddings, -1 to 1.
    pub cosine: f32,
    /// Log-likelihood ratio (natural logarithm) after calibration.
    pub llr: f32,
    /// Score, 0 to 100; 90 means at most one impostor in 1,000.
    pub score: f32,
    /// False-accept rate expected at a threshold equal to this score.
    pub far_at_score: f32,
}

/// One side of a comparison: an embedding and what it was made of.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Embedding of the speech.
    pub embedding: &'a Embedding,
    /// Band of the audio.
    pub band: Band,
    /// Net speech it was made of, in ms.
    pub net_speech_ms: u32,
}

/// Why two sides cannot be compared. The caller's answer is then inconclusive or an error, never a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareError {
    /// No band in which both sides have an embedding.
    NoCommonBand,
    /// An embedding is not of unit length, so it never came out of the network.
    NotAnEmbedding,
}

impl core::fmt::Display for CompareError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoCommonBand => "voiceprint and test have no band in common",
            Self::NotAnEmbedding => "an embedding is not of unit length",
        })
    }
}

impl core::error::Error for CompareError {}

/// Compares a voiceprint with a test, each given as its samples of one or both bands, and scores them by `curves`.
///
/// The wide band is used where both sides have it, otherwise the narrow one: a wideband enrollment keeps a
/// narrowband embedding of the same speech beside the wideband one, so that it serves on the telephone.
///
/// # Errors
/// [`CompareError`] says why there is no comparison.
pub fn compare(
    enrolled: &[Sample<'_>],
    test: &[Sample<'_>],
    curves: &Curves,
) -> Result<Comparison, CompareError> {
    let (enrolled, test) = common_band(enrolled, test).ok_or(CompareError::NoCommonBand)?;
    let cosine = Common::of(test.band).cosine(enrolled.embedding, test.embedding);
    let cosine = cosine.ok_or(CompareError::NotAnEmbedding)?;
    let curve = curves.of(test.band);
    let llr = curve.llr(cosine, test.net_speech_ms);
    let score = curve.score(llr);
    Ok(Comparison { band: test.band, cosine, llr, score, far_at_score: curve.far_at(score) })
}

/// The sample of each side in the widest band that both have.
fn common_band<'s, 'e>(
    enrolled: &'s [Sample<'e>],
    test: &'s [Sample<'e>],
) -> Option<(&'s Sample<'e>, &'s Sample<'e>)> {
    [Band::Wide, Band::Narrow].into_iter().find_map(|band| {
        let of_band = |side: &'s [Sample<'e>]| side.iter().find(|sample| sample.band == band);
        Some((of_band(enrolled)?, of_band(test)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::EMBEDDING;

    fn axis(index: usize) -> Embedding {
        let mut values = [0; EMBEDDING];
        values[index] = i16::MAX;
        Embedding(values)
    }

    fn by_shipped(enrolled: &[Sample<'_>], test: &[Sample<'_>]) -> Result<Comparison, CompareError> {
        compare(enrolled, test, Curves::shipped())
    }

    fn sample(embedding: &Embedding, band: Band) -> Sample<'_> {
        Sample { embedding, band, net_speech_ms: 10_000 }
    }

    #[test]
    fn the_widest_common_band_is_used() {
        let (one, other) = (axis(0), axis(1));
        let both = [sample(&one, Band::Narrow), sample(&other, Band::Wide)];
        let narrow = [sample(&one, Band::Narrow)];
        let wide = [sample(&one, Band::Wide)];
        assert_eq!(by_shipped(&both, &wide).unwrap().band, Band::Wide);
        assert_eq!(by_shipped(&narrow, &both).unwrap().band, Band::Narrow);
        assert_eq!(by_shipped(&narrow, &wide), Err(CompareError::NoCommonBand));
        assert_eq!(by_shipped(&[], &both), Err(CompareError::NoCommonBand));
    }

    #[test]
    fn the_same_voice_scores_high_and_another_low() {
        for band in [Band::Narrow, Band::Wide] {
            let (one, other) = (axis(0), axis(1));
            let same = by_shipped(&[sample(&one, band)], &[sample(&one, band)]).unwrap();
            let different = by_shipped(&[sample(&one, band)], &[sample(&other, band)]).unwrap();
            assert!(same.cosine > 0.999 && same.score > 97.0 && same.far_at_score < 1e-3, "{same:?}");
            assert!(different.score < 50.0 && different.far_at_score > 0.01, "{different:?}");
        }
    }

    #[test]
    fn what_is_no_embedding_is_refused() {
        let (fine, empty) = (axis(0), Embedding([0; EMBEDDING]));
        let full = Embedding([i16::MAX; EMBEDDING]);
        for broken in [&empty, &full] {
            let answer = by_shipped(&[sample(&fine, Band::Narrow)], &[sample(broken, Band::Narrow)]);
            assert_eq!(answer, Err(CompareError::NotAnEmbedding));
        }
    }
}
