//! Error rates of scored trials: what ISO/IEC 19795-1 and the NIST speaker recognition evaluations report.
//!
//! Every figure takes a weight for each trial, so that the bootstrap in [`super::interval`] measures its
//! replicates by the same code.

/// False-accept rates at which the false-reject rate is reported.
pub const REPORTED_FARS: [f64; 3] = [0.01, 0.001, 0.0001];
/// Prior of a target trial in the reported detection cost; both errors cost 1.
pub const DCF_PRIOR: f64 = 0.01;

/// A trial with a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Natural log-likelihood ratio.
    pub llr: f64,
    /// Whether the score reaches the threshold.
    pub accepted: bool,
    /// Whether both sides are the same person.
    pub target: bool,
    /// How often the trial counts.
    pub weight: f64,
}

/// Figures of a list of trials with at least one target and one non-target trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Equal error rate, on the convex hull of the ROC.
    pub eer: f64,
    /// Least detection cost at [`DCF_PRIOR`], relative to the cost of deciding blindly.
    pub min_dcf: f64,
    /// Cost of the log-likelihood ratios, in bits (Bruemmer and du Preez, 2006).
    pub cllr: f64,
    /// The same after the best monotone recalibration.
    pub min_cllr: f64,
    /// Least false-reject rate at thresholds whose false-accept rate is at most each of [`REPORTED_FARS`].
    pub frr_at_far: [f64; REPORTED_FARS.len()],
    /// Share of non-target trials accepted at the threshold.
    pub far: f64,
    /// Share of target trials not accepted at the threshold.
    pub frr: f64,
}

impl Metrics {
    /// Measures trials that are sorted by rising ratio. `None` when either kind has no weight.
    pub fn of(sorted: &[Scored]) -> Option<Self> {
        let total = Weights::sum(sorted);
        if total.target <= 0.0 || total.other <= 0.0 {
            return None;
        }
        let steps = steps(sorted);
        let points = operating_points(&steps, total);
        let rejected = Weights::sum(sorted.iter().filter(|trial| !trial.accepted));
        let blocks = pool_adjacent_violators(&steps);
        Some(Self {
            eer: equal_error_rate(&operating_points(&blocks, total)),
            min_dcf: min_dcf(&points),
            cllr: cllr(sorted, total),
            min_cllr: min_cllr(&blocks, total),
            frr_at_far: REPORTED_FARS.map(|far| frr_at(&points, far)),
            far: 1.0 - rejected.other / total.other,
            frr: rejected.target / total.target,
        })
    }
}

/// Sorts trials as [`Metrics::of`] wants them.
pub fn sort(trials: &mut [Scored]) {
    trials.sort_by(|a, b| a.llr.total_cmp(&b.llr));
}

/// Weight of the target and of the other trials in some set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Weights {
    target: f64,
    other: f64,
}

impl Weights {
    fn sum<'t>(trials: impl IntoIterator<Item = &'t Scored>) -> Self {
        let mut sum = Self::default();
        for trial in trials {
            *if trial.target { &mut sum.target } else { &mut sum.other } += trial.weight;
        }
        sum
    }

    fn plus(self, other: Self) -> Self {
        Self { target: self.target + other.target, other: self.other + other.other }
    }

    /// Share of targets; a set without weight has none.
    fn target_share(self) -> f64 {
        if self.target > 0.0 { self.target / (self.target + self.other) } else { 0.0 }
    }
}

/// Error rates at one threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    far: f64,
    frr: f64,
}

/// Weights of each distinct ratio, rising.
fn steps(sorted: &[Scored]) -> Vec<Weights> {
    sorted.chunk_by(|a, b| a.llr == b.llr).map(Weights::sum).filter(|w| w.target + w.other > 0.0).collect()
}

