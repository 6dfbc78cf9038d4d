//! Reading audio files: WAV (PCM, mu-law, A-law) and FLAC, any rate.

/// One decoded recording, mono.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// 16-bit samples.
    pub pcm: Vec<i16>,
    /// Samples per second.
    pub rate: u32,
}
