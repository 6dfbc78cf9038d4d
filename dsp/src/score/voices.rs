//! Whether one voice was heard, or several.

use super::centre::Common;
use crate::features::{Band, LogMel};
use crate::network::{EmbedError, Embedding, Network, STRETCHES, Scratch};

/// Fewest frames of speech whose stretches are long enough to tell: 8 s, 1.6 s each.
pub const LEAST_FRAMES: usize = 800;
/// Spread from which on several voices were heard. What it finds, and how often it is wrong, stands in
/// `docs/scoring.md`.
const SEVERAL: f32 = 0.18;
/// Steps of the power iteration; a dozen settle what is asked here.
const STEPS: usize = 50;

type Matrix = [[f32; STRETCHES]; STRETCHES];
type Vector = [f32; STRETCHES];

/// The embedding of some speech, and whether several voices were heard in it; less than [`LEAST_FRAMES`] shows none.
///
/// # Errors
/// As [`Network::embed`].
pub fn embed(
    network: &Network<'_>,
    frames: &[LogMel],
    band: Band,
    scratch: &mut Scratch<'_>,
) -> Result<(Embedding, bool), EmbedError> {
    if frames.len() < LEAST_FRAMES {
        return Ok((network.embed(frames, band, scratch)?, false));
    }
    let (embedding, stretches) = network.embed_with_stretches(frames, band, scratch)?;
    Ok((embedding, are_several(&stretches, band)))
}

/// Whether the stretches of one piece of speech ([`crate::network::Network::embed_with_stretches`]) are of more than one
/// voice. Stretches that cannot be compared show nothing.
pub fn are_several(stretches: &[Embedding; STRETCHES], band: Band) -> bool {
    spread(stretches, band).is_some_and(|spread| spread > SEVERAL)
}

/// Second largest eigenvalue of the cosines between the stretches, divided by their number: near 0 where all are of one
/// voice, up to one half where two voices say half each.
fn spread(stretches: &[Embedding; STRETCHES], band: Band) -> Option<f32> {
    let common = Common::of(band);
    let mut cosines: Matrix = [[1.0; STRETCHES]; STRETCHES];
    for one in 1..STRETCHES {
        for other in 0..one {
            let cosine = common.cosine(&stretches[one], &stretches[other])?;
            (cosines[one][other], cosines[other][one]) = (cosine, cosine);
        }
    }
    let (first, direction) = largest(&cosines);
    let length = product(&direction, &direction);
    let rest: Matrix = core::array::from_fn(|row| {
        core::array::from_fn(|column| {
            cosines[row][column] - first * direction[row] * direction[column] / length
        })
    });
    Some(largest(&rest).0 / STRETCHES as f32)
}

/// Largest eigenvalue of a symmetric matrix that has none below 0, and its vector, by power iteration.
fn largest(matrix: &Matrix) -> (f32, Vector) {
    // Unequal, so that no pattern of turns is at right angles to it.
    let mut vector: Vector = [1.0, 0.8, 0.64, 0.51, 0.41];
    for _ in 0..STEPS {
        let next = times(matrix, &vector);
        let size = next.iter().fold(0.0f32, |size, value| size.max(value.abs()));
        if size < f32::EPSILON {
            return (0.0, [1.0; STRETCHES]);
        }
        vector = next.map(|value| value / size);
    }
    (product(&vector, &times(matrix, &vector)) / product(&vector, &vector), vector)
}

fn times(matrix: &Matrix, vector: &Vector) -> Vector {
    matrix.map(|row| product(&row, vector))
}

fn product(one: &Vector, other: &Vector) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::EMBEDDING;

    fn voice(axis: usize) -> Embedding {
        let mut values = [0; EMBEDDING];
        values[axis] = i16::MAX;
        Embedding(values)
    }

    #[test]
    fn eigenvalues_of_a_known_matrix() {
        // Three alike and two alike, nothing in common: eigenvalues 3 and 2.
        let matrix: Matrix =
            core::array::from_fn(|row| core::array::from_fn(|column| f32::from((row < 3) == (column < 3))));
        let (first, vector) = largest(&matrix);
        assert!((first - 3.0).abs() < 1e-4 && (vector[0] - vector[2]).abs() < 1e-4 && vector[4].abs() < 1e-4);
        assert_eq!(largest(&[[0.0; STRETCHES]; STRETCHES]).0, 0.0);
    }

    #[test]
    fn one_voice_has_no_spread_and_two_have() {
        for band in [Band::Narrow, Band::Wide] {
            let of = |axes: [usize; STRETCHES]| axes.map(voice);
            assert!(spread(&of([7; STRETCHES]), band).unwrap() < 0.01);
            for turns in [[7, 7, 7, 90, 90], [7, 90, 7, 90, 7], [90, 7, 90, 90, 90]] {
                let spread = spread(&of(turns), band).unwrap();
                assert!((0.1..=0.5).contains(&spread), "{turns:?}: {spread}");
            }
            assert!(are_several(&of([7, 90, 7, 90, 7]), band) && !are_several(&of([7; STRETCHES]), band));
        }
    }

    #[test]
    fn what_is_no_embedding_shows_nothing() {
        let mut stretches = [7; STRETCHES].map(voice);
        stretches[2] = Embedding([0; EMBEDDING]);
        assert!(!are_several(&stretches, Band::Narrow));
    }
}
