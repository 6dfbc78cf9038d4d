//! From the rate of the card to that of the band.

use crate::audio::Resampler;
use vouch_dsp::features::Band;

/// Lowest rate of wideband audio, in Hz.
const WIDE_FROM: u32 = Band::Wide.sample_rate() as u32;

/// The band of a device of which `asked` samples per second are wanted, and that gives `rate`.
pub(super) const fn band(asked: u32, rate: u32) -> Band {
    if asked >= WIDE_FROM && rate >= WIDE_FROM { Band::Wide } else { Band::Narrow }
}

/// Converts what a device gives; all its memory is taken at the beginning.
#[derive(Debug)]
pub(super) struct Converter {
    band: Band,
    /// Where the rates differ.
    resampler: Option<Resampler>,
    made: Vec<i16>,
}

impl Converter {
    /// A converter to `band` for a device that gives `rate` samples per second, at most `block` at once.
    pub(super) fn new(rate: u32, band: Band, block: usize) -> Self {
        let to = band.sample_rate() as u32;
        let most = (block as u64 * u64::from(to)).div_ceil(u64::from(rate)) as usize + 1;
        let resampler = (rate != to).then(|| Resampler::new(rate, to));
        let made = Vec::with_capacity(if resampler.is_some() { most } else { 0 });
        Self { band, resampler, made }
    }

    /// The band that it converts to.
    pub(super) const fn band(&self) -> Band {
        self.band
    }

    /// The samples at the rate of the band.
    pub(super) fn convert<'a>(&'a mut self, pcm: &'a [i16]) -> &'a [i16] {
        let Self { resampler: Some(resampler), made, .. } = self else { return pcm };
        made.clear();
        resampler.push(pcm, &mut |sample| made.push(sample));
        made
    }

    /// What comes next follows on nothing.
    pub(super) fn reset(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wideband_takes_a_wish_for_it_and_a_card_that_can() {
        assert_eq!(band(8_000, 48_000), Band::Narrow);
        assert_eq!(band(16_000, 8_000), Band::Narrow);
        assert_eq!((band(16_000, 16_000), band(44_100, 44_100)), (Band::Wide, Band::Wide));
    }

    #[test]
    fn every_rate_comes_out_at_that_of_the_band_without_growing() {
        for (rate, band) in
            [(8_000, Band::Narrow), (48_000, Band::Narrow), (44_100, Band::Wide), (16_000, Band::Wide)]
        {
            let block = rate as usize / 10;
            let mut converter = Converter::new(rate, band, block);
            let room = converter.made.capacity();
            let made: usize = (0..10).map(|_| converter.convert(&vec![1000; block]).len()).sum();
            assert!(made <= band.sample_rate() && made + 200 >= band.sample_rate(), "{rate}: {made}");
            assert_eq!(converter.made.capacity(), room, "{rate}");
        }
    }
}
