//! Net-speech detection: which frames are the caller talking.
//!
//! Works on log mel frames alone, so it is the same for both bands. A small network (`model`) hears them in pairs and
//! says, 400 ms later, whether each pair was speech. Frames that are nothing but one or two lines (`tone`) never are. A
//! tracked noise floor (`floor`) tells which of the other frames are mere background, for the signal-to-noise ratio.

mod floor;
mod model;
mod tone;

use crate::features::{Band, LogMel};
use crate::kernel::Kernel;
use floor::NoiseFloor;
use model::{BINS, LOOK_AHEAD, Model};
use tone::ToneWatch;

/// First mel bin that the noise floor looks at: 250 Hz. Below it lie hum and car noise, and telephones cut it.
const FIRST_BIN: usize = 8;
/// Neighbouring mel bins that are averaged into a sub-band.
const BINS_PER_SUBBAND: usize = 5;
/// Sub-bands of wideband; narrowband has the first ten.
const MAX_SUBBANDS: usize = 14;

/// Average log energy of each sub-band, Q9.
type Subbands = [i16; MAX_SUBBANDS];

/// Frames of a step of the network.
pub(crate) const FRAMES_PER_STEP: usize = 2;
/// Frames that wait at most for their judgement.
pub(crate) const WAITING: usize = FRAMES_PER_STEP * (LOOK_AHEAD + 1);

/// What a frame is unless it is speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    /// No louder than the noise.
    Background,
    /// One or two steady lines: signalling tones, DTMF, fax, whistles. Never speech.
    Tone,
    /// Anything else.
    Foreground,
}

/// What was noticed with a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noticed {
    /// What the frame is apart from speech.
    pub(crate) sound: Sound,
    /// Whether the first [`FRAMES_PER_STEP`] of the last [`WAITING`] frames are speech: with every second frame, once
    /// there were so many.
    pub(crate) judged: Option<bool>,
}

/// Judges frames.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    band: Band,
    kernel: Kernel,
    subbands: usize,
    floor: NoiseFloor,
    tone: ToneWatch,
    model: Model,
    /// The first frame of a step.
    first: Option<[i16; BINS]>,
    /// The last step was speech: it takes less to go on than to begin.
    talking: bool,
    /// Which of the last frames were tones, the newest in the lowest bit.
    tones: u64,
    /// Steps heard, up to one more than the network looks ahead.
    steps: u8,
}

/// Distance from the noise floor, Q9, up to which a frame is background: 0.55 neper.
const BACKGROUND_Q9: i16 = 280;
/// Log odds, Q12, at which speech begins.
const BEGIN_Q12: i32 = 4_096;
/// Log odds below which it ends.
const GO_ON_Q12: i32 = 0;
/// Tones among the frames that wait from which on none of them is speech: voices have a few lone lines, cadences many.
const CADENCE: u32 = 7;

impl Detector {
    pub(crate) const fn new(band: Band, kernel: Kernel) -> Self {
        let subbands = (band.mels() - FIRST_BIN) / BINS_PER_SUBBAND;
        Self {
            band,
            kernel,
            subbands,
            floor: NoiseFloor::new(),
            tone: ToneWatch::new(band),
            model: Model::new(),
            first: None,
            talking: false,
            tones: 0,
            steps: 0,
        }
    }

    pub(crate) const fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Hears the next frame.
    pub(crate) fn hear(&mut self, mel: &LogMel) -> Noticed {
        let distance = self.floor.hear(&average_subbands(mel)[..self.subbands]);
        let is_tone = self.tone.hear(mel);
        self.tones = (self.tones << 1 | u64::from(is_tone)) & ((1 << WAITING) - 1);
        let sound = match (is_tone, distance <= BACKGROUND_Q9) {
            (_, true) => Sound::Background,
            (true, false) => Sound::Tone,
            (false, false) => Sound::Foreground,
        };
        let mut alike = *mel;
        self.band.to_telephone_scale(&mut alike);
        let frame: [i16; BINS] = core::array::from_fn(|bin| alike[bin]);
        let judged = match self.first.take() {
            None => {
                self.first = Some(frame);
                None
            }
            Some(first) => self.judge(&core::array::from_fn(|bin| (first[bin] + frame[bin]) >> 1)),
        };
        Noticed { sound, judged }
    }

    fn judge(&mut self, step: &[i16; BINS]) -> Option<bool> {
        let log_odds = self.model.hear(self.kernel, step);
        if usize::from(self.steps) < LOOK_AHEAD {
            self.steps += 1;
            return None;
        }
        let enough = if self.talking { GO_ON_Q12 } else { BEGIN_Q12 };
        self.talking = log_odds > enough && self.tones.count_ones() < CADENCE;
        Some(self.talking)
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
