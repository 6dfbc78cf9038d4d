//! `vouchctl compare`: are these two recordings the same person?

use super::voice::{Bands, Side, Voice, Wanted};
use super::{MIN_ENROLL_S, MIN_TEST_S, OfflineError, curves, samples};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use vouch_dsp::features::Band;
use vouch_dsp::score::{Comparison, compare};

/// What `vouchctl compare` was asked.
#[derive(Clone, Debug)]
pub struct CompareRequest {
    /// Recording that stands for the enrollment.
    pub enroll: PathBuf,
    /// Recording that is tested.
    pub test: PathBuf,
    /// Whether wideband files go through the telephone path.
    pub narrowband: bool,
    /// Threshold that decides.
    pub threshold: f32,
    /// Calibration that scores, instead of the shipped one.
    pub calibration: Option<PathBuf>,
    /// Whether to print JSON.
    pub json: bool,
}

/// Compares two recordings and prints the answer.
///
/// # Errors
/// [`OfflineError`] names the file and what is wrong with it.
pub fn run(request: &CompareRequest, out: &mut dyn Write) -> Result<(), OfflineError> {
    let curves = curves(request.calibration.as_deref())?;
    let mut voice = Voice::new()?;
    let wanted = |speech_s, enrollment| Wanted {
        speech_s,
        telephone: request.narrowband,
        bands: Bands::Own,
        enrollment,
    };
    let sides = [(&request.enroll, wanted(30.0, true)), (&request.test, wanted(10.0, false))];
    let mut heard = Vec::new();
    for (file, wanted) in sides {
        heard.push(voice.side(std::slice::from_ref(file), wanted)?);
    }
    // A wideband side that meets a narrowband one needs an embedding of the band they share.
    if heard[0].band != heard[1].band {
        let (at, wide) = if heard[0].band == Band::Wide { (0, sides[0]) } else { (1, sides[1]) };
        let again = voice.side(std::slice::from_ref(wide.0), Wanted { bands: Bands::Telephone, ..wide.1 })?;
        heard[at].embeddings.extend(again.embeddings);
    }
    let enough = heard[0].speech_s() >= MIN_ENROLL_S && heard[1].speech_s() >= MIN_TEST_S;
    let comparison =
        if enough { Some(compare(&samples(&heard[0]), &samples(&heard[1]), &curves)?) } else { None };
    if request.json {
        writeln!(out, "{}", as_json(request, &heard, comparison.as_ref()))?;
    } else {
        print(request, &heard, comparison.as_ref(), out)?;
    }
    Ok(())
}

fn decision(request: &CompareRequest, comparison: Option<&Comparison>) -> &'static str {
    match comparison {
        None => "inconclusive",
        Some(comparison) if comparison.score >= request.threshold => "authenticated",
        Some(_) => "not-authenticated",
    }
}

fn as_json(request: &CompareRequest, heard: &[Side], comparison: Option<&Comparison>) -> Value {
    json!({
        "decision": decision(request, comparison),
        "threshold": request.threshold,
        "score": comparison.map(|c| c.score),
        "llr": comparison.map(|c| c.llr),
        "cosine": comparison.map(|c| c.cosine),
        "far_at_score": comparison.map(|c| c.far_at_score),
        "enroll_net_speech": heard[0].speech_s(),
        "test_net_speech": heard[1].speech_s(),
    })
}

fn print(
    request: &CompareRequest,
    heard: &[Side],
    comparison: Option<&Comparison>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for (name, side) in [("enrollment", &heard[0]), ("test", &heard[1])] {
        let band = match side.band {
            Band::Narrow => "telephone band",
            Band::Wide => "wideband",
        };
        writeln!(out, "{name:<12} {:>5.1} s net speech, {band}", side.speech_s())?;
    }
    match comparison {
        Some(c) => writeln!(
            out,
            "score        {:>5.1} (threshold {}; log-likelihood ratio {:.2}, cosine {:.3})\n{:<12} 1 impostor in {:.0} would score as high",
            c.score,
            request.threshold,
            c.llr,
            c.cosine,
            "",
            1.0 / c.far_at_score
        )?,
        None => writeln!(
            out,
            "no score: the enrollment needs {MIN_ENROLL_S} s of net speech, the test {MIN_TEST_S} s"
        )?,
    }
    writeln!(out, "decision     {}", decision(request, comparison))
}
