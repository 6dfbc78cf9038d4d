//! 95 % intervals of error rates.
//!
//! Trials that share a speaker are not independent, so intervals come from a bootstrap that draws speakers,
//! not trials, and weighs each trial by how often its two speakers were drawn. A bootstrap of zero errors is
//! an interval of zero width, so the interval of every rate is widened to that of Clopper and Pearson (1934).

use super::metrics::{Metrics, REPORTED_FARS, Scored};
use std::ops::Range;

/// Most replicates of the bootstrap; fewer when there are very many trials.
const REPLICATES: Range<usize> = 200..1000;
/// Trials measured in all replicates together, about.
const EFFORT: usize = 20_000_000;
/// Share of replicates outside the interval on each side.
const TAIL: f64 = 0.025;

/// Lower and upper end.
pub type Interval = (f64, f64);

/// An interval for each figure of [`Metrics`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// Of the equal error rate.
    pub eer: Interval,
    /// Of the least detection cost.
    pub min_dcf: Interval,
    /// Of the cost of the log-likelihood ratios.
    pub cllr: Interval,
    /// Of the same after the best monotone recalibration.
    pub min_cllr: Interval,
    /// Of the false-reject rates at the reported false-accept rates.
    pub frr_at_far: [Interval; REPORTED_FARS.len()],
    /// Of the false-accept rate at the threshold.
    pub far: Interval,
    /// Of the false-reject rate at the threshold.
    pub frr: Interval,
}

/// The speakers of a trial's two sides, numbered from 0.
pub type Speakers = (usize, usize);

/// Intervals of `metrics`, measured on trials sorted by rising ratio. The same trials give the same
/// intervals: the draws come from a generator with a fixed start.
pub fn intervals(metrics: &Metrics, sorted: &[(Scored, Speakers)]) -> Intervals {
    let draws = bootstrap(sorted);
    let targets = sorted.iter().filter(|(trial, _)| trial.target).count();
    let others = sorted.len() - targets;
    let spread = |figure: &dyn Fn(&Metrics) -> f64| percentiles(draws.iter().map(figure).collect());
    let rate = |figure: &dyn Fn(&Metrics) -> f64, trials: usize| {
        let (spread, exact) = (spread(figure), clopper_pearson(figure(metrics), trials));
        (spread.0.min(exact.0), spread.1.max(exact.1))
    };
    Intervals {
        eer: rate(&|m| m.eer, targets.min(others)),
        min_dcf: spread(&|m| m.min_dcf),
        cllr: spread(&|m| m.cllr),
        min_cllr: spread(&|m| m.min_cllr),
        frr_at_far: std::array::from_fn(|at| rate(&|m| m.frr_at_far[at], targets)),
        far: rate(&|m| m.far, others),
        frr: rate(&|m| m.frr, targets),
    }
}

/// Metrics of each replicate in which both kinds of trials occur.
fn bootstrap(sorted: &[(Scored, Speakers)]) -> Vec<Metrics> {
    let speakers = sorted.iter().map(|(_, (a, b))| a.max(b) + 1).max().unwrap_or(0);
    let replicates = (EFFORT / sorted.len().max(1)).clamp(REPLICATES.start, REPLICATES.end);
    let mut random = SplitMix(0x0ddb_1a5e);
    let mut trials: Vec<Scored> = Vec::with_capacity(sorted.len());
    let mut draw = || {
        let mut drawn = vec![0u32; speakers];
        for _ in 0..speakers {
            drawn[random.below(speakers)] += 1;
        }
        trials.clear();
        trials.extend(sorted.iter().filter_map(|&(trial, (a, b))| {
            let times = if a == b { drawn[a] } else { drawn[a] * drawn[b] };
            (times > 0).then(|| Scored { weight: trial.weight * f64::from(times), ..trial })
        }));
        Metrics::of(&trials)
    };
    (0..replicates).filter_map(|_| draw()).collect()
}

fn percentiles(mut values: Vec<f64>) -> Interval {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return (0.0, 1.0) };
    let at = |share: f64| values[(share * last as f64).round() as usize];
    (at(TAIL), at(1.0 - TAIL))
}

/// Exact binomial interval of a rate over so many trials; the count of errors need not be whole.
pub fn clopper_pearson(rate: f64, trials: usize) -> Interval {
    let (n, k) = (trials as f64, rate * trials as f64);
    let low = if k <= 0.0 { 0.0 } else { beta_quantile(TAIL, k, n - k + 1.0) };
    let high = if k >= n { 1.0 } else { beta_quantile(1.0 - TAIL, k + 1.0, n - k) };
    (low, high)
}

