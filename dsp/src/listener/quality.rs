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
    /// Level of the speech over that of the pauses in dB, -10 to 60; known once there was speech and a
    /// pauses of 100 ms and more, 200 ms in all without their beginnings.
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
/// Frame of a pause from which on it tells the noise: weak speech and echo are over by then.
const SETTLED: u8 = 10;
/// Frames of settled pause that are enough to tell the noise.
const ENOUGH_PAUSE: u32 = 20;
const SNR_RANGE_DB: core::ops::RangeInclusive<i16> = -10..=60;

/// Figures of the 10 ms that a frame adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameFigures {
    /// Mean square of the samples.
    power: u32,
    /// Share of clipped samples.
    clipped_permille: u16,
}

impl FrameFigures {
    pub(super) fn of(samples: &[i16]) -> Self {
        let sum: u64 = samples.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
        let clipped = samples.iter().filter(|sample| sample.unsigned_abs() >= CLIPPED).count();
        let length = samples.len().max(1);
        Self { power: (sum / length as u64) as u32, clipped_permille: (1000 * clipped / length) as u16 }
    }
}

/// Sums over the call.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Audio of either band in sixteenths of a millisecond.
    heard: u64,
    concealed: u64,
    speech_frames: u32,
    speech_power: u64,
    /// Sum of the frames' shares.
    clipped_permille: u64,
    /// Frames of pause since the last sound.
    pause_run: u8,
    pause_frames: u32,
    /// Sum of the pauses' log powers, Q20: a loud frame taken for a pause weighs little.
    pause_log_q20: i64,
    silent_frames: u32,
}

impl Tally {
    pub(super) const fn new() -> Self {
        Self {
            heard: 0,
            concealed: 0,
            speech_frames: 0,
            speech_power: 0,
            clipped_permille: 0,
            pause_run: 0,
            pause_frames: 0,
            pause_log_q20: 0,
            silent_frames: 0,
        }
    }

    pub(super) fn heard(&mut self, samples: usize, band: Band, concealed: bool) {
        let ticks = (samples * Band::Wide.sample_rate() / band.sample_rate()) as u64;
        self.heard += ticks;
        if concealed {
            self.concealed += ticks;
        }
    }

    pub(super) fn speech(&mut self, figures: FrameFigures) {
        self.pause_run = 0;
        self.speech_frames += 1;
        self.speech_power += u64::from(figures.power);
        self.clipped_permille += u64::from(figures.clipped_permille);
    }

    /// Something that is neither speech nor a pause, or not known yet.
    pub(super) fn sound(&mut self) {
        self.pause_run = 0;
    }

    pub(super) fn pause(&mut self, figures: FrameFigures) {
        self.pause_run = self.pause_run.saturating_add(1);
        if self.pause_run < SETTLED {
            return;
        }
        if figures.power == 0 {
            self.silent_frames += 1;
        } else {
            self.pause_frames += 1;
            self.pause_log_q20 += i64::from(ln_q20(figures.power.into()));
        }
    }

    pub(super) fn quality(&self) -> Quality {
        const TICKS_PER_MS: u64 = Band::Wide.sample_rate() as u64 / 1000;
        let clipped_permille = self.clipped_permille.checked_div(u64::from(self.speech_frames)).unwrap_or(0);
        Quality {
            heard_ms: (self.heard / TICKS_PER_MS) as u32,
            speech_ms: self.speech_frames * 10,
            concealed_ms: (self.concealed / TICKS_PER_MS) as u32,
            snr_db: self.snr_db(),
            clipped_permille: clipped_permille as u16,
            level_dbfs: level_dbfs(self.speech_power, self.speech_frames).unwrap_or(QUIETEST_DB),
        }
    }

    fn snr_db(&self) -> Option<i16> {
        let speech = self.speech_power.checked_div(u64::from(self.speech_frames))?;
        // Pauses of digital silence do not tell the noise, unless there are no others.
        let noise_log_q20 = if self.pause_frames >= ENOUGH_PAUSE {
            self.pause_log_q20 / i64::from(self.pause_frames)
        } else if self.silent_frames >= ENOUGH_PAUSE {
            0
        } else {
            return None;
        };
        let decibels = decibels(i64::from(ln_q20(speech)) - noise_log_q20);
        Some(decibels.clamp(*SNR_RANGE_DB.start(), *SNR_RANGE_DB.end()))
    }
}

/// Level of an average power; 20 log10(32768) is 90 dB.
fn level_dbfs(sum: u64, frames: u32) -> Option<i16> {
    let power = sum.checked_div(u64::from(frames))?;
    Some(decibels(ln_q20(power).into()) - 90)
}

/// Decibels of a log power ratio.
fn decibels(log_q20: i64) -> i16 {
    /// 10 / ln 10, Q16.
    const DB_PER_NEPER_Q16: i64 = 284_619;
    ((log_q20 * DB_PER_NEPER_Q16 + (1 << 35)) >> 36) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(speech: &[i16], pause: &[i16]) -> Tally {
        let mut tally = Tally::new();
        for _ in 0..100 {
            tally.speech(FrameFigures::of(speech));
        }
        for _ in 0..40 {
            tally.pause(FrameFigures::of(pause));
        }
        tally
    }

    #[test]
    fn levels_and_snr_are_in_decibels() {
        let quality = tally(&[3276; 80], &[-33; 80]).quality();
        assert_eq!(quality.level_dbfs, -20);
        assert_eq!(quality.snr_db, Some(40));
        assert_eq!(quality.speech_ms, 1000);
        assert_eq!(quality.clipped_permille, 0);
    }

    #[test]
    fn full_scale_is_zero_and_clipped() {
        let quality = tally(&[i16::MIN; 80], &[0; 80]).quality();
        assert_eq!(quality.level_dbfs, 0);
        assert_eq!(quality.snr_db, Some(60));
        assert_eq!(quality.clipped_permille, 1000);
    }

    #[test]
    fn time_is_counted_alike_in_both_bands() {
        let mut tally = Tally::new();
        tally.heard(8000, Band::Narrow, false);
        tally.heard(8000, Band::Wide, true);
        assert_eq!((tally.quality().heard_ms, tally.quality().concealed_ms), (1500, 500));
    }

    #[test]
    fn nothing_is_claimed_before_it_is_known() {
        assert_eq!(Tally::new().quality().snr_db, None);
        assert_eq!(Tally::new().quality().level_dbfs, QUIETEST_DB);
        let mut no_pause = Tally::new();
        no_pause.speech(FrameFigures::of(&[100; 160]));
        no_pause.pause(FrameFigures::of(&[90; 160]));
        assert_eq!(no_pause.quality().snr_db, None);
    }
}
