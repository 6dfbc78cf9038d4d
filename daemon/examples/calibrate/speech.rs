//! Who speaks.

use crate::Outcome;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use vouch::audio::Recording;

/// Folders of Debian's Asterisk prompts, a person each. The voices of the development trials (Menardi, Ivrvoice) are
/// left out, and Allison's Spanish prompts: one person in two languages is a rare case, which is lower by a cosine of
/// 0.2 and would set the scores of all others by that one voice.
const PROMPTS: [&str; 3] = ["en_US_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo"];
/// Shortest prompt used, in seconds; shorter ones are numbers and names of letters.
const MIN_PROMPT_S: f64 = 3.0;
/// Length of one stretch of prompts, in seconds: about 10 s of net speech, and about 30 s.
const STRETCH_S: [f64; 2] = [14.0, 42.0];
/// Stretches of each length from one folder.
const STRETCHES: usize = 6;

/// Some speech of one person, heard at once.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    /// Name in the cache.
    pub(crate) name: String,
    /// Number of the person.
    pub(crate) person: usize,
    /// Whether the person is one of many with one utterance each (or one of few with much speech).
    pub(crate) cohort: bool,
    /// What embeddings are made of.
    pub(crate) parts: &'static [Part],
    /// The recordings, to be heard one after the other.
    pub(crate) recordings: Vec<Recording>,
}

/// A part of some speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of an utterance, or a long stretch of prompts: serves as enrollment.
    Whole,
    /// The first net seconds of an utterance: a test.
    First(u32),
    /// First half of an utterance, for enrollment, or second, for a test.
    Half(usize),
    /// A stretch of prompts as long as a test.
    Stretch,
}

impl Part {
    /// Whether it serves as enrollment, and so is heard with noise as well.
    pub(crate) const fn is_enrollment(self) -> bool {
        matches!(self, Self::Whole | Self::Half(0))
    }

    /// Whether it is what every line carries.
    pub(crate) const fn is_test(self) -> bool {
        matches!(self, Self::Half(1) | Self::Stretch)
    }
}

/// Net seconds of the short tests.
pub(crate) const SHORT_S: [u32; 2] = [3, 5];
/// Net seconds of a test as on a call.
pub(crate) const USUAL_S: u32 = 10;
const UTTERANCE: &[Part] =
    &[Part::Whole, Part::First(3), Part::First(5), Part::First(USUAL_S), Part::Half(0), Part::Half(1)];

/// All speech.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) speech: Vec<Speech>,
    /// Folder of the noise recordings.
    pub(crate) noise: PathBuf,
    /// People with one utterance each.
    pub(crate) cohort: usize,
    /// People of the prompts.
    pub(crate) voices: usize,
}

impl Corpus {
    pub(crate) fn load(corpora: &Path, voices: &Path) -> Outcome<Self> {
        let mut speech = Vec::new();
        let mut people = sorted(&corpora.join("dev-speech/librispeech-train-clean-100"))?;
        let measured = tested(&corpora.join("dev-telephone/test"))?;
        people.retain(|person| !person.file_name().is_some_and(|name| measured.contains(name)));
        for (person, folder) in people.iter().enumerate() {
            let file = sorted(folder)?.into_iter().next().ok_or("a folder of LibriSpeech is empty")?;
            let recordings = vec![Recording::read(&file)?];
            speech.push(Speech {
                name: person.to_string(),
                person,
                cohort: true,
                parts: UTTERANCE,
                recordings,
            });
        }
        let cohort = people.len();
        for (person, folder) in PROMPTS.into_iter().enumerate() {
            prompts(cohort + person, folder, &voices.join(folder), &mut speech)?;
        }
        Ok(Self { speech, noise: corpora.join("noise"), cohort, voices: PROMPTS.len() })
    }
}

fn prompts(person: usize, folder: &str, path: &Path, speech: &mut Vec<Speech>) -> Outcome<()> {
    let mut files = sorted(path)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wav"));
    let mut long = files.iter().map(|file| Recording::read(file)).filter(|recording| {
        // Unreadable ones pass on, to end the program with their name.
        recording.as_ref().map_or(true, |recording| recording.seconds() >= MIN_PROMPT_S)
    });
    let kinds: [&[Part]; 2] = [&[Part::Stretch], &[Part::Whole]];
    for (parts, seconds) in kinds.into_iter().zip(STRETCH_S) {
        for number in 0..STRETCHES {
            let mut recordings: Vec<Recording> = Vec::new();
            while recordings.iter().map(Recording::seconds).sum::<f64>() < seconds {
                recordings.push(long.next().ok_or("too few prompts")??);
            }
            let name = format!("{folder}-{:?}-{number}", parts[0]);
            speech.push(Speech { name, person, cohort: false, parts, recordings });
        }
    }
    Ok(())
}

/// LibriSpeech readers among the tests of the development trials, which measure what comes out here.
fn tested(folder: &Path) -> Outcome<BTreeSet<OsString>> {
    let files = sorted(folder)?;
    let names = files.iter().filter_map(|file| file.file_stem()?.to_str());
    let readers = names.filter_map(|name| name.strip_prefix("librispeech-train-clean-100_"));
    Ok(readers.filter_map(|reader| Some(OsString::from(reader.split_once('-')?.0))).collect())
}

fn sorted(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}
