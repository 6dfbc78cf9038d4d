//! What a calibration changes, for the administrator who is to decide whether to use it.

use super::{Case, LEAST_TO_EASE, Rates, Size, THRESHOLDS, cross_checked};
use crate::calibration::SiteCalibration;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use vouch_dsp::features::Band;
use vouch_dsp::score::Curves;

/// The report of a calibration.
#[derive(Debug)]
pub(super) struct Report {
    id: String,
    path: String,
    bands: Vec<BandReport>,
}

#[derive(Debug)]
struct BandReport {
    band: Band,
    size: Size,
    /// Whether there were too few trials, so that the shipped curve stays.
    kept: bool,
    /// As shipped and by the new calibration, over the trials that it was made of.
    own: Option<[Rates; 2]>,
    /// The same, each half of the people by the calibration of the other half.
    crossed: Option<[Rates; 2]>,
}

impl Report {
    pub(super) fn of(site: &SiteCalibration, bands: &[(Band, Vec<Case>)], path: &Path) -> Self {
        let curves = site.curves();
        let with_trials = bands.iter().filter(|(_, cases)| !cases.is_empty());
        let about = |(band, cases): &(Band, Vec<Case>)| {
            let (shipped, new) = (Curves::shipped().of(*band), curves.of(*band));
            let kept = match band {
                Band::Narrow => site.narrow.is_none(),
                Band::Wide => site.wide.is_none(),
            };
            let under = |curve| Rates::of(&cases.iter().map(|case| (*case, curve)).collect::<Vec<_>>());
            let own = under(shipped).zip(under(new)).map(|(shipped, new)| [shipped, new]);
            let crossed = if kept { None } else { cross_checked(shipped, cases) };
            BandReport { band: *band, size: Size::of(cases), kept, own, crossed }
        };
        Self { id: site.id(), path: path.display().to_string(), bands: with_trials.map(about).collect() }
    }

    pub(super) fn print(&self, json: bool, out: &mut dyn Write) -> std::io::Result<()> {
        if json {
            return writeln!(out, "{}", self.json());
        }
        self.bands.iter().try_for_each(|band| band.print(out))?;
        writeln!(
            out,
            "Calibration {} is in {}. To use it, write into vouchd.toml\n\n    [authentication]\n    calibration = \
             \"{}\"\n\nand restart vouchd; to go back, take the line out again. `--calibration {}` tries it offline.",
            self.id, self.path, self.path, self.path
        )
    }

    fn json(&self) -> Value {
        json!({"id": self.id, "file": self.path, "bands": self.bands.iter().map(BandReport::json).collect::<Vec<_>>()})
    }
}

impl BandReport {
    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let Size { people, targets, non_targets } = self.size;
        let band = name(self.band);
        writeln!(out, "{band}: {people} people, {targets} target and {non_targets} non-target trials")?;
        if self.kept {
            return writeln!(out, "too few to calibrate: scores stay as shipped\n");
        }
        if non_targets < LEAST_TO_EASE {
            writeln!(
                out,
                "scores from 90 on may only become harder to reach: {LEAST_TO_EASE} non-target trials are needed to show \
                 that easier ones let at most 1 impostor in 1,000 pass"
            )?;
        }
        writeln!(out, "\n{:<34} {:>12} {:>12}", "the trials it was made of", "as shipped", "calibrated")?;
        self.own.iter().try_for_each(|rates| table(rates, out))?;
        match &self.crossed {
            Some(rates) => {
                let title = "each half by the other's";
                writeln!(out, "\n{title:<34} {:>12} {:>12}", "as shipped", "calibrated")?;
                table(rates, out)?;
            }
            None => writeln!(out, "\ntoo few people to check one half of them by the other")?,
        }
        writeln!(out)
    }

    fn json(&self) -> Value {
        let rates = |[shipped, calibrated]: &[Rates; 2]| json!({"shipped": figures(shipped), "calibrated": figures(calibrated)});
        json!({
            "band": name(self.band),
            "people": self.size.people,
            "targets": self.size.targets,
            "non_targets": self.size.non_targets,
            "calibrated": !self.kept,
            "own_trials": self.own.as_ref().map(rates),
            "cross_checked": self.crossed.as_ref().map(rates),
        })
    }
}

const fn name(band: Band) -> &'static str {
    match band {
        Band::Narrow => "telephone",
        Band::Wide => "wideband",
    }
}

fn table([shipped, calibrated]: &[Rates; 2], out: &mut dyn Write) -> std::io::Result<()> {
    for (at, threshold) in THRESHOLDS.iter().enumerate() {
        let mut row = |what: &str, of: &dyn Fn(&Rates) -> f64| {
            let [before, after] = [shipped, calibrated].map(|rates| format!("{:.3} %", of(rates) * 100.0));
            writeln!(out, "{:<34} {before:>12} {after:>12}", format!("{what} at threshold {threshold}"))
        };
        row("false accepts", &|rates| rates.at[at].0)?;
        row("false rejects", &|rates| rates.at[at].1)?;
    }
    let [before, after] = [shipped, calibrated].map(|rates| format!("{:.4}", rates.metrics.cllr));
    writeln!(out, "{:<34} {before:>12} {after:>12}", "cost of likelihood ratios (Cllr)")?;
    let [before, after] = [shipped, calibrated].map(|rates| format!("{:.4}", rates.metrics.min_cllr));
    writeln!(out, "{:<34} {before:>12} {after:>12}", "the same, recalibrated")
}

fn figures(rates: &Rates) -> Value {
    let at = THRESHOLDS.iter().zip(rates.at);
    json!({
        "cllr": rates.metrics.cllr,
        "min_cllr": rates.metrics.min_cllr,
        "at_threshold": at.map(|(threshold, (far, frr))| json!({"threshold": threshold, "far": far, "frr": frr}))
            .collect::<Vec<_>>(),
    })
}