/// From "accept everything" to "reject everything", a threshold between any two steps.
fn operating_points(steps: &[Weights], total: Weights) -> Vec<Point> {
    let mut below = Weights::default();
    let mut points = vec![Point { far: 1.0, frr: 0.0 }];
    for &step in steps {
        below = below.plus(step);
        let far = (1.0 - below.other / total.other).max(0.0);
        points.push(Point { far, frr: below.target / total.target });
    }
    // Rounding must not leave a false accept where everything is rejected.
    if let Some(last) = points.last_mut() {
        *last = Point { far: 0.0, frr: 1.0 };
    }
    points
}

/// Merges steps until the share of targets rises from block to block: the isotonic regression of the labels,
/// whose blocks are also the edges of the convex hull of the ROC (Fawcett and Niculescu-Mizil, 2007).
fn pool_adjacent_violators(steps: &[Weights]) -> Vec<Weights> {
    let mut blocks: Vec<Weights> = Vec::new();
    for &step in steps {
        let mut block = step;
        while let Some(&last) = blocks.last()
            && last.target_share() >= block.target_share()
        {
            block = last.plus(block);
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks
}

/// Where the polygon through `points` crosses FAR = FRR.
fn equal_error_rate(points: &[Point]) -> f64 {
    for pair in points.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        let (gap_before, gap_after) = (before.far - before.frr, after.far - after.frr);
        if gap_after <= 0.0 {
            let part = gap_before / (gap_before - gap_after);
            return before.frr + part * (after.frr - before.frr);
        }
    }
    1.0
}

fn min_dcf(points: &[Point]) -> f64 {
    let costs = points.iter().map(|p| DCF_PRIOR * p.frr + (1.0 - DCF_PRIOR) * p.far);
    costs.fold(f64::INFINITY, f64::min) / DCF_PRIOR.min(1.0 - DCF_PRIOR)
}

fn frr_at(points: &[Point], far: f64) -> f64 {
    points.iter().filter(|p| p.far <= far).map(|p| p.frr).fold(1.0, f64::min)
}

fn cllr(trials: &[Scored], total: Weights) -> f64 {
    let mut sum = 0.0;
    for trial in trials {
        let (sign, all) = if trial.target { (-1.0, total.target) } else { (1.0, total.other) };
        sum += trial.weight * softplus(sign * trial.llr) / all;
    }
    sum / (2.0 * std::f64::consts::LN_2)
}

fn min_cllr(blocks: &[Weights], total: Weights) -> f64 {
    let mut sum = 0.0;
    for block in blocks {
        let llr = (block.target / total.target).ln() - (block.other / total.other).ln();
        if block.target > 0.0 {
            sum += block.target / total.target * softplus(-llr);
        }
        if block.other > 0.0 {
            sum += block.other / total.other * softplus(llr);
        }
    }
    sum / (2.0 * std::f64::consts::LN_2)
}

/// ln(1 + e^x) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trial(llr: f64, target: bool) -> Scored {
        Scored { llr, accepted: llr >= 0.0, target, weight: 1.0 }
    }

    fn measured(targets: &[f64], others: &[f64]) -> Metrics {
        let of = |llrs: &[f64], target| llrs.iter().map(|&l| trial(l, target)).collect::<Vec<_>>();
        let mut trials = [of(targets, true), of(others, false)].concat();
        sort(&mut trials);
        Metrics::of(&trials).unwrap()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn separated_trials_have_no_error() {
        let metrics = measured(&[2.0, 3.0], &[-2.0, -3.0, -4.0]);
        assert_eq!((metrics.eer, metrics.min_dcf, metrics.min_cllr), (0.0, 0.0, 0.0));
        assert_eq!((metrics.far, metrics.frr, metrics.frr_at_far), (0.0, 0.0, [0.0; 3]));
    }

    #[test]
    fn a_hand_computed_overlap() {
        // Rising: n -3, n -2, t -1, n 1, t 2, t 3. ROC (FAR, FRR): (1,0) (2/3,0) (1/3,0) (1/3,1/3) (0,1/3) (0,1)
        // with hull (1,0) (1/3,0) (0,1/3) (0,1): it meets the diagonal at 1/6.
        let metrics = measured(&[-1.0, 2.0, 3.0], &[-3.0, -2.0, 1.0]);
        assert!(close(metrics.eer, 1.0 / 6.0), "{}", metrics.eer);
        // Cheapest at prior 0.01: reject the non-target at 1 and with it the target at -1.
        assert!(close(metrics.min_dcf, 1.0 / 3.0));
        assert!(metrics.frr_at_far.iter().all(|&frr| close(frr, 1.0 / 3.0)));
        assert!(close(metrics.far, 1.0 / 3.0) && close(metrics.frr, 1.0 / 3.0));
        // One block of the isotonic fit mixes one target and one non-target, ratio 1, and costs one bit each.
        assert!(close(metrics.min_cllr, 1.0 / 3.0));
    }

    #[test]
    fn ratios_of_nothing_cost_one_bit() {
        let metrics = measured(&[0.0, 0.0], &[0.0]);
        assert!(close(metrics.cllr, 1.0) && close(metrics.min_cllr, 1.0) && close(metrics.eer, 0.5));
    }

    #[test]
    fn cllr_of_one_pair() {
        // log2(1 + e^-1) for the target and log2(1 + e^-2) for the other, averaged.
        let expected = ((1.0 + (-1.0f64).exp()).log2() + (1.0 + (-2.0f64).exp()).log2()) / 2.0;
        assert!(close(measured(&[1.0], &[-2.0]).cllr, expected));
    }

    #[test]
    fn reversed_scores_are_as_bad_as_chance_on_the_hull() {
        assert!(close(measured(&[-1.0], &[1.0]).eer, 0.5));
    }

    #[test]
    fn one_kind_alone_has_no_figures() {
        assert_eq!(Metrics::of(&[trial(1.0, true)]), None);
        assert_eq!(Metrics::of(&[]), None);
    }

    fn llrs() -> impl Strategy<Value = Vec<f64>> {
        // Few distinct values, so that ties are common.
        proptest::collection::vec((-40..40i32).prop_map(|v| f64::from(v) / 4.0), 1..60)
    }

    proptest! {
        #[test]
        fn figures_stay_in_their_ranges(targets in llrs(), others in llrs()) {
            let m = measured(&targets, &others);
            prop_assert!((0.0..=0.5).contains(&m.eer));
            prop_assert!((0.0..=1.0 + 1e-12).contains(&m.min_dcf));
            prop_assert!(m.min_cllr <= m.cllr + 1e-9 && (0.0..=1.0 + 1e-9).contains(&m.min_cllr));
            prop_assert!(m.frr_at_far.windows(2).all(|f| f[0] <= f[1]));
            prop_assert!((0.0..=1.0).contains(&m.far) && (0.0..=1.0).contains(&m.frr));
        }

        #[test]
        fn only_the_order_counts_but_for_cllr(targets in llrs(), others in llrs()) {
            let stretch = |v: &[f64]| v.iter().map(|x| x * 3.0 + 1.0).collect::<Vec<_>>();
            let (one, two) = (measured(&targets, &others), measured(&stretch(&targets), &stretch(&others)));
            prop_assert!(close(one.eer, two.eer) && close(one.min_dcf, two.min_dcf));
            prop_assert!(close(one.min_cllr, two.min_cllr));
        }

        #[test]
        fn weight_two_is_the_trial_twice(targets in llrs(), others in llrs(), twice in 0usize..60) {
            let mut once: Vec<Scored> = targets.iter().map(|&l| trial(l, true)).collect();
            once.extend(others.iter().map(|&l| trial(l, false)));
            let at = twice % once.len();
            let mut doubled = once.clone();
            doubled.push(once[at]);
            once[at].weight = 2.0;
            sort(&mut once);
            sort(&mut doubled);
            let (one, two) = (Metrics::of(&once).unwrap(), Metrics::of(&doubled).unwrap());
            prop_assert!(close(one.eer, two.eer) && close(one.cllr, two.cllr) && close(one.frr, two.frr));
            prop_assert!(close(one.min_cllr, two.min_cllr) && close(one.min_dcf, two.min_dcf));
        }
    }
}
