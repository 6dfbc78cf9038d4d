//! Figures about what was heard.

use crate::features::{Band, ln_q20};

/// What was heard so far, for reasons and quality figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Audio heard, concealed included, in ms.
    pub heard_ms: u32,
    /// Net speech in ms.
    pub speech_ms: u32,
    /// Concealed audio in ms.
    pub concealed_ms: u32,
    /// Speech-to-noise ratio in dB, once there was speech and a pause: -10 to 60.
    pub snr_db: Option<i16>,
    /// Clipped samples per thousand, in speech.
    pub clipped_permille: u16,
    /// Level of the speech in dB, relative to full scale (0 is a square wave of 32768); -96 when
    /// there was none.
    pub level_dbfs: i16,
}

/// Samples at or beyond this are clipped: mu-law's loudest is 32124, A-law's 32256.
const CLIPPED: u16 = 32_124;
/// Level of one unit, rounded.
const QUIETEST_DB: i16 = -96;
const SNR_RANGE_DB: core::ops::RangeInclusive<i16> = -10..=60;

/// Figures of the 10 ms that a frame adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameFigures {
    /// Mean square of the samples.
    power: u32,
    /// Clipped samples.
    clipped: u16,
}

impl FrameFigures {
    pub(super) fn of(samples: &[i16]) -> Self {
        let sum: u64 = samples.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
        let clipped = samples.iter().filter(|sample| sample.unsigned_abs() >= CLIPPED).count();
        Self { power: (sum / samples.len().max(1) as u64) as u32, clipped: clipped as u16 }
    }
}

/// Sums over the call.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    heard: u64,
    concealed: u64,
    speech_frames: u32,
    speech_power: u64,
    clipped: u64,
    pause_frames: u32,
    pause_power: u64,
    silent_frames: u32,
}

impl Tally {
    pub(super) const fn new() -> Self {
        Self {
            heard: 0,
            concealed: 0,
            speech_frames: 0,
            speech_power: 0,
            clipped: 0,
            pause_frames: 0,
            pause_power: 0,
            silent_frames: 0,
        }
    }

    pub(super) fn heard(&mut self, samples: usize, concealed: bool) {
        self.heard += samples as u64;
        if concealed {
            self.concealed += samples as u64;
        }
    }

    pub(super) fn speech(&mut self, figures: FrameFigures) {
        self.speech_frames += 1;
        self.speech_power += u64::from(figures.power);
        self.clipped += u64::from(figures.clipped);
    }

    pub(super) fn pause(&mut self, figures: FrameFigures) {
        if figures.power == 0 {
            self.silent_frames += 1;
        } else {
            self.pause_frames += 1;
            self.pause_power += u64::from(figures.power);
        }
    }

    pub(super) fn quality(&self, band: Band) -> Quality {
        let samples_per_ms = band.sample_rate() as u64 / 1000;
        let speech_samples = u64::from(self.speech_frames) * band.shift_samples() as u64;
        Quality {
            heard_ms: (self.heard / samples_per_ms) as u32,
            speech_ms: self.speech_frames * 10,
            concealed_ms: (self.concealed / samples_per_ms) as u32,
            snr_db: self.snr_db(),
            clipped_permille: (1000 * self.clipped).checked_div(speech_samples).unwrap_or(0) as u16,
            level_dbfs: level_db(self.speech_power, self.speech_frames).unwrap_or(QUIETEST_DB),
        }
    }

    /// Speech here is speech and noise together, so the noise's power is taken off it.
    fn snr_db(&self) -> Option<i16> {
        let together = self.speech_power.checked_div(u64::from(self.speech_frames))?;
        // Pauses of digital silence do not tell the noise, unless there are no others.
        let noise = match (self.pause_frames, self.silent_frames) {
            (0, 0) => return None,
            (0, _) => 0,
            (frames, _) => self.pause_power / u64::from(frames),
        };
        let decibels = power_db(together.saturating_sub(noise)) - power_db(noise);
        Some(decibels.clamp(*SNR_RANGE_DB.start(), *SNR_RANGE_DB.end()))
    }
}

fn level_db(sum: u64, frames: u32) -> Option<i16> {
    let power = sum.checked_div(u64::from(frames))?;
    // 20 log10(32768)
    Some(power_db(power) - 90)
}

/// Decibels of a power; that of nothing is that of one.
fn power_db(power: u64) -> i16 {
    /// 10 / ln 10, Q16.
    const DB_PER_NEPER_Q16: i64 = 284_619;
    let db_q36 = i64::from(ln_q20(power)) * DB_PER_NEPER_Q16;
    ((db_q36 + (1 << 35)) >> 36) as i16
}
