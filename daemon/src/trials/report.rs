//! What `vouchctl trials` prints.

use super::interval::{Interval, Intervals, clopper_pearson, intervals};
use super::list::{Outcome, TrialList};
use super::metrics::{Metrics, REPORTED_FARS, Scored};
use serde_json::{Map, Value, json};
use std::io::Write;

/// How the intervals were made, for readers of the JSON.
const METHOD: &str = "bootstrap over speakers, widened to Clopper-Pearson where that is wider";

/// The figures of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Trials in the list.
    pub trials: usize,
    /// Target trials in the list.
    pub targets: usize,
    /// Trials that got figures.
    pub scored: usize,
    /// Threshold that decided.
    pub threshold: f32,
    /// Error rates over the trials with figures, where both kinds are among them.
    pub rates: Option<(Metrics, Intervals)>,
    /// Median score of target trials.
    pub target_median: Option<f32>,
    /// Median score of the other trials.
    pub non_target_median: Option<f32>,
}

impl Report {
    /// Measures the outcomes of a list's trials.
    pub fn of(list: &TrialList, outcomes: &[Outcome], threshold: f32) -> Self {
        let all = list.trials().iter().zip(outcomes);
        let with_figures = all.clone().zip(list.speakers()).filter_map(|((trial, outcome), speakers)| {
            let llr = f64::from(outcome.comparison?.llr);
            let scored = Scored { llr, accepted: outcome.accepted, target: trial.target, weight: 1.0 };
            Some((scored, speakers))
        });
        let mut sorted: Vec<_> = with_figures.collect();
        sorted.sort_by(|a, b| a.0.llr.total_cmp(&b.0.llr));
        let plain: Vec<Scored> = sorted.iter().map(|(scored, _)| *scored).collect();
        let scores = |target: bool| {
            let of_kind = all.clone().filter(move |(trial, _)| trial.target == target);
            median(of_kind.filter_map(|(_, outcome)| Some(outcome.comparison?.score)).collect())
        };
        Self {
            trials: outcomes.len(),
            targets: list.trials().iter().filter(|trial| trial.target).count(),
            scored: sorted.len(),
            threshold,
            rates: Metrics::of(&plain).map(|metrics| (metrics, intervals(&metrics, &sorted))),
            target_median: scores(true),
            non_target_median: scores(false),
        }
    }

    /// Share of all trials that got no figures.
    pub fn inconclusive(&self) -> f64 {
        (self.trials - self.scored) as f64 / self.trials.max(1) as f64
    }

    /// Prints one JSON object on a line.
    ///
    /// # Errors
    /// What `out` says.
    pub fn print_json(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{}", self.json())
    }

    fn json(&self) -> Value {
        let rate = |of: &dyn Fn(&Metrics) -> f64| self.rates.as_ref().map(|(metrics, _)| of(metrics));
        let range = |of: &dyn Fn(&Intervals) -> Interval| self.rates.as_ref().map(|(_, ranges)| of(ranges));
        let by_far = |value: &dyn Fn(usize) -> Value| -> Map<String, Value> {
            let entry = |(at, far): (usize, &f64)| (far.to_string(), value(at));
            REPORTED_FARS.iter().enumerate().map(entry).collect()
        };
        json!({
            "trials": self.trials,
            "targets": self.targets,
            "scored": self.scored,
            "eer": rate(&|m| m.eer),
            "eer_95": range(&|r| r.eer),
            "min_dcf_0.01": rate(&|m| m.min_dcf),
            "min_dcf_0.01_95": range(&|r| r.min_dcf),
            "cllr": rate(&|m| m.cllr),
            "cllr_95": range(&|r| r.cllr),
            "min_cllr": rate(&|m| m.min_cllr),
            "min_cllr_95": range(&|r| r.min_cllr),
            "frr_at_far": by_far(&|at| json!(rate(&|m| m.frr_at_far[at]))),
            "frr_at_far_95": by_far(&|at| json!(range(&|r| r.frr_at_far[at]))),
            "at_threshold": {
                "threshold": self.threshold,
                "far": rate(&|m| m.far),
                "far_95": range(&|r| r.far),
                "frr": rate(&|m| m.frr),
                "frr_95": range(&|r| r.frr),
                "inconclusive": self.inconclusive(),
                "inconclusive_95": clopper_pearson(self.inconclusive(), self.trials),
            },
            "scores": {"target_median": self.target_median, "non_target_median": self.non_target_median},
            "intervals": METHOD,
        })
    }

