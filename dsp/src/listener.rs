//! One ear: PCM in, speech frames and quality out.

use crate::features::{Band, LogMel};

/// Where samples came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Decoded from a packet that arrived.
    Heard,
    /// Invented by loss concealment: never counts as speech.
    Concealed,
}

/// What was heard so far, for reasons and quality figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Audio heard, concealed included, in ms.
    pub heard_ms: u32,
    /// Net speech in ms.
    pub speech_ms: u32,
    /// Concealed audio in ms.
    pub concealed_ms: u32,
    /// Speech-to-noise ratio in dB, once there was speech.
    pub snr_db: Option<i16>,
    /// Clipped samples per thousand, in speech.
    pub clipped_permille: u16,
    /// Speech level in dB relative to full scale.
    pub level_dbfs: i16,
}

/// Detector and front end of one stream.
#[derive(Debug)]
pub struct Listener {
    band: Band,
}

impl Listener {
    /// A listener that heard nothing yet.
    pub const fn new(band: Band) -> Self {
        Self { band }
    }

    /// Band of the stream.
    pub const fn band(&self) -> Band {
        self.band
    }

    /// Takes the next samples; `speech` gets each frame that counts as net speech, in order.
    pub fn hear(&mut self, pcm: &[i16], origin: Origin, speech: impl FnMut(&LogMel)) {
        let _ = (pcm, origin, speech);
    }

    /// Figures so far.
    pub fn quality(&self) -> Quality {
        Quality::default()
    }
}
