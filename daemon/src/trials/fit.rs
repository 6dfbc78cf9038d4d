//! Statistics behind a calibration.

/// A value and how much it counts.
pub type Weighted = (f64, f64);

/// Most steps of the regression; about ten are taken.
const MOST_STEPS: usize = 100;
/// Largest change of either parameter, of standardised values, at which the regression is done.
const DONE: f64 = 1e-9;

/// Slope and offset of the log-likelihood ratio `slope * x + offset` that logistic regression finds, where targets
/// are a share `prior` of all trials. The weights of each kind need not sum to one. Each kind is taken for as sure as
/// its number of trials allows (Platt 1999), or kinds that do not overlap would have no finite slope.
pub fn logistic(targets: &[Weighted], others: &[Weighted], prior: f64) -> (f64, f64) {
    let doubt = |trials: &[Weighted]| 1.0 / (trials.len() as f64 + 2.0);
    let (mean, spread) = moments(targets, others);
    let kind = |trials: &[Weighted], label, share| {
        let total: f64 = trials.iter().map(|(_, weight)| weight).sum();
        let each = trials.iter().map(|(x, weight)| ((x - mean) / spread, weight / total * share)).collect();
        Kind { trials: each, label }
    };
    let kinds = [kind(targets, 1.0 - doubt(targets), prior), kind(others, doubt(others), 1.0 - prior)];
    let prior_logit = (prior / (1.0 - prior)).ln();

    // Newton's method, each step halved until the cost falls: the curvature is tiny where everything is decided.
    let mut at = [0.0, 0.0];
    let mut now = Cost::at(at, prior_logit, &kinds);
    for _ in 0..MOST_STEPS {
        let mut step = now.newton_step();
        let mut next = Cost::at([at[0] - step[0], at[1] - step[1]], prior_logit, &kinds);
        while next.value > now.value && step.iter().any(|part| part.abs() > DONE) {
            step = step.map(|part| part / 2.0);
            next = Cost::at([at[0] - step[0], at[1] - step[1]], prior_logit, &kinds);
        }
        at = [at[0] - step[0], at[1] - step[1]];
        now = next;
        if step.iter().all(|part| part.abs() <= DONE) {
            break;
        }
    }
    (at[0] / spread, at[1] - at[0] * mean / spread)
}

/// Trials of one kind, and the posterior probability that they should have.
struct Kind {
    trials: Vec<Weighted>,
    label: f64,
}

/// Cross entropy of a slope and an offset, its gradient and its curvature (xx, x1, 11).
struct Cost {
    value: f64,
    gradient: [f64; 2],
    curvature: [f64; 3],
}

impl Cost {
    fn at([slope, offset]: [f64; 2], prior_logit: f64, kinds: &[Kind; 2]) -> Self {
        let mut cost = Self { value: 0.0, gradient: [0.0; 2], curvature: [0.0; 3] };
        for kind in kinds {
            for &(x, weight) in &kind.trials {
                let logit = slope * x + offset + prior_logit;
                let posterior = 1.0 / (1.0 + (-logit).exp());
                // ln(1 + e^logit) - label * logit, without overflow.
                cost.value += weight * (logit.max(0.0) + (-logit.abs()).exp().ln_1p() - kind.label * logit);
                let (error, curve) =
                    (weight * (posterior - kind.label), weight * posterior * (1.0 - posterior));
                cost.gradient = [cost.gradient[0] + error * x, cost.gradient[1] + error];
                let [xx, x1, one] = cost.curvature;
                cost.curvature = [xx + curve * x * x, x1 + curve * x, one + curve];
            }
        }
        cost
    }

    fn newton_step(&self) -> [f64; 2] {
        // A little ridge keeps the step finite where the kinds do not overlap.
        let [xx, x1, one] = [self.curvature[0] + 1e-9, self.curvature[1], self.curvature[2] + 1e-9];
        let determinant = xx * one - x1 * x1;
        let [slope, offset] = self.gradient;
        [(one * slope - x1 * offset) / determinant, (xx * offset - x1 * slope) / determinant]
    }
}

/// Mean and deviation of all values; a deviation of 0 counts as 1.
fn moments(targets: &[Weighted], others: &[Weighted]) -> (f64, f64) {
    let values = || targets.iter().chain(others).map(|(x, _)| *x);
    let count = (targets.len() + others.len()).max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let spread = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    (mean, if spread > 0.0 { spread } else { 1.0 })
}

/// Value that a share `p` of the values exceeds; `sorted` rises.
pub fn exceeded_by(sorted: &[f64], p: f64) -> f64 {
    let position = (1.0 - p) * (sorted.len() - 1) as f64;
    let (low, part) = (position as usize, position.fract());
    sorted[low] + (sorted[(low + 1).min(sorted.len() - 1)] - sorted[low]) * part
}

/// The same for shares too small to count: below `counted` the value is extrapolated, as the tail of a normal variable,
/// from those that `counted` and ten times it exceed.
pub fn extrapolated(sorted: &[f64], p: f64, counted: f64) -> f64 {
    if p >= counted {
        return exceeded_by(sorted, p);
    }
    let [near, far] = [counted * 10.0, counted].map(|p| (normal_tail(p), exceeded_by(sorted, p)));
    far.1 + (normal_tail(p) - far.0) * (far.1 - near.1) / (far.0 - near.0)
}

/// How many standard deviations a normal variable exceeds with probability `p` (Abramowitz and Stegun 26.2.23,
/// within 5e-4), for p up to one half.
pub(super) fn normal_tail(p: f64) -> f64 {
    let t = (-2.0 * p.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    t - above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regression_finds_the_ratio_of_two_normal_variables() {
        // Means 3 and 0, deviation 1: the ratio is 3 x - 4.5.
        let spread = |mean: f64| -> Vec<Weighted> {
            (1..2000)
                .map(|at| {
                    let p = f64::from(at) / 2000.0;
                    (mean + if p < 0.5 { normal_tail(p) } else { -normal_tail(1.0 - p) }, 1.0)
                })
                .collect()
        };
        let (slope, offset) = logistic(&spread(3.0), &spread(0.0), 0.5);
        assert!((slope - 3.0).abs() < 0.1 && (offset + 4.5).abs() < 0.15, "{slope} {offset}");
    }

    #[test]
    fn shares_are_counted_and_rare_ones_extrapolated() {
        let sorted: Vec<f64> = (0..=1000).map(f64::from).collect();
        assert_eq!(exceeded_by(&sorted, 0.25), 750.0);
        assert_eq!(extrapolated(&sorted, 0.25, 0.01), 750.0);
        let [common, rare] = [0.01, 0.001].map(|p| extrapolated(&sorted, p, 0.01));
        assert!(common == 990.0 && rare > 1000.0, "{rare}");
        // 1 in 1,000 lies 3.09 standard deviations above the mean.
        assert!((normal_tail(0.001) - 3.0902).abs() < 1e-3);
    }
}
