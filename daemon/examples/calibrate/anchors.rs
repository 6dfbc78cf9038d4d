//! The constants of one band, from its embeddings.

use crate::Outcome;
use crate::embed::Made;
use crate::lines::lines;
use crate::nuisance;
use crate::speech::{Part, SHORT_S, USUAL_S};
use vouch::trials::curve::{ANCHORS, PRIOR, TARGET_ANCHORS, far_rates, frr_rates};
use vouch::trials::fit::{Weighted, exceeded_by, extrapolated, logistic};
use vouch_dsp::features::Band;
use vouch_dsp::score::calibrate::{DURATIONS_S, KNOTS};
use vouch_dsp::score::centre::Common;

/// Share of the prompts in the weight of all target trials: few people, but the only speech as long as on a call.
const PROMPT_SHARE: f64 = 0.5;
/// How much likelier than a reader of LibriSpeech picked at random somebody passes who pretends to be a customer, so what
/// rates are promised and ratios fitted for: the one in so many non-target trials with the highest cosines. People of
/// the same sex (by pitch) pass 1.9 times as often, at rates of 1 % to 0.01 %. Where a threshold lets 1 % pass in one
/// corpus, 7.4 % of the callers of an Indian telephone service passed. Both together make 14, which is doubled, since
/// 112 people do not tell the tail well. What pairs of lines add is counted apart, as a cosine.
const ALIKE: f64 = 28.0;
/// Smallest share of the trials that is counted; smaller ones are extrapolated from it and ten times it.
const COUNTED: f64 = 0.001;

/// Constants of one band and what is worth knowing of how they came about.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) band: Band,
    pub(crate) common: Common,
    pub(crate) slope: f64,
    pub(crate) offset: f64,
    pub(crate) duration: Vec<f64>,
    pub(crate) knots: Vec<(f64, f64)>,
    pub(crate) far: Vec<f64>,
    pub(crate) frr: Vec<f64>,
    pub(crate) targets: usize,
}

/// Cosines of non-target trials over telephone lines, for both bands: LibriSpeech's readers recorded themselves at home,
/// and in the wide band their rooms and microphones tell them apart as much as their voices do. People who call over
/// one gateway are not told apart so.
pub(crate) struct Impostors {
    alike: Vec<Weighted>,
    tail: Tail,
}

impl Impostors {
    /// Non-target trials.
    pub(crate) const fn trials(&self) -> usize {
        self.tail.all.len()
    }

    /// Cosine by which the worst pair of lines exceeds all together where 1 % of either lie above.
    pub(crate) const fn worst(&self) -> f64 {
        self.tail.worst
    }

    /// From the embeddings of the narrow band.
    pub(crate) fn of(made: &[Made]) -> Self {
        let common = common(made);
        let trials = Trials { made, common: &common, lines: lines(Band::Narrow).len() };
        Self { alike: trials.alike(), tail: Tail::of(&trials.others(Part::First(USUAL_S))) }
    }
}

pub(crate) fn derive(band: Band, made: &[Made], impostors: &Impostors) -> Outcome<Derived> {
    let common = common(made);
    let trials = Trials { made, common: &common, lines: lines(band).len() };
    let (halves, prompts) = (trials.halves(), trials.prompts());
    let targets = weighted(&halves, &prompts);
    let (slope, offset) = logistic(&targets, &impostors.alike, PRIOR);
    if !(slope > 0.0 && slope.is_finite()) {
        return Err(format!("the fit of {band:?} has no positive slope").into());
    }

    let tail = &impostors.tail;
    let long = if prompts.is_empty() { &halves } else { &prompts };
    let mut knots = vec![(tail.exceeded_by(0.999), 0.0)];
    knots.extend(ANCHORS.map(|(far, score)| (tail.exceeded_by(far / ALIKE), score)));
    knots.extend(TARGET_ANCHORS.map(|(share, score)| (exceeded_by(long, 1.0 - share), score)));
    knots.iter_mut().for_each(|(x, _)| *x = slope * *x + offset);
    if knots.len() != KNOTS || !knots.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return Err(format!("the anchors of {band:?} do not rise: {knots:?}").into());
    }

    let llrs: Vec<Weighted> = targets.iter().map(|(x, weight)| (slope * x + offset, *weight)).collect();
    Ok(Derived {
        band,
        slope,
        offset,
        duration: DURATIONS_S.map(|seconds| slope * trials.excess_of_usual(seconds)).to_vec(),
        far: far_rates(),
        frr: frr_rates(&knots, &llrs),
        knots,
        targets: targets.len(),
        common,
    })
}

/// Cosines of non-target trials.
struct Tail {
    /// Of all pairs of lines, rising.
    all: Vec<f64>,
    /// By how much the worst pair of lines exceeds all together, where 1 % of either lie above.
    worst: f64,
}

