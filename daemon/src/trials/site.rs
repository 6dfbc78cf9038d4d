//! `vouchctl trials --calibrate`: a site's own calibration, from the scores of its own recordings.
//!
//! Cosines stay as they are. What a site measures is what they mean on its lines: the log-likelihood ratio (two numbers,
//! by logistic regression) and the scores (anchored on the false-accept rates among the site's own impostor trials).

mod report;

use super::curve::{ANCHORS, PRIOR, TARGET_ANCHORS, frr_rates};
use super::fit::{Weighted, exceeded_by, logistic};
use super::metrics::{Metrics, Scored, sort};
use super::{OfflineError, Outcomes};
use crate::calibration::{SiteCalibration, SiteCurve};
use jiff::Timestamp;
use report::Report;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use vouch_dsp::features::Band;
use vouch_dsp::score::calibrate::KNOTS;
use vouch_dsp::score::{Curve, Curves};

/// Fewest people, target and non-target trials of a band that are fitted.
const LEAST: Size = Size { people: 20, targets: 20, non_targets: 400 };
/// Non-target trials from which on the site may let more callers pass than the shipped calibration: so many without a
/// single accept prove a rate of 0.1 % with 95 % confidence (Clopper and Pearson).
const LEAST_TO_EASE: usize = 3_700;
/// How much likelier than somebody picked at random an impostor passes: an impostor is at least of the customer's
/// sex, and people of one sex pass for each other 1.9 times as often as any two (`daemon/examples/calibrate/anchors.rs`).
const ALIKE: f64 = 2.0;
/// Non-target trials above a ratio that are enough to count.
const COUNTED: f64 = 10.0;
/// Target trials of a site whose ratios count as much as the shipped ones: few target trials tell a slope badly.
const AS_SHIPPED: f64 = 100.0;
/// Least rise of the log-likelihood ratio from knot to knot.
const LEAST_RISE: f64 = 0.01;
/// Thresholds that the report compares.
const THRESHOLDS: [f32; 3] = [80.0, 90.0, 95.0];

/// One trial with figures.
#[derive(Clone, Copy, Debug)]
struct Case {
    cosine: f32,
    net_speech_ms: u32,
    target: bool,
    speakers: (usize, usize),
}

impl Case {
    fn llr(&self, curve: &Curve) -> f32 {
        curve.llr(self.cosine, self.net_speech_ms)
    }
}

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    people: usize,
    targets: usize,
    non_targets: usize,
}

impl Size {
    fn of(cases: &[Case]) -> Self {
        let people: BTreeSet<usize> =
            cases.iter().flat_map(|case| [case.speakers.0, case.speakers.1]).collect();
        let targets = cases.iter().filter(|case| case.target).count();
        Self { people: people.len(), targets, non_targets: cases.len() - targets }
    }

    const fn is_enough(self) -> bool {
        self.people >= LEAST.people && self.targets >= LEAST.targets && self.non_targets >= LEAST.non_targets
    }
}

/// Fits the bands that have trials enough, writes the calibration and prints what changes.
///
/// # Errors
/// [`OfflineError`] when there are too few trials, or the file cannot be written.
pub(super) fn run(
    outcomes: &Outcomes,
    path: &Path,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), OfflineError> {
    let bands = [Band::Narrow, Band::Wide].map(|band| (band, cases(outcomes, band)));
    let [narrow, wide] = &bands;
    let site = SiteCalibration { made: Timestamp::now(), narrow: fitted(narrow)?, wide: fitted(wide)? };
    if site.narrow.is_none() && site.wide.is_none() {
        let (_, most) = bands.iter().max_by_key(|(_, cases)| cases.len()).expect("there are two bands");
        return Err(too_few(Size::of(most)));
    }
    site.write_new(path)?;
    Report::of(&site, &bands, path).print(json, out)?;
    Ok(())
}

