//! The constants of one band, from its embeddings.

use crate::Outcome;
use crate::embed::Made;
use crate::fit::{Weighted, exceeded_by, logistic, normal_tail, reached_by};
use crate::line::lines;
use crate::speech::{Part, SHORT_S};
use vouch_dsp::features::Band;
use vouch_dsp::score::THRESHOLDS;
use vouch_dsp::score::calibrate::{DURATIONS_S, KNOTS};
use vouch_dsp::score::centre::centred_cosine;
use vouch_dsp::sizes::EMBEDDING;

/// Share of target trials for which slope and offset are best: low, since what matters is decided where impostors are
/// many and false accepts rare.
const PRIOR: f64 = 0.1;
/// Share of the prompts in the weight of all target trials: few people, but the only long speech and the only two
/// sessions of one person.
const PROMPT_SHARE: f64 = 0.25;
/// False-accept rates that anchor scores, and the scores.
pub(crate) const ANCHORS: [(f64, f64); 5] =
    [(0.5, 3.0), (0.1, 25.0), (0.01, 65.0), (0.001, 90.0), (1e-4, 94.0)];
/// Shares of the target trials with long speech over the plain telephone line, as on most real calls, below the two
/// knots above the anchors, and their scores.
const TARGET_ANCHORS: [(f64, f64); 2] = [(0.5, 98.5), (0.95, 100.0)];
/// How much likelier than a person picked at random somebody passes who is alike: of the same sex, accent and line. So
/// many times the false-accept rate of all trials had those of the development corpus within one corpus and sex. Who
/// pretends to be a customer is such a person, so the rates from 1 % down are promised for them.
const ALIKE: f64 = 5.0;
/// Smallest rate that is read off the trials; smaller ones are extrapolated from it and the next.
const COUNTED: f64 = 0.001;

/// Constants of one band and what is worth knowing of how they came about.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) band: Band,
    pub(crate) mean: [i16; EMBEDDING],
    pub(crate) slope: f64,
    pub(crate) offset: f64,
    pub(crate) duration: Vec<f64>,
    pub(crate) knots: Vec<(f64, f64)>,
    pub(crate) far: Vec<f64>,
    pub(crate) frr: Vec<f64>,
    pub(crate) targets: usize,
    pub(crate) others: usize,
    /// Log-likelihood ratio by which the worst pair of lines exceeds all together at a false-accept rate of 1 %.
    pub(crate) worst: f64,
}

pub(crate) fn derive(band: Band, made: &[Made]) -> Outcome<Derived> {
    let mean = cohort_mean(made);
    let trials = Trials { made, mean: &mean };
    let targets = trials.targets();
    let by_lines = trials.others_by_lines(lines(band).len(), Part::Whole);
    let all: Vec<f64> = sorted(by_lines.concat());
    let weighted: Vec<Weighted> = all.iter().map(|&cosine| (cosine, 1.0)).collect();
    let (slope, offset) = logistic(&targets, &weighted, PRIOR);
    if !(slope > 0.0 && slope.is_finite()) {
        return Err(format!("the fit of {band:?} has no positive slope").into());
    }

    let at = |cosines: &[f64], p| slope * exceeded_by(cosines, p) + offset;
    let excess = |pair: Vec<f64>| at(&sorted(pair), 0.01) - at(&all, 0.01);
    let worst = by_lines.into_iter().map(excess).fold(0.0, f64::max);
    let counted = |p| at(&all, p) + worst;
    let step =
        (counted(COUNTED) - counted(COUNTED * 10.0)) / (normal_tail(COUNTED) - normal_tail(COUNTED * 10.0));
    let tail = |p: f64| match p {
        p if p >= COUNTED => counted(p),
        p => counted(COUNTED) + (normal_tail(p) - normal_tail(COUNTED)) * step,
    };
    let long: Vec<Weighted> =
        sorted(trials.of_prompts(Some(0))).into_iter().map(|cosine| (cosine, 1.0)).collect();
    let long = if long.is_empty() { &targets } else { &long };
    let of_targets = |share| slope * reached_by(long, share) + offset;
    let mut knots = vec![(counted(0.999), 0.0)];
    let promised = |far: f64| if far > 0.01 { far } else { far / ALIKE };
    knots.extend(ANCHORS.map(|(far, score)| (tail(promised(far)), score)));
    knots.extend(TARGET_ANCHORS.map(|(share, score)| (of_targets(share), score)));
    if knots.len() != KNOTS || !knots.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return Err(format!("the anchors of {band:?} do not rise: {knots:?}").into());
    }

    let duration = DURATIONS_S.map(|seconds| {
        let short = SHORT_S.into_iter().find(|&short| short as f32 == seconds);
        short.map_or(0.0, |short| {
            let cosines = trials.others_by_lines(lines(band).len(), Part::First(short)).concat();
            at(&all, COUNTED) - at(&sorted(cosines), COUNTED)
        })
    });
    let far = (0..THRESHOLDS).map(|threshold| far_at(threshold as f64)).collect();
    let llrs: Vec<Weighted> =
        targets.iter().map(|(cosine, weight)| (slope * cosine + offset, *weight)).collect();
    let frr = (0..THRESHOLDS).map(|threshold| frr_at(&knots, &llrs, threshold as f64)).collect();
    let (targets, others) = (targets.len(), all.len());
    let duration = duration.to_vec();
    Ok(Derived { band, mean, slope, offset, duration, knots, far, frr, targets, others, worst })
}

