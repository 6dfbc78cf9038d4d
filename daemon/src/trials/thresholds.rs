//! `vouchctl thresholds`: what each threshold costs.

use super::{OfflineError, curves};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use vouch_dsp::score::{Curve, Curves, THRESHOLDS};

/// Prints the false-accept and false-reject rate expected at every whole threshold, for telephone and
/// wideband audio, as the calibration program measured them, or the site whose `calibration` file is given.
///
/// # Errors
/// [`OfflineError`] names the file that could not be read, or is what `out` says.
pub fn run(calibration: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<(), OfflineError> {
    let curves = curves(calibration)?;
    if json {
        writeln!(out, "{}", as_json(&curves))?;
    } else {
        print(&curves, out)?;
    }
    Ok(())
}

fn print(Curves { narrow, wide }: &Curves, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{:>9}  {:^25}  {:^25}", "", "telephone (8 kHz)", "wideband (16 kHz)")?;
    writeln!(
        out,
        "{:>9}  {:>14} {:>10}  {:>14} {:>10}",
        "threshold", "false accepts", "rejects", "false accepts", "rejects"
    )?;
    for threshold in 0..THRESHOLDS {
        let rate = |rates: &[f32; THRESHOLDS]| f64::from(rates[threshold]) * 100.0;
        writeln!(
            out,
            "{threshold:>9}  {:>12.4} % {:>8.2} %  {:>12.4} % {:>8.2} %",
            rate(&narrow.far),
            rate(&narrow.frr),
            rate(&wide.far),
            rate(&wide.frr)
        )?;
    }
    writeln!(
        out,
        "\nFalse accepts are of impostors of all kinds; people alike in sex, accent and line pass for one another more often.\n`vouchctl trials` measures both rates on your own recordings."
    )
}

fn as_json(curves: &Curves) -> Value {
    let rows = |curve: &Curve| -> Vec<Value> {
        let rates = curve.far.iter().zip(curve.frr).enumerate();
        rates.map(|(threshold, (far, frr))| json!({"threshold": threshold, "far": far, "frr": frr})).collect()
    };
    json!({"narrowband": rows(&curves.narrow), "wideband": rows(&curves.wide)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_threshold_has_a_row() {
        let mut printed = Vec::new();
        run(None, false, &mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        let numbered =
            printed.lines().filter_map(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        assert_eq!(numbered.collect::<Vec<_>>(), (0..=100).collect::<Vec<_>>());
        let json = as_json(Curves::shipped());
        assert_eq!(json["narrowband"].as_array().map(Vec::len), Some(101));
        assert_eq!(json["wideband"][90]["threshold"], 90);
    }
}
