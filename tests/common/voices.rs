//! Recorded human voices from Debian's Asterisk prompt packages: different people, 8 kHz.

use std::path::{Path, PathBuf};
use vouch_dsp::codec::g711::Law;

/// Prompts that one take may use, so that takes never share one.
const PROMPTS_PER_TAKE: usize = 40;

const SOUNDS: &str = "/usr/share/asterisk/sounds";

/// Somebody who recorded telephone prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Allison, in English.
    Allison,
    /// June, in French.
    June,
    /// Carlo, in Italian.
    Carlo,
    /// Signora Menardi, in Italian.
    Menardi,
    /// The Russian voice.
    Russian,
}

impl Person {
    fn folder(self) -> PathBuf {
        Path::new(SOUNDS).join(match self {
            Self::Allison => "en_US_f_Allison",
            Self::June => "fr_CA_f_June",
            Self::Carlo => "it_IT_m_Carlo",
            Self::Menardi => "it_IT_f_Menardi",
            Self::Russian => "ru_RU_f_IvrvoiceRU",
        })
    }

    /// `seconds` of this person's talk as 8 kHz PCM. Different `take`s never share a prompt.
    ///
    /// `None`, with a line that says so, where the Debian packages are not installed.
    pub fn talk(self, take: usize, seconds: f32) -> Option<Vec<i16>> {
        let needed = (seconds * 8000.0) as usize;
        let prompts = self.take(take)?;
        let mut talk = Vec::with_capacity(needed);
        for prompt in &prompts {
            talk.extend(samples(prompt));
            talk.extend([0; 2400]);
            if talk.len() >= needed {
                talk.truncate(needed);
                return Some(talk);
            }
        }
        panic!("{} has fewer than {seconds} s in take {take}", self.folder().display());
    }
}

impl Person {
    /// `seconds` of this person's talk in wideband, of the prompts of the same `take`, as G.722 streams one after the other.
    ///
    /// `None`, with a line that says so, where the Debian packages are not installed.
    pub fn g722(self, take: usize, seconds: f32) -> Option<Vec<u8>> {
        let needed = (seconds * 8000.0) as usize;
        let streams = self.take(take)?.into_iter().map(|prompt| prompt.with_extension("g722"));
        let mut coded: Vec<u8> = streams
            .filter(|file| file.is_file())
            .flat_map(|file| std::fs::read(file).unwrap_or_default())
            .collect();
        if coded.len() < needed {
            eprintln!(
                "skipped: too few G.722 prompts in {}; `make setup` installs them",
                self.folder().display()
            );
            return None;
        }
        coded.truncate(needed);
        Some(coded)
    }

    /// Prompts of a take.
    fn take(self, take: usize) -> Option<Vec<PathBuf>> {
        let mut prompts = prompts(&self.folder());
        if prompts.is_empty() {
            eprintln!("skipped: no voices in {SOUNDS}; `make setup` installs them");
            return None;
        }
        let first = take * PROMPTS_PER_TAKE % prompts.len();
        prompts.rotate_left(first);
        prompts.truncate(PROMPTS_PER_TAKE);
        Some(prompts)
    }
}

/// Prompts of at least a second and a half, in order of their names.
fn prompts(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let long = |path: &PathBuf| {
        let wav = path.extension().is_some_and(|ending| ending == "wav");
        wav && path.metadata().is_ok_and(|data| (24_000..160_000).contains(&data.len()))
    };
    let mut prompts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(long).collect();
    prompts.sort();
    prompts
}

fn samples(prompt: &Path) -> Vec<i16> {
    let reader = hound::WavReader::open(prompt).expect("a prompt package holds readable WAV files");
    assert_eq!(reader.spec().sample_rate, 8000, "{}", prompt.display());
    reader.into_samples::<i16>().map(|sample| sample.expect("whole samples")).collect()
}

/// Writes PCM as a WAV file.
pub fn write_wav(file: &Path, pcm: &[i16]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(file, spec).expect("the recording fits on the disk");
    pcm.iter().for_each(|&sample| wav.write_sample(sample).expect("the recording fits on the disk"));
    wav.finalize().expect("the recording fits on the disk");
}

/// PCM as mu-law, as it goes into RTP packets and into sipp's `rtp_stream`.
pub fn mulaw(pcm: &[i16]) -> Vec<u8> {
    pcm.iter().map(|&sample| Law::Mu.encode(sample)).collect()
}
