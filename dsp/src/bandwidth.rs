//! Whether speech at 16 kHz has what a telephone does not carry.
//!
//! A telephone call that a gateway hands on as G.722 or Opus, or a recording of one that was stored at 16 kHz, is wideband
//! by name alone. Its embedding for the wide band would miss what every other one has, so it counts as telephone speech.

use crate::features::{LogMel, NARROW_BINS};
use core::ops::Range;

/// Mel bins of the middle of the telephone band, above rumble.
const TELEPHONE: Range<usize> = 8..NARROW_BINS;
/// Mel bins from 4.4 kHz, where the slopes of telephone filters have ended, to 7 kHz, where G.722 ends.
const ABOVE: Range<usize> = 63..76;
/// How far fricatives rise above the mean level of the telephone band, Q9 neper: 7 dB. Pre-emphasis is in both.
///
/// What a twentieth of the frames reaches, in dB: 157 readers of LibriSpeech 8 to 32, five actors of EMO-DB 10 to 34, of
/// which the lowest twentieth is below 12; telephone recordings resampled to 16 kHz -41 to -27, the same
/// through Opus -21 to -10, through G.722, whose upper band always rustles, -16 to 6.
const RISE_Q9: i64 = 825;
/// One frame in so many has to rise so far.
const ONE_IN: usize = 20;

/// Whether frames of speech at 16 kHz, in the scale of their own band, carry more than the telephone's part of it.
pub fn is_wideband(frames: &[LogMel]) -> bool {
    let level = frames.iter().map(|frame| mean(frame, TELEPHONE)).sum::<i64>() / frames.len().max(1) as i64;
    let risen = frames.iter().filter(|frame| mean(frame, ABOVE) >= level + RISE_Q9).count();
    risen > 0 && risen * ONE_IN >= frames.len()
}

fn mean(frame: &LogMel, bins: Range<usize>) -> i64 {
    let count = bins.len() as i64;
    frame[bins].iter().map(|&value| i64::from(value)).sum::<i64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::MELS;

    fn frame(telephone: i16, above: i16) -> LogMel {
        core::array::from_fn(|bin| if bin < NARROW_BINS { telephone } else { above })
    }

    #[test]
    fn one_fricative_in_twenty_frames_is_enough_and_fewer_are_not() {
        let mut frames = [frame(8_000, 5_000); 100];
        assert!(!is_wideband(&frames));
        frames[..4].fill(frame(8_000, 8_825));
        assert!(!is_wideband(&frames));
        frames[4] = frame(8_000, 8_825);
        assert!(is_wideband(&frames));
        frames[4] = frame(8_000, 8_824);
        assert!(!is_wideband(&frames));
    }

    #[test]
    fn the_loudness_of_the_line_plays_no_part() {
        for level in [-3_000, 0, 9_000] {
            assert!(is_wideband(&[frame(level, level + 1_000); 10]));
            assert!(!is_wideband(&[frame(level, level); 10]));
        }
    }

    #[test]
    fn nothing_and_the_ends_of_the_scale_are_no_wideband_speech() {
        assert!(!is_wideband(&[]));
        assert!(!is_wideband(&[[i16::MAX; MELS]; 3_000]) && !is_wideband(&[[i16::MIN; MELS]; 3_000]));
    }
}
