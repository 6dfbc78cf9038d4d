//! Net-speech detection: which frames are the caller talking.
//!
//! Works on log mel frames alone, so it is the same for both bands and for any level. Each frame
//! gets a first judgement from its distance to a tracked noise floor (`floor`) and from whether it
//! is nothing but one or two lines (`tone`); what stands out of the noise is then held back
//! until it has moved as speech does and steady noise does not (`onset`).

mod floor;
mod onset;
mod tone;

use crate::features::{Band, LogMel};
use floor::NoiseFloor;
pub(crate) use onset::{Onset, Step, WAITING};
use tone::ToneWatch;

/// First mel bin that is looked at: 250 Hz. Below it lie hum and car noise, and telephones cut it.
const FIRST_BIN: usize = 8;
/// Neighbouring mel bins that are averaged into a sub-band.
const BINS_PER_SUBBAND: usize = 5;
/// Sub-bands of wideband; narrowband has the first ten.
const MAX_SUBBANDS: usize = 14;

/// Average log energy of each sub-band, Q9.
type Subbands = [i16; MAX_SUBBANDS];

/// First judgement of a frame, from the past alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    /// No louder than the noise.
    Background,
    /// One or two steady lines: signalling tones, DTMF, fax, whistles.
    Tone,
    /// Stands out of the noise.
    Foreground,
}

/// What later stages need of a judged frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    pub(crate) sound: Sound,
    /// Average log energy over all sub-bands, Q9.
    pub(crate) level_q9: i16,
}

/// Judges frames one by one.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    subbands: usize,
    floor: NoiseFloor,
    tone: ToneWatch,
    /// The last frame stood out: it takes less to go on than to begin.
    going_on: bool,
}

/// Distance from the noise floor, Q9, at which speech begins: 0.9 neper.
const BEGIN_Q9: i16 = 460;
/// Distance below which it ends: 0.55 neper.
const GO_ON_Q9: i16 = 280;

impl Detector {
    pub(crate) const fn new(band: Band) -> Self {
        let subbands = (band.mels() - FIRST_BIN) / BINS_PER_SUBBAND;
        Self { subbands, floor: NoiseFloor::new(), tone: ToneWatch::new(band), going_on: false }
    }

    /// Judges the next frame and learns the noise from it.
    pub(crate) fn judge(&mut self, mel: &LogMel) -> Judgement {
        let subbands = average_subbands(mel);
        let used = &subbands[..self.subbands];
        let distance = self.floor.hear(used);
        let is_tone = self.tone.hear(mel);
        let threshold = if self.going_on { GO_ON_Q9 } else { BEGIN_Q9 };
        self.going_on = distance > threshold;
        let sound = match (self.going_on, is_tone) {
            (false, _) => Sound::Background,
            (true, true) => Sound::Tone,
            (true, false) => Sound::Foreground,
        };
        let sum: i32 = used.iter().map(|level| i32::from(*level)).sum();
        Judgement { sound, level_q9: (sum / self.subbands as i32) as i16 }
    }

    /// What stood out of the noise turned out to be noise: it is the floor from now on.
    pub(crate) fn was_noise(&mut self) {
        self.floor.raise_to_recent();
        self.going_on = false;
    }
}

fn average_subbands(mel: &LogMel) -> Subbands {
    let mut subbands = [0; MAX_SUBBANDS];
    for (average, bins) in subbands.iter_mut().zip(mel[FIRST_BIN..].chunks_exact(BINS_PER_SUBBAND)) {
        let sum: i32 = bins.iter().map(|bin| i32::from(*bin)).sum();
        *average = (sum / BINS_PER_SUBBAND as i32) as i16;
    }
    subbands
}
