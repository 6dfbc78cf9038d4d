//! From recordings to embeddings, by the same code as calls.

use super::OfflineError;
use crate::audio::Recording;
use crate::model;
use std::path::PathBuf;
use vouch_dsp::bandwidth::is_wideband;
use vouch_dsp::codec::g711::Law;
use vouch_dsp::enrollment;
use vouch_dsp::features::{Band, LogMel};
use vouch_dsp::listener::{Listener, Origin};
use vouch_dsp::network::{Embedding, Network, Scratch, scratch_sizes};
use vouch_dsp::score::voices;
use vouch_dsp::sizes::{FRAMES_PER_SECOND, MAX_FRAMES, MELS, MIN_FRAMES};

/// Most net speech that one embedding is made of, in seconds.
pub const MAX_SPEECH_S: f32 = (MAX_FRAMES / FRAMES_PER_SECOND) as f32;
/// Samples come in packets of 20 ms, as on a call.
const PACKETS_PER_SECOND: usize = 50;

/// What is wanted of a side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Most net speech used, in seconds; what comes first is used.
    pub speech_s: f32,
    /// Whether wideband recordings go through the telephone: 8 kHz and mu-law.
    pub telephone: bool,
    /// What wideband speech is embedded for.
    pub bands: Bands,
    /// Whether the embedding is for a voiceprint, that is also of noisy copies of the speech.
    pub enrollment: bool,
}

/// What wideband speech is embedded for; other speech is always for comparison with the telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bands {
    /// For comparison with its like.
    Own,
    /// For comparison with the telephone, that is without what a telephone does not carry.
    Telephone,
    /// For either, as a voiceprint.
    Both,
}

impl Bands {
    /// The bands that speech heard in `band` is embedded for.
    const fn of(self, band: Band) -> &'static [Band] {
        match (self, band) {
            (Self::Telephone, _) | (_, Band::Narrow) => &[Band::Narrow],
            (Self::Own, Band::Wide) => &[Band::Wide],
            (Self::Both, Band::Wide) => &[Band::Narrow, Band::Wide],
        }
    }
}

/// One side of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Band of its speech: the wide one only where there is something above the telephone's.
    pub band: Band,
    /// Net speech used, in ms.
    pub speech_ms: u32,
    /// Embeddings by band; none when there was too little speech for any.
    pub embeddings: Vec<(Band, Embedding)>,
    /// Whether several voices were heard.
    pub several_voices: bool,
}

impl Side {
    /// Net speech used, in seconds.
    pub fn speech_s(&self) -> f32 {
        self.speech_ms as f32 / 1000.0
    }
}

/// The network with its memory, for one thread.
#[derive(Debug)]
pub struct Voice {
    network: Network<'static>,
    frames: Vec<LogMel>,
    /// A copy of them that an enrollment may spoil.
    copy: Vec<LogMel>,
    narrow: Vec<u8>,
    wide: Vec<i16>,
}

impl Voice {
    /// Loads the model that the program carries.
    ///
    /// # Errors
    /// [`OfflineError::Model`] when it is damaged.
    pub fn new() -> Result<Self, OfflineError> {
        Network::load(model::BLOB).map(Self::over).map_err(OfflineError::Model)
    }

    /// Runs a network that is loaded already.
    pub fn over(network: Network<'static>) -> Self {
        let sizes = scratch_sizes(MAX_FRAMES);
        Self {
            network,
            frames: Vec::with_capacity(MAX_FRAMES),
            copy: Vec::with_capacity(MAX_FRAMES),
            narrow: vec![0; sizes.narrow],
            wide: vec![0; sizes.wide],
        }
    }

    /// Version of the model.
    pub fn model_version(&self) -> u32 {
        self.network.version()
    }