impl Tail {
    fn of(by_lines: &[Vec<f64>]) -> Self {
        let all = sorted(by_lines.concat());
        let top = |cosines: &[f64]| exceeded_by(cosines, 0.01);
        let excess = |pair: &Vec<f64>| top(&sorted(pair.clone())) - top(&all);
        let worst = by_lines.iter().filter(|pair| !pair.is_empty()).map(excess).fold(0.0, f64::max);
        Self { all, worst }
    }

    /// Cosine that a share `p` of the trials over the worst pair of lines exceeds, at most about.
    fn exceeded_by(&self, p: f64) -> f64 {
        extrapolated(&self.all, p, COUNTED) + self.worst
    }
}

/// What all embeddings have in common: the mean of the cohort's tests over all lines, and where lines move them.
fn common(made: &[Made]) -> Common {
    let tests = || made.iter().filter(|made| made.cohort && made.part == Part::Half(1));
    let count = tests().count().max(1) as f64;
    let mean = std::array::from_fn(|at| {
        let sum: f64 = tests().map(|made| f64::from(made.embedding.0[at])).sum();
        (sum / count).round() as i16
    });
    Common { mean, nuisance: nuisance::directions(made) }
}

struct Trials<'m> {
    made: &'m [Made],
    common: &'m Common,
    lines: usize,
}

impl Trials<'_> {
    fn cosine(&self, one: &Made, other: &Made) -> Option<f64> {
        self.common.cosine(&one.embedding, &other.embedding).map(f64::from)
    }

    fn of(&self, cohort: bool, part: Part) -> Vec<&Made> {
        self.made.iter().filter(|made| made.cohort == cohort && made.part == part).collect()
    }

    /// Cosines of target trials with short speech, rising: the halves of an utterance.
    fn halves(&self) -> Vec<f64> {
        self.same_person(&self.of(true, Part::Half(0)), &self.of(true, Part::Half(1)))
    }

    /// Cosines of target trials with long speech, rising: prompts against other prompts of the same person.
    fn prompts(&self) -> Vec<f64> {
        self.same_person(&self.of(false, Part::Whole), &self.of(false, Part::Stretch))
    }

    /// Enrolled over the first line, the clean one, and tested over any, or over one line.
    fn same_person(&self, enrolled: &[&Made], tests: &[&Made]) -> Vec<f64> {
        let mut cosines = Vec::new();
        for one in enrolled {
            let meets = |test: &&&Made| test.person == one.person && (one.line == 0 || one.line == test.line);
            cosines.extend(tests.iter().filter(meets).filter_map(|test| self.cosine(one, test)));
        }
        sorted(cosines)
    }

    /// Cosines of all pairs of different people, enrolled on their whole utterance and tested on `part`, one list for
    /// each pair of lines.
    fn others(&self, part: Part) -> Vec<Vec<f64>> {
        let wanted = |test: &&Made| match part {
            // Few utterances are as long as a test on a call.
            Part::First(USUAL_S) => true,
            Part::First(seconds) => test.speech_ms >= seconds * 1000,
            _ => true,
        };
        let (enrolled, mut tests) = (self.of(true, Part::Whole), self.of(true, part));
        tests.retain(wanted);
        let mut by_lines = vec![Vec::new(); self.lines * self.lines];
        for one in enrolled {
            for test in tests.iter().filter(|test| test.person != one.person) {
                by_lines[one.line * self.lines + test.line].extend(self.cosine(one, test));
            }
        }
        by_lines
    }

    /// Non-target trials of people who are alike, over one line.
    fn alike(&self) -> Vec<Weighted> {
        let by_lines = self.others(Part::First(USUAL_S));
        let same_line = sorted(by_lines.into_iter().step_by(self.lines + 1).flatten().collect());
        let first = same_line.len() - (same_line.len() as f64 / ALIKE) as usize;
        same_line[first..].iter().map(|&cosine| (cosine, 1.0)).collect()
    }

    /// How much higher the rare non-target trials lie that tests of usual length make than those that tests of
    /// `seconds` make.
    fn excess_of_usual(&self, seconds: f32) -> f64 {
        let rare = |part| exceeded_by(&sorted(self.others(part).concat()), COUNTED);
        let short = SHORT_S.into_iter().find(|&short| short as f32 == seconds);
        short.map_or(0.0, |short| rare(Part::First(USUAL_S)) - rare(Part::First(short)))
    }
}

/// Target trials. Each kind has its share of the weight.
fn weighted(halves: &[f64], prompts: &[f64]) -> Vec<Weighted> {
    let share = if prompts.is_empty() { 0.0 } else { PROMPT_SHARE };
    let mut targets = Vec::new();
    for (cosines, share) in [(halves, 1.0 - share), (prompts, share)] {
        let weight = share / cosines.len().max(1) as f64;
        targets.extend(cosines.iter().map(|&cosine| (cosine, weight)));
    }
    targets
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
