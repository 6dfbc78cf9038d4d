//! Embeddings of all speech over all lines of a band.

use crate::Outcome;
use crate::line::{Line, Ready};
use crate::lines::lines;
use crate::speech::{Corpus, Part, Speech};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use vouch::audio::Recording;
use vouch::trials::voice::{Bands, MAX_SPEECH_S, Voice, Wanted};
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;
use vouch_dsp::sizes::EMBEDDING;

/// An embedding and what it is of.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) person: usize,
    pub(crate) cohort: bool,
    pub(crate) part: Part,
    /// Number of the line in its band.
    pub(crate) line: usize,
    pub(crate) speech_ms: u32,
    pub(crate) embedding: Embedding,
}

/// What is kept of one: net speech and values.
type Kept = (u32, Option<Embedding>);

pub(crate) struct Embedder {
    cache: Option<PathBuf>,
    kept: BTreeMap<String, Kept>,
    model_version: u32,
}

impl Embedder {
    pub(crate) fn new(cache: Option<PathBuf>) -> Outcome<Self> {
        let text = cache.as_ref().filter(|path| path.exists()).map(std::fs::read_to_string).transpose()?;
        let kept = text.unwrap_or_default().lines().map(parse).collect::<Outcome<_>>()?;
        Ok(Self { cache, kept, model_version: Voice::new()?.model_version() })
    }

    pub(crate) const fn model_version(&self) -> u32 {
        self.model_version
    }

    /// Embeddings of the corpus over all lines of `band`; what had too little speech is left out.
    pub(crate) fn all(&mut self, corpus: &Corpus, band: Band) -> Outcome<Vec<Made>> {
        let mut all = Vec::new();
        for (number, line) in lines(band).iter().enumerate() {
            self.over(corpus, line)?;
            for speech in corpus.speech.iter().filter(|speech| serves(line, speech)) {
                let Speech { person, cohort, .. } = *speech;
                for part in parts(line, speech) {
                    if let (speech_ms, Some(embedding)) = self.kept[&key(line, speech, part)] {
                        all.push(Made { person, cohort, part, line: number, speech_ms, embedding });
                    }
                }
            }
        }
        Ok(all)
    }

    /// Makes what is not kept yet of one line.
    fn over(&mut self, corpus: &Corpus, line: &Line) -> Outcome<()> {
        let missing = |speech| -> Vec<Part> {
            parts(line, speech).filter(|&part| !self.kept.contains_key(&key(line, speech, part))).collect()
        };
        let served = corpus.speech.iter().filter(|speech| serves(line, speech));
        let mut jobs: Vec<(&Speech, Vec<Part>)> = served.map(|speech| (speech, missing(speech))).collect();
        jobs.retain(|(_, parts)| !parts.is_empty());
        let ready = Ready::new(*line, &corpus.noise)?;
        let (next, made) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let work = || -> Outcome<()> {
            let mut voice = Voice::new()?;
            while let Some((speech, parts)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let kept = embed(&mut voice, &ready, speech, parts)?;
                made.lock().map_err(|_| "a thread died")?.extend(kept);
            }
            Ok(())
        };
        std::thread::scope(|scope| -> Outcome<()> {
            let workers = std::thread::available_parallelism().map_or(1, usize::from);
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread died")?)
        })?;
        self.kept.extend(made.into_inner().map_err(|_| "a thread died")?);
        eprintln!("{}: {} recordings heard", line.name, jobs.len());
        if let Some(path) = &self.cache {
            std::fs::write(path, self.kept.iter().map(format).collect::<String>())?;
        }
        Ok(())
    }
}

/// Telephone prompts say nothing about wideband lines.
fn serves(line: &Line, speech: &Speech) -> bool {
    speech.cohort || line.band == Band::Narrow
}

/// The parts of some speech that embeddings are made of over a line.
fn parts(line: &Line, speech: &Speech) -> impl Iterator<Item = Part> {
    let thorough = line.thorough;
    speech.parts.iter().copied().filter(move |part| thorough || part.is_test())
}

fn key(line: &Line, speech: &Speech, part: Part) -> String {
    format!("{}/{}/{part:?}", line.name, speech.name)
}

/// The parts of some speech after it came over a line.
fn embed(voice: &mut Voice, ready: &Ready, speech: &Speech, parts: &[Part]) -> Outcome<Vec<(String, Kept)>> {
    let line = ready.line();
    let carry = |recording| ready.carry(recording, speech.person);
    let carried = speech.recordings.iter().map(carry).collect::<Outcome<Vec<_>>>()?;
    let mut all = Vec::new();
    for &part in parts {
        let speech_s = match part {
            Part::First(seconds) => seconds as f32,
            Part::Stretch => 10.0,
            Part::Whole | Part::Half(_) => MAX_SPEECH_S,
        };
        let enrollment = part.is_enrollment();
        let (bands, band) =
            if line.masked { (Bands::Telephone, Band::Narrow) } else { (Bands::Own, line.band) };
        let wanted = Wanted { speech_s, telephone: false, bands, enrollment };
        let side = match part {
            Part::Half(half) => {
                voice.embed(&carried.iter().map(|r| cut(r, half)).collect::<Vec<_>>(), wanted)?
            }
            _ => voice.embed(&carried, wanted)?,
        };
        // None where speech of a wideband line has nothing above the telephone's band.
        let embedding = side.embeddings.iter().find(|(of, _)| *of == band).map(|(_, embedding)| *embedding);
        all.push((key(line, speech, part), (side.speech_ms, embedding)));
    }
    Ok(all)
}

/// The first or the second half of a recording.
fn cut(recording: &Recording, half: usize) -> Recording {
    let halves = recording.pcm.split_at(recording.pcm.len() / 2);
    Recording { pcm: if half == 0 { halves.0 } else { halves.1 }.to_vec(), rate: recording.rate }
}

/// One line of the cache: name, net speech in ms, values.
fn format((name, (speech_ms, embedding)): (&String, &Kept)) -> String {
    let mut text = format!("{name} {speech_ms}");
    for value in embedding.iter().flat_map(|embedding| embedding.0) {
        // Writing to a string does not fail.
        let _ = write!(text, " {value}");
    }
    text + "\n"
}

fn parse(line: &str) -> Outcome<(String, Kept)> {
    let mut words = line.split(' ');
    let (name, speech_ms) =
        (words.next().ok_or("empty line in cache")?, words.next().ok_or("cut line in cache")?);
    let values = words.map(str::parse).collect::<Result<Vec<i16>, _>>()?;
    let embedding = match values.len() {
        0 => None,
        _ => Some(Embedding(<[i16; EMBEDDING]>::try_from(values).map_err(|_| "cut line in cache")?)),
    };
    Ok((name.to_owned(), (speech_ms.parse()?, embedding)))
}
