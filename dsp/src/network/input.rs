//! From log mel frames to the network's input map.

use super::head::input_stride;
use crate::features::{Band, LogMel};
use crate::sizes::MELS;

/// Largest distance from the mean that the network sees: 16 nepers (139 dB), Q9. It keeps the first sums in 32 bits.
const LIMIT: i32 = (1 << 13) - 1;

/// Writes the input map `[82][input_stride]`: one row per mel bin, its mean over the frames subtracted, with a border of zeros.
pub(super) fn fill(frames: &[LogMel], band: Band, map: &mut [i16]) {
    let stride = input_stride(frames.len());
    let map = &mut map[..(MELS + 2) * stride];
    map.fill(0);
    for (bin, row) in map.chunks_exact_mut(stride).skip(1).take(band.mels()).enumerate() {
        let mean = mean(frames, bin);
        for (frame, value) in frames.iter().zip(&mut row[1..]) {
            *value = (i32::from(frame[bin]) - mean).clamp(-LIMIT, LIMIT) as i16;
        }
    }
}

/// Mean of a bin, rounded to the nearest.
fn mean(frames: &[LogMel], bin: usize) -> i32 {
    let sum: i32 = frames.iter().map(|frame| i32::from(frame[bin])).sum();
    let count = frames.len() as i32;
    (2 * sum + count).div_euclid(2 * count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::NARROW_BINS;
    extern crate std;

    #[test]
    fn the_mean_goes_and_the_missing_band_is_zero() {
        let mut frames = std::vec![[0i16; MELS]; 3];
        for (frame, value) in frames.iter_mut().zip([-5i16, 0, 7]) {
            frame.fill(1000 + value);
        }
        let stride = input_stride(3);
        let mut map = std::vec![99i16; (MELS + 2) * stride];
        fill(&frames, Band::Narrow, &mut map);
        assert_eq!(&map[stride..2 * stride], &[0, -6, -1, 6, 0, 0]);
        assert!(map[..stride].iter().chain(&map[(1 + NARROW_BINS) * stride..]).all(|&value| value == 0));
        fill(&frames, Band::Wide, &mut map);
        assert_eq!(&map[MELS * stride..], &[0, -6, -1, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn far_values_are_limited() {
        let mut frames = std::vec![[i16::MIN; MELS]; 2];
        frames[1] = [i16::MAX; MELS];
        let mut map = std::vec![0i16; (MELS + 2) * input_stride(2)];
        fill(&frames, Band::Wide, &mut map);
        assert_eq!(&map[input_stride(2)..][..5], &[0, -8191, 8191, 0, 0]);
    }
}
