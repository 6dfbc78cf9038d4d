//! Reading audio files: WAV (PCM, mu-law, A-law) and FLAC, any rate from 8 kHz.

mod flac;
mod resample;
mod wav;

pub use resample::Resampler;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use vouch_dsp::features::Band;

/// Largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// Most samples of one recording: two hours at 16 kHz.
pub const MAX_SAMPLES: usize = 2 * 3600 * 16_000;
/// Lowest and highest sampling rate that is read, in Hz.
pub const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// One decoded recording, mono.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// 16-bit samples.
    pub pcm: Vec<i16>,
    /// Samples per second.
    pub rate: u32,
}

/// Which file could not be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct AudioError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: AudioFault,
}

/// What is wrong with an audio file.
#[derive(Debug, thiserror::Error)]
pub enum AudioFault {
    /// The system did not let us read it.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Neither WAV nor FLAC, or an encoding inside that is not decoded.
    #[error("is no WAV (PCM, float, mu-law, A-law) or FLAC file: {0}")]
    Unsupported(String),
    /// Damaged content.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// It ends before its header says.
    #[error("is truncated: {found} of {expected} samples are there")]
    Truncated {
        /// Samples that the header promises.
        expected: u64,
        /// Samples that were there.
        found: u64,
    },
    /// A sampling rate outside [`RATES`].
    #[error("has a sampling rate of {0} Hz; {min} to {max} Hz can be used", min = RATES.start(), max = RATES.end())]
    Rate(u32),
    /// Over [`MAX_FILE_BYTES`].
    #[error("has more than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// Over [`MAX_SAMPLES`].
    #[error("has more than {MAX_SAMPLES} samples; cut it")]
    TooLong,
    /// No sample at all.
    #[error("holds no audio")]
    Empty,
}

/// Band in which audio of this rate is analysed: wide from 16 kHz, narrow below.
pub const fn band_of(rate: u32) -> Band {
    if rate as usize >= Band::Wide.sample_rate() { Band::Wide } else { Band::Narrow }
}

impl Recording {
    /// Reads a file. Of several channels the first is taken: in a stereo recording of a call each channel
    /// is one party, and a mix of them would be two voices.
    ///
    /// # Errors
    /// [`AudioError`] names the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, AudioError> {
        content(path).and_then(Self::decode).map_err(|fault| AudioError { path: path.to_owned(), fault })
    }

    /// Decodes a file's content, as [`Self::read`] does.
    ///
    /// # Errors
    /// [`AudioFault`] says what is wrong with it.
    pub fn decode(file: Vec<u8>) -> Result<Self, AudioFault> {
        let recording = if wav::is_wav(&file) {
            wav::read(&file)
        } else if flac::is_flac(&file) {
            flac::read(file)
        } else {
            Err(AudioFault::Unsupported("it begins like neither".to_owned()))
        }?;
        if recording.pcm.is_empty() { Err(AudioFault::Empty) } else { Ok(recording) }
    }

    /// Band in which the recording is analysed unless a narrower one is asked for.
    pub const fn band(&self) -> Band {
        band_of(self.rate)
    }

    /// Samples at the rate of `band`.
    pub fn pcm_at(&self, band: Band) -> Vec<i16> {
        resample::resample(&self.pcm, self.rate, band.sample_rate() as u32)
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.pcm.len() as f64 / f64::from(self.rate)
    }
}

/// Whole content of a file; the limit also holds for what only looks small, such as a pipe.
fn content(path: &Path) -> Result<Vec<u8>, AudioFault> {
    let file = File::open(path)?;
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(AudioFault::TooLarge);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_follow_the_rate() {
        let bands = [8_000, 11_025, 15_999, 16_000, 44_100].map(band_of);
        assert_eq!(bands, [Band::Narrow, Band::Narrow, Band::Narrow, Band::Wide, Band::Wide]);
    }

    #[test]
    fn errors_name_the_file_and_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let said = |name: &str| Recording::read(&folder.path().join(name)).unwrap_err().to_string();
        std::fs::write(folder.path().join("notes.wav"), "these are not sounds").unwrap();
        assert!(said("none.wav").contains("none.wav: cannot be read"), "{}", said("none.wav"));
        assert!(said("notes.wav").contains("notes.wav: is no WAV"), "{}", said("notes.wav"));
        let whole = Recording::read(folder.path()).unwrap_err().to_string();
        assert!(whole.contains("cannot be read"), "{whole}");
    }
}
