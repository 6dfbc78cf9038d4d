//! Frames that are one or two lines and nothing else.
//!
//! Every signalling tone is one or two sinusoids (ITU-T E.180, Q.23, V.25). Apart from them the
//! spectrum is at least 17 dB lower, and they stay where they are; a voice has more than two
//! harmonics or formants near its strongest.

/// Bins to each side of a peak that belong to it: the window's main lobe and a second tone close by.
const REACH: usize = 4;
/// A single line stands this far above everything else, Q9: 4.6 nepers, 20 dB.
const ONE_LINE_Q9: i16 = 2355;
/// Two lines stand this far above everything else, Q9: 3.9 nepers, 17 dB.
const TWO_LINES_Q9: i16 = 2000;
/// Frames in a row that make a tone.
const CONFIRMED: u8 = 2;

/// Watches for tones.
#[derive(Clone, Debug)]
pub(super) struct ToneWatch {
    /// Bin of the strongest line in the last frame.
    place: u8,
    /// Frames in a row with the strongest line in the same place.
    run: u8,
}

impl ToneWatch {
    pub(super) const fn new() -> Self {
        Self { place: 0, run: 0 }
    }

    /// True when this frame goes on with a tone.
    pub(super) fn hear(&mut self, bins: &[i16]) -> bool {
        let Some(place) = line_place(bins) else {
            self.run = 0;
            return false;
        };
        let place = place as u8;
        self.run = if place.abs_diff(self.place) <= 1 { self.run.saturating_add(1) } else { 1 };
        self.place = place;
        self.run >= CONFIRMED
    }
}

/// Place of the strongest line, if the frame is one or two lines.
fn line_place(bins: &[i16]) -> Option<usize> {
    let (first, first_level) = strongest(bins, &[])?;
    let (second, second_level) = strongest(bins, &[first])?;
    let (_, rest) = strongest(bins, &[first, second])?;
    let one = first_level - second_level >= ONE_LINE_Q9;
    let two = second_level - rest >= TWO_LINES_Q9;
    (one || two).then_some(first)
}

/// The strongest bin out of reach of the given peaks.
fn strongest(bins: &[i16], peaks: &[usize]) -> Option<(usize, i16)> {
    bins.iter()
        .copied()
        .enumerate()
        .filter(|(bin, _)| peaks.iter().all(|peak| bin.abs_diff(*peak) > REACH))
        .max_by_key(|(_, level)| *level)
}