/// The curve of a band with trials enough.
fn fitted((band, cases): &(Band, Vec<Case>)) -> Result<Option<SiteCurve>, OfflineError> {
    let Size { people, targets, non_targets } = Size::of(cases);
    if !Size::of(cases).is_enough() {
        return Ok(None);
    }
    let curve = fit(Curves::shipped().of(*band), cases).ok_or_else(|| {
        OfflineError::Argument(
            "target trials do not score above non-target ones: is the list's column `target` right?"
                .to_owned(),
        )
    })?;
    Ok(Some(SiteCurve { targets, non_targets, people, curve }))
}

fn too_few(size: Size) -> OfflineError {
    OfflineError::Argument(format!(
        "a calibration needs {} people, {} target and {} non-target trials with figures in one band; the list has {}, {} \
         and {}",
        LEAST.people, LEAST.targets, LEAST.non_targets, size.people, size.targets, size.non_targets
    ))
}

/// The trials of a band that have figures.
fn cases(outcomes: &Outcomes, band: Band) -> Vec<Case> {
    let trials = outcomes.list.trials().iter().zip(outcomes.list.speakers());
    let with_figures = trials.zip(&outcomes.outcomes).filter_map(|((trial, speakers), outcome)| {
        let comparison = outcome.comparison.filter(|comparison| comparison.band == band)?;
        let net_speech_ms = (outcome.test_s * 1000.0).round() as u32;
        Some(Case { cosine: comparison.cosine, net_speech_ms, target: trial.target, speakers })
    });
    with_figures.collect()
}

/// The curve of these trials; `shipped` gives the terms that a site does not measure. `None` where target trials do not
/// score above the others.
fn fit(shipped: &Curve, cases: &[Case]) -> Option<Curve> {
    let ratios = |target: bool| -> Vec<Weighted> {
        let of_kind = cases.iter().filter(|case| case.target == target);
        let mut ratios: Vec<Weighted> = of_kind.map(|case| (f64::from(case.llr(shipped)), 1.0)).collect();
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        ratios
    };
    let (targets, others) = (ratios(true), ratios(false));
    let (scale, shift) = logistic(&targets, &others, PRIOR);
    if !(scale > 0.0 && scale.is_finite() && shift.is_finite()) {
        return None;
    }
    let trusted = targets.len() as f64 / (targets.len() as f64 + AS_SHIPPED);
    let (scale, shift) = (1.0 + trusted * (scale - 1.0), trusted * shift);
    let moved = |ratios: &[Weighted]| -> Vec<f64> { ratios.iter().map(|(x, _)| scale * x + shift).collect() };
    let (targets, others) = (moved(&targets), moved(&others));
    let shipped_knots = shipped.knots.map(|(llr, score)| (scale * f64::from(llr) + shift, score));
    let knots = knots(&targets, &others, shipped_knots);
    let weighted: Vec<Weighted> = targets.iter().map(|&llr| (llr, 1.0)).collect();
    let frr = frr_rates(&knots, &weighted);
    Some(Curve {
        slope: (scale * f64::from(shipped.slope)) as f32,
        offset: (scale * f64::from(shipped.offset) + shift) as f32,
        duration: shipped.duration.map(|term| (scale * f64::from(term)) as f32),
        knots: knots.map(|(llr, score)| (llr as f32, score as f32)),
        far: shipped.far,
        frr: std::array::from_fn(|threshold| frr[threshold] as f32),
    })
}

