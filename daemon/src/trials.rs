//! Offline commands: `trials`, `compare`, `thresholds` and `capacity`. They need no daemon and use the same
//! code from samples to score as calls do.

pub mod capacity;
pub mod compare;
pub mod curve;
pub mod fit;
pub mod interval;
pub mod list;
pub mod metrics;
pub mod report;
mod site;
pub mod thresholds;
pub mod voice;

use crate::audio::AudioError;
use crate::calibration::{CalibrationError, SiteCalibration, THERE_ALREADY};
use list::{Outcome, TrialList};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use voice::{Bands, Side, Voice, Wanted};
use vouch_dsp::features::Band;
use vouch_dsp::network::{EmbedError, ModelError};
use vouch_dsp::score::{CompareError, Curves, Sample, compare};

/// Least net speech of an enrollment for a trial to get figures, in seconds.
pub const MIN_ENROLL_S: f32 = 10.0;
/// Least net speech of a test for a trial to get figures, in seconds.
pub const MIN_TEST_S: f32 = 3.0;
/// Threshold that decides, unless another is given.
pub const DEFAULT_THRESHOLD: f32 = 90.0;

/// What `vouchctl trials` was asked.
#[derive(Clone, Debug)]
pub struct TrialsRequest {
    /// CSV file with the columns `enroll`, `test` and `target`.
    pub list: PathBuf,
    /// Folder that the paths in the list start from.
    pub root: PathBuf,
    /// Where to write the list with figures beside each trial.
    pub scores: Option<PathBuf>,
    /// Whether wideband files go through the telephone path.
    pub narrowband: bool,
    /// Most net speech of an enrollment that is used, in seconds.
    pub enroll_speech_s: f32,
    /// Most net speech of a test that is used, in seconds.
    pub test_speech_s: f32,
    /// Threshold that decides.
    pub threshold: f32,
    /// Calibration that scores, instead of the shipped one.
    pub calibration: Option<PathBuf>,
    /// Where to write a calibration made of these trials, whose report is then printed instead of the error rates.
    pub calibrate: Option<PathBuf>,
    /// Whether to print JSON.
    pub json: bool,
}