    /// Prints a table for people.
    ///
    /// # Errors
    /// What `out` says.
    pub fn print_table(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let others = self.trials - self.targets;
        writeln!(out, "{} trials: {} target, {others} non-target", self.trials, self.targets)?;
        let inconclusive = self.trials - self.scored;
        writeln!(out, "{inconclusive} without figures (too little speech), in no rate below")?;
        let Some((metrics, ranges)) = &self.rates else {
            return writeln!(out, "no rates: they need target and non-target trials with figures");
        };
        writeln!(out)?;
        let mut row = |name: &str, rate: f64, range: Interval| {
            let (low, high) = (range.0 * 100.0, range.1 * 100.0);
            writeln!(out, "{name:<34} {:>8.3} %   {low:.3} to {high:.3} %", rate * 100.0)
        };
        row("equal error rate", metrics.eer, ranges.eer)?;
        for (at, far) in REPORTED_FARS.iter().enumerate() {
            let name = format!("false rejects at FAR {} %", far * 100.0);
            row(&name, metrics.frr_at_far[at], ranges.frr_at_far[at])?;
        }
        row(&format!("false accepts at threshold {}", self.threshold), metrics.far, ranges.far)?;
        row(&format!("false rejects at threshold {}", self.threshold), metrics.frr, ranges.frr)?;
        let mut row = |name: &str, value: f64, (low, high): Interval| {
            writeln!(out, "{name:<34} {value:>8.4}     {low:.4} to {high:.4}")
        };
        row("least detection cost (prior 0.01)", metrics.min_dcf, ranges.min_dcf)?;
        row("cost of likelihood ratios (Cllr)", metrics.cllr, ranges.cllr)?;
        row("the same, recalibrated", metrics.min_cllr, ranges.min_cllr)?;
        for (name, score) in [("target", self.target_median), ("non-target", self.non_target_median)] {
            if let Some(score) = score {
                writeln!(out, "{:<34} {score:>8.1}", format!("median score, {name}"))?;
            }
        }
        writeln!(out, "\n95 % intervals: {METHOD}.")
    }
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use vouch_dsp::features::Band;
    use vouch_dsp::score::Comparison;

    /// Twelve people, one enrollment and one test each, all pairs; genuine ones score 95 to 98.
    fn report(inconclusive_tests: usize) -> Report {
        let mut csv = String::from("enroll,test,target\n");
        let mut outcomes = Vec::new();
        for (enroll, test) in (0..12).flat_map(|e| (0..12).map(move |t| (e, t))) {
            writeln!(csv, "e{enroll},t{test},{}", u8::from(enroll == test)).unwrap();
            let llr = if enroll == test { 4.0 + enroll as f32 / 10.0 } else { -(test as f32) };
            let comparison = Comparison {
                band: Band::Narrow,
                cosine: 0.1,
                llr,
                score: 60.0 + 9.0 * llr,
                far_at_score: 0.1,
            };
            let comparison = (test >= inconclusive_tests).then_some(comparison);
            outcomes.push(Outcome { comparison, accepted: llr > 3.0, enroll_s: 30.0, test_s: 10.0 });
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, csv).unwrap();
        Report::of(&TrialList::read(file.path()).unwrap(), &outcomes, 90.0)
    }

    #[test]
    fn json_has_the_promised_keys() {
        let json = report(3).json();
        assert_eq!(
            (&json["trials"], &json["targets"], &json["scored"]),
            (&json!(144), &json!(12), &json!(108))
        );
        assert_eq!((&json["eer"], &json["min_dcf_0.01"]), (&json!(0.0), &json!(0.0)));
        for far in ["0.01", "0.001", "0.0001"] {
            assert_eq!(json["frr_at_far"][far], json!(0.0));
            assert!(json["frr_at_far_95"][far][1].as_f64().unwrap() > 0.1);
        }
        let at = &json["at_threshold"];
        assert_eq!((&at["threshold"], &at["far"], &at["frr"]), (&json!(90.0), &json!(0.0), &json!(0.0)));
        assert_eq!(at["inconclusive"], json!(0.25));
        let (low, high) = (&at["inconclusive_95"][0], &at["inconclusive_95"][1]);
        assert!(low.as_f64().unwrap() < 0.25 && high.as_f64().unwrap() > 0.25, "{low} {high}");
        assert_eq!(json["scores"]["target_median"], json!(60.0f32 + 9.0 * 4.7));
        assert!(json["cllr"].is_number() && json["min_cllr"].is_number());
        assert!(json["min_cllr_95"].is_array() && json["eer_95"].is_array());
    }

    #[test]
    fn without_figures_the_rates_are_null() {
        let json = report(12).json();
        assert!(json["eer"].is_null() && json["at_threshold"]["far"].is_null() && json["eer_95"].is_null());
        assert_eq!(json["at_threshold"]["inconclusive"], json!(1.0));
    }

    #[test]
    fn the_table_says_how_many_were_left_out() {
        let mut printed = Vec::new();
        report(3).print_table(&mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.contains("144 trials: 12 target, 132 non-target\n36 without figures"), "{printed}");
        assert!(printed.contains("equal error rate                      0.000 %"), "{printed}");
    }
}
