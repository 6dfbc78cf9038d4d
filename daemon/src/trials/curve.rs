//! What scores promise: the rates that anchor the curve from log-likelihood ratio to score.

use super::fit::Weighted;
use vouch_dsp::score::THRESHOLDS;

/// Share of target trials for which slope and offset are best: low, since what matters is decided where impostors are
/// many and false accepts rare.
pub const PRIOR: f64 = 0.1;
/// False-accept rates that anchor scores, and the scores.
pub const ANCHORS: [(f64, f64); 5] = [(0.5, 3.0), (0.1, 25.0), (0.01, 65.0), (0.001, 90.0), (2e-4, 94.0)];
/// Shares of the target trials with long speech below the two knots above the anchors, and their scores.
pub const TARGET_ANCHORS: [(f64, f64); 2] = [(0.6, 98.5), (0.95, 100.0)];

/// False-accept rate at each whole threshold: its logarithm is interpolated between the anchors. Above the last it
/// stays: so small a rate cannot be promised smaller.
pub fn far_rates() -> Vec<f64> {
    (0..THRESHOLDS).map(|threshold| far_at(threshold as f64)).collect()
}

fn far_at(threshold: f64) -> f64 {
    let mut left = (1.0, 0.0);
    for right in ANCHORS {
        if threshold <= right.1 {
            let part = (threshold - left.1) / (right.1 - left.1);
            return left.0 * f64::powf(right.0 / left.0, part);
        }
        left = right;
    }
    left.0
}

/// Share of the target trials (`llrs`: ratio and weight) that score below each whole threshold by the curve through
/// `knots` (ratio and score, rising from score 0 to 100).
pub fn frr_rates(knots: &[(f64, f64)], llrs: &[Weighted]) -> Vec<f64> {
    (0..THRESHOLDS).map(|threshold| frr_at(knots, llrs, threshold as f64)).collect()
}

fn frr_at(knots: &[(f64, f64)], llrs: &[Weighted], threshold: f64) -> f64 {
    if threshold <= 0.0 {
        return 0.0;
    }
    let Some((left, right)) = knots.iter().zip(&knots[1..]).find(|(_, right)| threshold <= right.1) else {
        return 1.0;
    };
    let llr = left.0 + (right.0 - left.0) * (threshold - left.1) / (right.1 - left.1);
    let below = |limit: f64| llrs.iter().filter(move |(value, _)| *value < limit);
    // A sum of nothing would be -0.
    let weight = |limit| below(limit).fold(0.0, |sum, (_, weight)| sum + weight);
    weight(llr) / weight(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_meet_the_anchors() {
        let far = far_rates();
        for (rate, score) in ANCHORS {
            assert!((far[score as usize] / rate - 1.0).abs() < 1e-9, "{score}");
        }
        assert_eq!((far[0], far[100]), (1.0, 2e-4));
    }

    #[test]
    fn rejects_are_counted_below_the_curve() {
        let knots = [(0.0, 0.0), (10.0, 100.0)];
        let frr = frr_rates(&knots, &[(2.0, 1.0), (5.0, 2.0), (12.0, 1.0)]);
        assert_eq!(
            (frr[0], frr[20], frr[21], frr[50], frr[51], frr[100]),
            (0.0, 0.0, 0.25, 0.25, 0.75, 0.75)
        );
    }
}