/// Where the beta distribution function reaches `p`, by bisection.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        *if beta_distribution(middle, a, b) < p { &mut low } else { &mut high } = middle;
    }
    (low + high) / 2.0
}

/// Regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8).
fn beta_distribution(x: f64, a: f64, b: f64) -> f64 {
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_distribution(1.0 - x, b, a);
    }
    if x <= 0.0 {
        return 0.0;
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    // The terms needed grow with the root of the larger parameter.
    let terms = 200 + (5.0 * (a + b).sqrt()) as u32;
    let mut fraction = 1.0;
    for m in (0..terms).rev().map(f64::from) {
        let even = (m + 1.0) * (b - m - 1.0) * x / ((a + 2.0 * m + 1.0) * (a + 2.0 * m + 2.0));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        fraction = 1.0 + odd / (1.0 + even / fraction);
    }
    front.exp() / (a * fraction)
}

/// ln of the gamma function for x > 0: Stirling's series after a shift to x >= 10, where it is exact to
/// about 1e-13.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

/// SplitMix64 (Steele, Lea and Flood, 2014): enough for drawing speakers.
struct SplitMix(u64);

impl SplitMix {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clopper_pearson_meets_published_values() {
        // Zero errors: 1 - 0.025^(1/n). One in ten and five in ten: Clopper and Pearson's own tables.
        let (low, high) = clopper_pearson(0.0, 30);
        assert!(low == 0.0 && (high - 0.115_70).abs() < 1e-4, "{high}");
        let (low, high) = clopper_pearson(0.1, 10);
        assert!((low - 0.002_53).abs() < 1e-4 && (high - 0.445_02).abs() < 1e-4, "{low} {high}");
        let (low, high) = clopper_pearson(0.5, 10);
        assert!((low - 0.187_09).abs() < 1e-4 && (high - 0.812_91).abs() < 1e-4, "{low} {high}");
        assert_eq!(clopper_pearson(1.0, 10).1, 1.0);
    }

    #[test]
    fn gamma_of_whole_and_half_numbers() {
        assert!((ln_gamma(5.0) - 24f64.ln()).abs() < 1e-11);
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-11);
    }

    proptest! {
        #[test]
        fn the_beta_distribution_is_a_binomial_tail(x in 0.001..0.999f64, n in 1u32..40, k in 1u32..40) {
            let k = k.min(n);
            let choose = |j: u32| (1..=j).fold(1.0, |c, i| c * f64::from(n - j + i) / f64::from(i));
            let tail: f64 =
                (k..=n).map(|j| choose(j) * x.powi(j as i32) * (1.0 - x).powi((n - j) as i32)).sum();
            prop_assert!((beta_distribution(x, f64::from(k), f64::from(n - k + 1)) - tail).abs() < 1e-9);
        }

        #[test]
        fn intervals_hold_the_rate(errors in 0usize..50, trials in 50usize..5000) {
            let rate = errors as f64 / trials as f64;
            let (low, high) = clopper_pearson(rate, trials);
            prop_assert!(low <= rate && rate <= high && high - low > 0.0);
        }
    }

    #[test]
    fn speakers_are_drawn_not_trials() {
        // Twenty people, ten trials each; one person is always rejected.
        let mut trials: Vec<(Scored, Speakers)> = Vec::new();
        for speaker in 0..20 {
            for take in 0..10 {
                let llr = if speaker == 0 { -1.0 } else { 5.0 } + f64::from(take) / 100.0;
                let scored = |llr, target| Scored { llr, accepted: llr > 0.0, target, weight: 1.0 };
                trials.push((scored(llr, true), (speaker, speaker)));
                trials.push((scored(-9.0, false), (speaker, (speaker + 1) % 20)));
            }
        }
        trials.sort_by(|a, b| a.0.llr.total_cmp(&b.0.llr));
        let plain: Vec<Scored> = trials.iter().map(|(scored, _)| *scored).collect();
        let metrics = metrics::Metrics::of(&plain).unwrap();
        let found = intervals(&metrics, &trials);
        assert!((metrics.frr - 0.05).abs() < 1e-12);
        // Independent trials would give about 0.02 to 0.09; people allow 0 to 0.15 and more.
        assert!(found.frr.0 == 0.0 && found.frr.1 >= 0.15, "{:?}", found.frr);
        assert!(found.far.0 == 0.0 && found.far.1 > 0.01, "{:?}", found.far);
        assert_eq!(found, intervals(&metrics, &trials));
    }
}
