//! Log mel features from PCM.

use crate::sizes::MELS;

/// Sampling band of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// 8 kHz telephone audio.
    Narrow,
    /// 16 kHz wideband audio.
    Wide,
}

/// Natural logarithm of the 80 mel energies of one frame, Q9 (1/512 neper).
pub type LogMel = [i16; MELS];
