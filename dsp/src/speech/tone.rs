//! Frames that are one or two lines and nothing else.
//!
//! Every signalling tone is one or two sinusoids (ITU-T E.180, Q.23, V.25). Apart from them the
//! spectrum is at least 17 dB lower, and they stay where they are; a voice has more than two
//! harmonics or formants near its strongest.

use super::FIRST_BIN;
use crate::features::{Band, LogMel, fixed, white_tilt};
use crate::sizes::MELS;

/// A single line stands this far above everything else, Q9: 4.6 nepers, 20 dB.
const ONE_LINE_Q9: i16 = 2355;
/// Two lines stand this far above everything else, Q9: 3.9 nepers, 17 dB.
const TWO_LINES_Q9: i16 = 2000;
/// Bins to each side that belong to a line at least and at most: the window's main lobe, and that
/// with the slope of the other line.
const REACH: core::ops::RangeInclusive<usize> = 2..=7;
/// Lowest bin, counted from the first, where the strongest line of a tone may lie: 330 Hz. The lowest
/// signalling tone is 350 Hz; the lone line of a closed mouth is the pitch, and lies lower.
const LOWEST_LINE: usize = 3;
/// Frames in a row that make a tone.
const CONFIRMED: u8 = 2;

/// Half of what the filter bank makes of white noise, Q9. Taking all of it away finds tones in
/// noise best but takes more low-pitched vowels for tones; half was the best compromise.
type Tilt = [i16; MELS];
static NARROW_TILT: Tilt = tilt(Band::Narrow);
static WIDE_TILT: Tilt = tilt(Band::Wide);

const fn tilt(band: Band) -> Tilt {
    let mut table = [0; MELS];
    let mut bin = 0;
    while bin < band.mels() {
        table[bin] = fixed(white_tilt(bin, band.sample_rate() as f64) / 2.0, 9) as i16;
        bin += 1;
    }
    table
}

/// Watches for tones.
#[derive(Clone, Debug)]
pub(super) struct ToneWatch {
    band: Band,
    /// Bins of the two strongest lines of the last frame.
    places: [usize; 2],
    /// Frames in a row with the strongest line where a line was before.
    run: u8,
}

impl ToneWatch {
    pub(super) const fn new(band: Band) -> Self {
        Self { band, places: [0; 2], run: 0 }
    }

    /// True when this frame goes on with a tone.
    pub(super) fn hear(&mut self, mel: &LogMel) -> bool {
        let tilt = match self.band {
            Band::Narrow => &NARROW_TILT,
            Band::Wide => &WIDE_TILT,
        };
        let mut bins = *mel;
        bins.iter_mut().zip(tilt).for_each(|(level, tilt)| *level -= tilt);
        match line_places(&mut bins[FIRST_BIN..self.band.mels()]) {
            None => self.run = 0,
            Some(places) => {
                let same = self.places.iter().any(|place| place.abs_diff(places[0]) <= 1);
                self.run = if same { self.run.saturating_add(1) } else { 1 };
                self.places = places;
            }
        }
        self.run >= CONFIRMED
    }
}

/// Places of the two strongest lines, strongest first, if the frame is one or two lines. Takes the
/// lines out of `bins`.
fn line_places(bins: &mut [i16]) -> Option<[usize; 2]> {
    let (first_place, first) = take_line(bins);
    let (second_place, second) = take_line(bins);
    let (_, rest) = take_line(bins);
    let one = first.saturating_sub(second) >= ONE_LINE_Q9;
    let two = second.saturating_sub(rest) >= TWO_LINES_Q9;
    (first_place >= LOWEST_LINE && (one || two)).then_some([first_place, second_place])
}

/// Takes the strongest bin out, with the slopes that fall off from it; returns its place and level.
fn take_line(bins: &mut [i16]) -> (usize, i16) {
    const TAKEN: i16 = i16::MIN;
    let start = (0, bins[0]);
    let (place, level) =
        bins.iter().copied().enumerate().fold(start, |best, bin| if bin.1 > best.1 { bin } else { best });
    let (below, above) = bins.split_at_mut(place);
    take_slope(above.iter_mut());
    take_slope(core::iter::once(&mut { level }).chain(below.iter_mut().rev()));
    return (place, level);

    fn take_slope<'a>(slope: impl Iterator<Item = &'a mut i16>) {
        let mut before = i16::MAX;
        for (distance, level) in slope.take(REACH.end() + 1).enumerate() {
            if distance > *REACH.start() && *level > before {
                break;
            }
            before = *level;
            *level = TAKEN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_with_its_slopes() {
        let mut bins = [9, 8, 7, 3, 5, 20, 30, 20, 5, 3, 7, 8];
        assert_eq!(take_line(&mut bins), (6, 30));
        assert_eq!(bins[..3], [9, 8, 7]);
        assert_eq!(bins[3..=9], [i16::MIN; 7]);
        assert_eq!(bins[10..], [7, 8]);
        assert_eq!(take_line(&mut bins), (0, 9));
    }

    #[test]
    fn one_or_two_lines_are_a_tone_and_three_are_not() {
        let lines = |places: &[usize]| {
            let mut bins = [1000; 50];
            places.iter().for_each(|place| bins[*place] = 9000);
            line_places(&mut bins).is_some()
        };
        assert!(lines(&[20]));
        assert!(lines(&[10, 30]));
        assert!(!lines(&[10, 20, 30]));
        assert!(!lines(&[]));
    }
}
