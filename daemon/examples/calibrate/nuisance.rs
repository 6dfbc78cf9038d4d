//! The directions in which lines and noise move embeddings, whoever speaks.

use crate::embed::Made;
use crate::speech::Part;
use std::collections::BTreeMap;
use vouch_dsp::sizes::EMBEDDING;

/// Shortest move, in lengths of an embedding, that is a direction of its own: what is shorter is chance.
const SHORTEST: f64 = 0.05;

type Vector = [f64; EMBEDDING];

/// For each line how far, on average over all people, it moves a test away from the same person's test over the first
/// line; and how far the noisy copy moves an enrollment over that line. Of unit length and at right angles, Q15.
///
/// Taking these away served better than whitening all of the variation within people, which one utterance of each does
/// not tell well enough.
pub(crate) fn directions(made: &[Made]) -> &'static [[i16; EMBEDDING]] {
    let over = |line: usize, part: Part| -> BTreeMap<usize, &Made> {
        let wanted = made.iter().filter(|made| made.cohort && made.line == line && made.part == part);
        wanted.map(|made| (made.person, made)).collect()
    };
    let clean = over(0, Part::Half(1));
    let last = made.iter().map(|made| made.line).max().unwrap_or(0);
    let mut moves: Vec<Vector> = (1..=last).map(|line| shift(&clean, &over(line, Part::Half(1)))).collect();
    moves.push(shift(&clean, &over(0, Part::Half(0))));
    Vec::leak(at_right_angles(moves).iter().map(|direction| direction.map(q15)).collect())
}

/// Mean move of the people that are in both.
fn shift(from: &BTreeMap<usize, &Made>, to: &BTreeMap<usize, &Made>) -> Vector {
    let mut sum = [0.0; EMBEDDING];
    let both: Vec<_> = to.iter().filter_map(|(person, to)| Some((from.get(person)?, to))).collect();
    for (from, to) in &both {
        for (sum, (from, to)) in sum.iter_mut().zip(from.embedding.0.iter().zip(&to.embedding.0)) {
            *sum += (f64::from(*to) - f64::from(*from)) / 32_768.0 / both.len() as f64;
        }
    }
    sum
}

/// Gram-Schmidt, the longest of what is left first.
fn at_right_angles(mut moves: Vec<Vector>) -> Vec<Vector> {
    let mut directions = Vec::new();
    while let Some(at) = (0..moves.len()).max_by(|&a, &b| length(&moves[a]).total_cmp(&length(&moves[b]))) {
        let longest = moves.swap_remove(at);
        let size = length(&longest);
        if size < SHORTEST {
            break;
        }
        let direction = longest.map(|value| value / size);
        for other in &mut moves {
            let along: f64 = other.iter().zip(&direction).map(|(a, b)| a * b).sum();
            other.iter_mut().zip(&direction).for_each(|(value, part)| *value -= along * part);
        }
        directions.push(direction);
    }
    directions
}

fn length(vector: &Vector) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn q15(value: f64) -> i16 {
    (value * 32_767.0).round() as i16
}