    /// Name of the kernel that runs the network.
    pub fn kernel(&self) -> &'static str {
        self.network.kernel_name()
    }

    /// Makes an embedding of so many frames of silence: what it costs does not depend on what is said.
    ///
    /// # Errors
    /// [`OfflineError::Embed`] on a number of frames that the network does not take.
    pub fn embed_silence(&mut self, frames: usize) -> Result<(), OfflineError> {
        self.frames.clear();
        self.frames.resize(frames, [0; MELS]);
        self.run(Band::Narrow, false).map(drop)
    }

    /// Reads the files of a side and makes its embedding.
    ///
    /// # Errors
    /// [`OfflineError`] names the file that could not be read, or the fault of the network.
    pub fn side(&mut self, files: &[PathBuf], wanted: Wanted) -> Result<Side, OfflineError> {
        let recordings = files.iter().map(|file| Recording::read(file)).collect::<Result<Vec<_>, _>>()?;
        self.embed(&recordings, wanted)
    }

    /// Makes the embeddings of what is said in `recordings`, one after the other. When they are of different
    /// bands all are heard in the narrow one.
    ///
    /// # Errors
    /// [`OfflineError::Embed`] on a fault of the network.
    pub fn embed(&mut self, recordings: &[Recording], wanted: Wanted) -> Result<Side, OfflineError> {
        let narrow = wanted.telephone || recordings.iter().any(|r| r.band() == Band::Narrow);
        let sampled = if narrow { Band::Narrow } else { Band::Wide };
        let most = ((wanted.speech_s * FRAMES_PER_SECOND as f32) as usize).min(MAX_FRAMES);
        self.frames.clear();
        for recording in recordings {
            self.hear(recording, sampled, most, wanted.telephone);
        }
        let speech_ms = (self.frames.len() * 1000 / FRAMES_PER_SECOND) as u32;
        let wide = sampled == Band::Wide && is_wideband(&self.frames);
        let band = if wide { Band::Wide } else { Band::Narrow };
        let mut side = Side { band, speech_ms, embeddings: Vec::new(), several_voices: false };
        if self.frames.len() >= MIN_FRAMES {
            for &made_for in wanted.bands.of(band) {
                let (embedding, several) = self.run(made_for, wanted.enrollment)?;
                side.embeddings.push((made_for, embedding));
                side.several_voices |= several;
            }
        }
        Ok(side)
    }

    /// Log mel frames of the speech behind the last embedding.
    pub fn frames(&self) -> &[LogMel] {
        &self.frames
    }

    /// Adds the speech frames of a recording, up to `most` in all.
    fn hear(&mut self, recording: &Recording, band: Band, most: usize, telephone: bool) {
        let mut pcm = recording.pcm_at(band);
        if telephone && recording.band() == Band::Wide {
            pcm.iter_mut().for_each(|sample| *sample = Law::Mu.decode(Law::Mu.encode(*sample)));
        }
        let frames = &mut self.frames;
        let keep = |frames: &mut Vec<LogMel>, frame: &LogMel| {
            if frames.len() < most {
                frames.push(*frame);
            }
        };
        let mut listener = Listener::new(band);
        for packet in pcm.chunks(band.sample_rate() / PACKETS_PER_SECOND) {
            listener.hear(packet, Origin::Heard, |frame| keep(frames, frame));
            if frames.len() >= most {
                return;
            }
        }
        listener.finish(|frame| keep(frames, frame));
    }

    fn run(&mut self, band: Band, enrollment: bool) -> Result<(Embedding, bool), OfflineError> {
        let mut scratch = Scratch { narrow: &mut self.narrow, wide: &mut self.wide };
        let made = if enrollment {
            self.copy.clone_from(&self.frames);
            enrollment::embed(&self.network, &mut self.copy, band, &mut scratch)
        } else {
            voices::embed(&self.network, &self.frames, band, &mut scratch)
        };
        made.map_err(OfflineError::Embed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vouch_dsp::codec::g722::G722;

    const ALL: Wanted = Wanted { speech_s: 30.0, telephone: false, bands: Bands::Own, enrollment: false };

    fn silence(rate: u32) -> Recording {
        Recording { pcm: vec![0; 2 * rate as usize], rate }
    }

    #[test]
    fn silence_has_no_speech_and_no_embedding() {
        let side = Voice::new().unwrap().embed(&[silence(8_000)], ALL).unwrap();
        let nothing = Side { band: Band::Narrow, speech_ms: 0, embeddings: vec![], several_voices: false };
        assert_eq!(side, nothing);
    }

    #[test]
    fn speech_at_the_very_end_counts() {
        let file = std::path::Path::new("/usr/share/asterisk/sounds/en_US_f_Allison/vm-intro.wav");
        if !file.exists() {
            eprintln!("SKIPPED: {} is not there", file.display());
            return;
        }
        let mut recording = Recording::read(file).unwrap();
        let mut voice = Voice::new().unwrap();
        // In the middle of a word.
        recording.pcm.truncate(2 * 8_000);
        let cut = voice.embed(&[recording.clone()], ALL).unwrap().speech_ms;
        recording.pcm.resize(3 * 8_000, 0);
        let followed = voice.embed(&[recording], ALL).unwrap().speech_ms;
        assert!(cut > 1_500 && cut.abs_diff(followed) <= 20, "{cut} ms, {followed} ms");
    }

    /// A prompt in 16 kHz, or a line that says it is not there.
    fn wideband() -> Option<Recording> {
        let file = "/usr/share/asterisk/sounds/en_US_f_Allison/vm-intro.g722";
        let Ok(coded) = std::fs::read(file) else {
            eprintln!("SKIPPED: {file} is not there");
            return None;
        };
        let mut pcm = vec![0; 2 * coded.len()];
        G722::new().decode_into(&coded, &mut pcm);
        Some(Recording { pcm, rate: 16_000 })
    }

    #[test]
    fn the_narrowest_recording_decides_the_band() {
        let Some(wide) = wideband() else { return };
        let narrow = Recording { pcm: wide.pcm_at(Band::Narrow), rate: 8_000 };
        let stored_wide = Recording { pcm: narrow.pcm_at(Band::Wide), rate: 16_000 };
        let mut voice = Voice::new().unwrap();
        let mut band = |recordings: &[&Recording], telephone| {
            let recordings: Vec<_> = recordings.iter().copied().cloned().collect();
            voice.embed(&recordings, Wanted { telephone, ..ALL }).unwrap().band
        };
        assert_eq!(band(&[&wide, &wide], false), Band::Wide);
        assert_eq!(band(&[&wide, &narrow], false), Band::Narrow);
        assert_eq!(band(&[&wide], true), Band::Narrow);
        assert_eq!(band(&[&stored_wide], false), Band::Narrow, "16 kHz of the telephone");
    }

    #[test]
    fn a_voiceprint_of_wideband_speech_serves_both_bands() {
        let Some(wide) = wideband() else { return };
        let mut voice = Voice::new().unwrap();
        let mut made = |bands, enrollment| {
            voice.embed(std::slice::from_ref(&wide), Wanted { bands, enrollment, ..ALL }).unwrap().embeddings
        };
        let both = made(Bands::Both, true);
        assert_eq!(both, [made(Bands::Telephone, true), made(Bands::Own, true)].concat());
        assert_eq!(both.iter().map(|(band, _)| *band).collect::<Vec<_>>(), [Band::Narrow, Band::Wide]);
    }

    #[test]
    fn a_timed_embedding_can_be_made() {
        let mut voice = Voice::new().unwrap();
        voice.embed_silence(MIN_FRAMES).unwrap();
        assert!(matches!(voice.embed_silence(MIN_FRAMES - 1), Err(OfflineError::Embed(_))));
    }
}