/// Mean of the cohort's whole utterances over all lines, Q15.
fn cohort_mean(made: &[Made]) -> [i16; EMBEDDING] {
    let whole = || made.iter().filter(|made| made.cohort && made.part == Part::Whole);
    let count = whole().count().max(1) as f64;
    std::array::from_fn(|at| {
        let sum: f64 = whole().map(|made| f64::from(made.embedding.0[at])).sum();
        (sum / count).round() as i16
    })
}

struct Trials<'m> {
    made: &'m [Made],
    mean: &'m [i16; EMBEDDING],
}

impl Trials<'_> {
    fn cosine(&self, one: &Made, other: &Made) -> Option<f64> {
        centred_cosine(&one.embedding, &other.embedding, self.mean).map(f64::from)
    }

    fn of(&self, cohort: bool, part: Part) -> Vec<&Made> {
        self.made.iter().filter(|made| made.cohort == cohort && made.part == part).collect()
    }

    /// Cosines and weights of target trials, rising. Each kind's trials have its share of the weight.
    fn targets(&self) -> Vec<Weighted> {
        let (halves, prompts) = (
            self.same_person(&self.of(true, Part::Half(0)), &self.of(true, Part::Half(1))),
            self.of_prompts(None),
        );
        let share = if prompts.is_empty() { 0.0 } else { PROMPT_SHARE };
        let mut targets = Vec::new();
        for (cosines, share) in [(halves, 1.0 - share), (prompts, share)] {
            let weight = share / cosines.len().max(1) as f64;
            targets.extend(cosines.into_iter().map(|cosine| (cosine, weight)));
        }
        targets.sort_by(|a, b| a.0.total_cmp(&b.0));
        targets
    }

    /// Cosines of the target trials with long speech, prompts against other prompts of the same person: over one line,
    /// or all.
    fn of_prompts(&self, line: Option<usize>) -> Vec<f64> {
        let [enrolled, tests] = [Part::Whole, Part::Stretch].map(|part| {
            let mut made = self.of(false, part);
            made.retain(|made| line.is_none_or(|line| made.line == line));
            made
        });
        self.same_person(&enrolled, &tests)
    }

    fn same_person(&self, enrolled: &[&Made], tests: &[&Made]) -> Vec<f64> {
        let mut cosines = Vec::new();
        for one in enrolled {
            let of_person = tests.iter().filter(|test| test.person == one.person);
            cosines.extend(of_person.filter_map(|test| self.cosine(one, test)));
        }
        cosines
    }

    /// Cosines of all pairs of different people, enrolled on their whole utterance and tested on `part`, one list for
    /// each pair of lines.
    fn others_by_lines(&self, lines: usize, part: Part) -> Vec<Vec<f64>> {
        let wanted = |test: &&Made| match part {
            Part::First(seconds) => test.speech_ms >= seconds * 1000,
            _ => true,
        };
        let (enrolled, mut tests) = (self.of(true, Part::Whole), self.of(true, part));
        tests.retain(wanted);
        let mut by_lines = vec![Vec::new(); lines * lines];
        for one in enrolled {
            for test in tests.iter().filter(|test| test.person != one.person) {
                by_lines[one.line * lines + test.line].extend(self.cosine(one, test));
            }
        }
        by_lines
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// False-accept rate at a threshold: its logarithm is interpolated between the anchors. Above the last it stays: so
/// small a rate cannot be promised smaller.
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

/// Share of the target trials that score below a threshold.
fn frr_at(knots: &[(f64, f64)], llrs: &[Weighted], threshold: f64) -> f64 {
    let pair = knots.windows(2).find(|pair| threshold <= pair[1].1);
    let Some([left, right]) = pair.and_then(|pair| <[(f64, f64); 2]>::try_from(pair).ok()) else {
        return 1.0;
    };
    let llr = left.0 + (right.0 - left.0) * (threshold - left.1) / (right.1 - left.1);
    if threshold <= 0.0 {
        return 0.0;
    }
    let total: f64 = llrs.iter().map(|(_, weight)| weight).sum();
    llrs.iter().filter(|(value, _)| *value < llr).map(|(_, weight)| weight).sum::<f64>() / total
}
