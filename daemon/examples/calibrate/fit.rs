//! Small statistics.

/// A value and how much it counts.
pub(crate) type Weighted = (f64, f64);

/// Slope and offset of the log-likelihood ratio `slope * x + offset` that logistic regression finds, where targets
/// are a share `prior` of all trials. Newton's method; the weights of each kind need not sum to one. Each kind is taken
/// for as sure as its number of trials allows (Platt 1999), or kinds that do not overlap would have no finite slope.
pub(crate) fn logistic(targets: &[Weighted], others: &[Weighted], prior: f64) -> (f64, f64) {
    let prior_logit = (prior / (1.0 - prior)).ln();
    let doubt = |trials: &[Weighted]| 1.0 / (trials.len() as f64 + 2.0);
    let kinds = [(targets, 1.0 - doubt(targets), prior), (others, doubt(others), 1.0 - prior)];
    let (mut slope, mut offset) = (1.0, 0.0);
    for _ in 0..50 {
        let (mut gradient, mut hessian) = ([0.0; 2], [0.0; 3]);
        for (trials, label, share) in kinds {
            let total: f64 = trials.iter().map(|(_, weight)| weight).sum();
            for &(x, weight) in trials {
                let posterior = 1.0 / (1.0 + (-(slope * x + offset + prior_logit)).exp());
                let weight = weight / total * share;
                let (error, curve) = (weight * (posterior - label), weight * posterior * (1.0 - posterior));
                gradient = [gradient[0] + error * x, gradient[1] + error];
                hessian = [hessian[0] + curve * x * x, hessian[1] + curve * x, hessian[2] + curve];
            }
        }
        // A little ridge keeps the step finite where the kinds do not overlap.
        let [xx, x1, one] = [hessian[0] + 1e-9, hessian[1], hessian[2] + 1e-9];
        let determinant = xx * one - x1 * x1;
        slope -= (one * gradient[0] - x1 * gradient[1]) / determinant;
        offset -= (xx * gradient[1] - x1 * gradient[0]) / determinant;
    }
    (slope, offset)
}

/// Value that a share `p` of the values exceeds; `sorted` rises.
pub(crate) fn exceeded_by(sorted: &[f64], p: f64) -> f64 {
    let position = (1.0 - p) * (sorted.len() - 1) as f64;
    let (low, part) = (position as usize, position.fract());
    sorted[low] + (sorted[(low + 1).min(sorted.len() - 1)] - sorted[low]) * part
}

/// How many standard deviations a normal variable exceeds with probability `p` (Abramowitz and Stegun 26.2.23,
/// within 5e-4), for p up to one half.
pub(crate) fn normal_tail(p: f64) -> f64 {
    let t = (-2.0 * p.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    t - above / below
}
