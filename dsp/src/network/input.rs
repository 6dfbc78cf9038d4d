//! From log mel frames to the network's input map.

use super::head::input_stride;
use crate::features::{Band, LogMel};
use crate::sizes::MELS;

/// Largest distance from the mean that the network sees: 16 nepers (139 dB), Q9. It keeps the first sums in 32 bits.
const LIMIT: i32 = (1 << 13) - 1;

/// Mean of each mel bin of the band over all frames, rounded to the nearest.
#[inline(always)]
pub(super) fn means(frames: &[LogMel]) -> [i32; MELS] {
    let mut sums = [0i32; MELS];
    for frame in frames {
        for (sum, &value) in sums.iter_mut().zip(frame) {
            *sum += i32::from(value);
        }
    }
    let count = frames.len() as i32;
    sums.map(|sum| (2 * sum + count).div_euclid(2 * count))
}

/// Writes the input map `[82][input_stride]` of some frames: one row per mel bin, its mean subtracted, with a border of
/// zeros; bins outside the band are zero.
#[inline(always)]
pub(super) fn fill(frames: &[LogMel], means: &[i32; MELS], band: Band, map: &mut [i16]) {
    let stride = input_stride(frames.len());
    let map = &mut map[..(MELS + 2) * stride];
    map.fill(0);
    let rows = map.chunks_exact_mut(stride).skip(1).take(band.mels());
    for ((bin, row), mean) in rows.enumerate().zip(means) {
        for (frame, value) in frames.iter().zip(&mut row[1..]) {
            *value = (i32::from(frame[bin]) - mean).clamp(-LIMIT, LIMIT) as i16;
        }
    }
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
        fill(&frames, &means(&frames), Band::Narrow, &mut map);
        assert_eq!(&map[stride..2 * stride], &[0, -6, -1, 6, 0, 0]);
        assert!(map[..stride].iter().chain(&map[(1 + NARROW_BINS) * stride..]).all(|&value| value == 0));
        fill(&frames, &means(&frames), Band::Wide, &mut map);
        assert_eq!(&map[MELS * stride..], &[0, -6, -1, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn far_values_are_limited() {
        let mut frames = std::vec![[i16::MIN; MELS]; 2];
        frames[1] = [i16::MAX; MELS];
        let mut map = std::vec![0i16; (MELS + 2) * input_stride(2)];
        fill(&frames, &means(&frames), Band::Wide, &mut map);
        assert_eq!(&map[input_stride(2)..][..5], &[0, -8191, 8191, 0, 0]);
    }
}