/// Why an offline command failed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A recording could not be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The trial list is unusable.
    #[error("{}: line {line}: {problem}", path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// Line, counted from 1; the header is line 1.
        line: u64,
        /// What is wrong there.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The answer could not be printed.
    #[error("cannot print: {0}")]
    Print(#[from] std::io::Error),
    /// Nothing can be sent to oneself.
    #[error("nothing can be measured over loopback: {0}")]
    Loopback(std::io::Error),
    /// An argument outside its range.
    #[error("{0}")]
    Argument(String),
    /// A calibration file cannot be used.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The model inside the program is unusable.
    #[error("the voice model is unusable: {0}")]
    Model(ModelError),
    /// The network made no embedding.
    #[error("no embedding could be made: {0}")]
    Embed(EmbedError),
    /// Two embeddings could not be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

/// Runs every trial of a list and prints the error rates.
///
/// # Errors
/// [`OfflineError`] names the file and what is wrong with it; nothing is printed then.
pub fn run(request: &TrialsRequest, out: &mut dyn Write) -> Result<(), OfflineError> {
    let outcomes = outcomes(request)?;
    if let Some(path) = &request.scores {
        outcomes.list.write_scores(path, &outcomes.outcomes)?;
    }
    if let Some(path) = &request.calibrate {
        return site::run(&outcomes, path, request.json, out);
    }
    let report = report::Report::of(&outcomes.list, &outcomes.outcomes, request.threshold);
    if request.json {
        report.print_json(out)?;
    } else {
        report.print_table(out)?;
    }
    Ok(())
}

/// A list and what came of each of its trials.
#[derive(Debug)]
pub struct Outcomes {
    /// The list.
    pub list: TrialList,
    /// In the order of the list.
    pub outcomes: Vec<Outcome>,
}

/// Runs every trial of a list.
///
/// # Errors
/// As [`run`].
pub fn outcomes(request: &TrialsRequest) -> Result<Outcomes, OfflineError> {
    for (name, seconds) in [("enroll", request.enroll_speech_s), ("test", request.test_speech_s)] {
        if !(1.0..=voice::MAX_SPEECH_S).contains(&seconds) {
            let most = voice::MAX_SPEECH_S;
            return Err(OfflineError::Argument(format!("--{name}-speech takes 1 to {most} seconds")));
        }
    }
    if let Some(path) = request.calibrate.as_ref().filter(|path| path.exists()) {
        return Err(CalibrationError { path: path.clone(), problem: THERE_ALREADY.to_owned() }.into());
    }
    let curves = curves(request.calibration.as_deref())?;
    let list = TrialList::read(&request.list)?;
    let sides = hear_all(request, &list)?;
    let outcomes = list
        .trials()
        .iter()
        .map(|trial| {
            let enrolled = &sides[&(Role::Enroll, trial.enroll.as_str())];
            let test = &sides[&(Role::Test, trial.test.as_str())];
            outcome(enrolled, test, request, &curves)
        })
        .collect::<Result<_, _>>()?;
    Ok(Outcomes { list, outcomes })
}

/// The curves of a calibration file; those that are shipped without one.
fn curves(calibration: Option<&Path>) -> Result<Curves, OfflineError> {
    Ok(match calibration {
        Some(path) => SiteCalibration::load(path)?.curves(),
        None => Curves::default(),
    })
}

fn outcome(
    enrolled: &Side,
    test: &Side,
    request: &TrialsRequest,
    curves: &Curves,
) -> Result<Outcome, OfflineError> {
    let mut outcome =
        Outcome { comparison: None, accepted: false, enroll_s: enrolled.speech_s(), test_s: test.speech_s() };
    let enough = outcome.enroll_s >= MIN_ENROLL_S.min(request.enroll_speech_s)
        && outcome.test_s >= MIN_TEST_S.min(request.test_speech_s);
    if enough {
        let comparison = compare(&samples(enrolled), &samples(test), curves)?;
        outcome.accepted = comparison.score >= request.threshold;
        outcome.comparison = Some(comparison);
    }
    Ok(outcome)
}

fn samples(side: &Side) -> Vec<Sample<'_>> {
    let of = |(band, embedding)| Sample { embedding, band, net_speech_ms: side.speech_ms };
    side.embeddings.iter().map(|(band, embedding)| of((*band, embedding))).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Enroll,
    Test,
}

type Key<'l> = (Role, &'l str);
type Sides<'l> = BTreeMap<Key<'l>, Side>;

/// Hears every distinct side once, and wideband sides that meet a narrowband one a second time, for an
/// embedding of the band they share.
fn hear_all<'l>(request: &TrialsRequest, list: &'l TrialList) -> Result<Sides<'l>, OfflineError> {
    let pairs =
        || list.trials().iter().map(|t| [(Role::Enroll, t.enroll.as_str()), (Role::Test, t.test.as_str())]);
    let all: BTreeSet<Key<'_>> = pairs().flatten().collect();
    for (_, files) in &all {
        for path in paths(&request.root, files) {
            std::fs::metadata(&path).map_err(|error| OfflineError::File { path, error })?;
        }
    }
    let jobs: Vec<(Key<'_>, Wanted)> = all.into_iter().map(|key| (key, wanted(request, key.0))).collect();
    let mut sides: Sides<'_> = in_parallel(request, &jobs)?;

    let band = |key: &Key<'_>| sides[key].band;
    let mixed = pairs().filter(|[a, b]| band(a) != band(b));
    let wide: BTreeSet<Key<'_>> = mixed.flatten().filter(|key| band(key) == Band::Wide).collect();
    let again = |key: Key<'_>| Wanted { bands: Bands::Telephone, ..wanted(request, key.0) };
    let jobs: Vec<(Key<'_>, Wanted)> = wide.into_iter().map(|key| (key, again(key))).collect();
    for (key, side) in in_parallel(request, &jobs)? {
        sides.entry(key).and_modify(|known| known.embeddings.extend(side.embeddings));
    }
    Ok(sides)
}

fn wanted(request: &TrialsRequest, role: Role) -> Wanted {
    let seconds = match role {
        Role::Enroll => request.enroll_speech_s,
        Role::Test => request.test_speech_s,
    };
    Wanted {
        speech_s: seconds,
        telephone: request.narrowband,
        bands: Bands::Own,
        enrollment: role == Role::Enroll,
    }
}

/// The files of one side.
fn paths(root: &Path, files: &str) -> Vec<PathBuf> {
    files.split(';').map(|file| root.join(file.trim())).collect()
}

fn in_parallel<'l>(request: &TrialsRequest, jobs: &[(Key<'l>, Wanted)]) -> Result<Sides<'l>, OfflineError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut voice = Voice::new()?;
        let mut sides = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(&(key, wanted)) = jobs.get(index) else { return Ok(sides) };
            progress(index, jobs.len());
            let heard = voice.side(&paths(&request.root, key.1), wanted);
            // The others stop too: what they would make is not wanted any more.
            sides.push((key, heard.inspect_err(|_| next.store(jobs.len(), Ordering::Relaxed))?));
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut sides = Sides::new();
        for handle in handles {
            let made: Result<_, OfflineError> =
                handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sides.extend(made?);
        }
        progress(jobs.len(), jobs.len());
        Ok(sides)
    })
}