/// Ratio and score of each knot. Where too few non-target trials lie above to be counted, the curve keeps the shape that was
/// measured on many people, moved to where the rarest that can be counted lie. Scores from 90 on are not made easier to reach than as shipped by fewer than
/// [`LEAST_TO_EASE`] non-target trials.
fn knots(targets: &[f64], others: &[f64], shipped: [(f64, f32); KNOTS]) -> [(f64, f64); KNOTS] {
    let counted = COUNTED / others.len() as f64;
    let anchors: [(f64, f64); ANCHORS.len()] =
        std::array::from_fn(|at| (ANCHORS[at].0.ln(), shipped[at + 1].0));
    let moved = exceeded_by(others, counted) - between(&anchors, (counted * ALIKE).ln());
    let first = (exceeded_by(others, 0.999), 0.0);
    let by_far = ANCHORS.into_iter().zip(anchors).map(|((far, score), (_, as_shipped))| {
        let counts = far / ALIKE >= counted;
        (if counts { exceeded_by(others, far / ALIKE) } else { as_shipped + moved }, score)
    });
    let by_targets = TARGET_ANCHORS.map(|(share, score)| (exceeded_by(targets, 1.0 - share), score));
    let measured = std::iter::once(first).chain(by_far).chain(by_targets);
    let may_ease = others.len() >= LEAST_TO_EASE;
    let mut below = f64::NEG_INFINITY;
    let mut all = measured.zip(shipped).map(|((llr, score), (as_shipped, _))| {
        let fair = if score >= 90.0 && !may_ease { llr.max(as_shipped) } else { llr };
        below = fair.max(below + LEAST_RISE);
        (below, score)
    });
    std::array::from_fn(|_| all.next().expect("as many knots as anchors"))
}

/// Value at `x` on the line through `points`, whose x fall; the ends stay.
fn between(points: &[(f64, f64)], x: f64) -> f64 {
    let Some(after) = points.iter().position(|point| point.0 < x) else { return points[points.len() - 1].1 };
    let Some(before) = after.checked_sub(1) else { return points[0].1 };
    let (left, right) = (points[before], points[after]);
    left.1 + (right.1 - left.1) * (x - left.0) / (right.0 - left.0)
}

/// Error rates of trials under a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rates {
    metrics: Metrics,
    /// False accepts and false rejects at each of [`THRESHOLDS`].
    at: [(f64, f64); THRESHOLDS.len()],
}

impl Rates {
    /// `None` without trials of both kinds.
    fn of(scored: &[(Case, &Curve)]) -> Option<Self> {
        let llrs = scored.iter().map(|(case, curve)| f64::from(case.llr(curve)));
        let trial = |(llr, (case, _)): (f64, &(Case, &Curve))| Scored {
            llr,
            accepted: false,
            target: case.target,
            weight: 1.0,
        };
        let mut trials: Vec<Scored> = llrs.zip(scored).map(trial).collect();
        sort(&mut trials);
        let accepted = |threshold: f32, target: bool| {
            let kind = || scored.iter().filter(|(case, _)| case.target == target);
            let passes = |(case, curve): &&(Case, &Curve)| curve.score(case.llr(curve)) >= threshold;
            kind().filter(passes).count() as f64 / kind().count() as f64
        };
        let at = THRESHOLDS.map(|threshold| (accepted(threshold, false), 1.0 - accepted(threshold, true)));
        Some(Self { metrics: Metrics::of(&trials)?, at })
    }
}

/// What a calibration brings to people whose calls it was not made of: each half of the people is measured with the
/// curve of the other half, and as shipped. `None` where a half has too few trials.
fn cross_checked(shipped: &Curve, cases: &[Case]) -> Option<[Rates; 2]> {
    let half = |which: usize| -> Vec<Case> {
        let inside = |case: &&Case| case.speakers.0 % 2 == which && case.speakers.1 % 2 == which;
        cases.iter().filter(inside).copied().collect()
    };
    let halves = [half(0), half(1)];
    if halves
        .iter()
        .any(|half| Size::of(half).targets == 0 || Size::of(half).non_targets < COUNTED as usize * 10)
    {
        return None;
    }
    let curves = [fit(shipped, &halves[1])?, fit(shipped, &halves[0])?];
    let under = |curves: [&Curve; 2]| {
        let scored: Vec<(Case, &Curve)> = halves
            .iter()
            .zip(curves)
            .flat_map(|(half, curve)| half.iter().map(move |case| (*case, curve)))
            .collect();
        Rates::of(&scored)
    };
    Some([under([shipped, shipped])?, under([&curves[0], &curves[1]])?])
}

#[cfg(test)]
mod tests;