/// One line on a terminal, gone at the end.
fn progress(done: usize, all: usize) {
    let mut screen = std::io::stderr();
    if screen.is_terminal() {
        let line = if done == all { String::new() } else { format!("{done} of {all} recordings") };
        // A terminal that went away must not stop the work.
        let _ = write!(screen, "\r\x1b[K{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with two silent recordings, one narrow and one wide, and a list with every pair.
    fn silent_trials() -> (tempfile::TempDir, TrialsRequest) {
        let folder = tempfile::tempdir().unwrap();
        for (name, rate) in [("a.wav", 8_000), ("b.wav", 16_000)] {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: rate,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut file = hound::WavWriter::create(folder.path().join(name), spec).unwrap();
            (0..rate).for_each(|_| file.write_sample(0i16).unwrap());
            file.finalize().unwrap();
        }
        let list = folder.path().join("list.csv");
        std::fs::write(&list, "enroll,test,target\na.wav,a.wav,1\na.wav;b.wav,b.wav,0\n").unwrap();
        let request = TrialsRequest {
            list,
            root: folder.path().to_owned(),
            scores: Some(folder.path().join("scores.csv")),
            narrowband: false,
            enroll_speech_s: 30.0,
            test_speech_s: 10.0,
            threshold: DEFAULT_THRESHOLD,
            calibration: None,
            calibrate: None,
            json: true,
        };
        (folder, request)
    }

    #[test]
    fn trials_without_speech_are_counted_and_stay_empty() {
        let (folder, request) = silent_trials();
        let mut printed = Vec::new();
        run(&request, &mut printed).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&printed).unwrap();
        assert_eq!((&json["trials"], &json["targets"], &json["scored"]), (&2.into(), &1.into(), &0.into()));
        assert_eq!(json["at_threshold"]["inconclusive"], 1.0);
        let scores = std::fs::read_to_string(folder.path().join("scores.csv")).unwrap();
        assert!(scores.contains("\na.wav,a.wav,1,,,,0.00,0.00,inconclusive\n"), "{scores}");
    }

    #[test]
    fn a_missing_recording_ends_it_by_name_before_any_work() {
        let (_folder, request) = silent_trials();
        std::fs::write(&request.list, "enroll,test,target\na.wav,c.wav,1\n").unwrap();
        let said = run(&request, &mut Vec::new()).unwrap_err().to_string();
        assert!(said.contains("c.wav: No such file"), "{said}");
    }

    #[test]
    fn a_damaged_recording_ends_it_by_name() {
        let (folder, request) = silent_trials();
        std::fs::write(folder.path().join("b.wav"), "RIFF....WAVE").unwrap();
        let said = run(&request, &mut Vec::new()).unwrap_err().to_string();
        assert!(said.contains("b.wav: is damaged"), "{said}");
    }

    #[test]
    fn limits_of_net_speech_are_checked() {
        let (_folder, request) = silent_trials();
        let refused = |request| matches!(run(&request, &mut Vec::new()), Err(OfflineError::Argument(_)));
        assert!(refused(TrialsRequest { enroll_speech_s: 0.0, ..request.clone() }));
        assert!(refused(TrialsRequest { test_speech_s: 31.0, ..request.clone() }));
        assert!(refused(TrialsRequest { test_speech_s: f32::NAN, ..request }));
    }
}
