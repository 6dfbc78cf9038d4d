//! Noise floor of each sub-band, by minimum statistics (after R. Martin, 2001).
//!
//! The smoothed log energy of a sub-band falls to the noise between syllables, so its minimum over
//! two seconds is the noise, whatever the level of the speech. Digital silence, which speech coders
//! and prompts put between phrases, counts as the lowest noise there is.

use super::{MAX_SUBBANDS, Subbands};

/// Frames of a block whose minimum is kept.
const BLOCK: u8 = 20;
/// Blocks over which the minimum is taken: 1.6 s with the running one.
const BLOCKS: usize = 7;
/// Average distance of noise from the minimum of its smoothed energy, Q9: 0.9 neper.
const BIAS_Q9: i16 = 460;
/// Lowest floor, Q9: 7 nepers, below the noise of a silent mu-law line (-72 dB). What lies below
/// is nobody speaking.
const LOWEST_Q9: i16 = 7 * 512;
/// Most that one sub-band adds to the distance, Q9: 6 nepers, 26 dB.
const MOST_Q9: i16 = 6 * 512;
/// Before anything was heard: whatever a stream begins with is noise until it falls or rises.
const UNHEARD: i16 = i16::MAX;

#[derive(Clone, Debug)]
pub(super) struct NoiseFloor {
    smoothed: Subbands,
    /// Minima of the last blocks, ring.
    minima: [Subbands; BLOCKS],
    /// Minimum of the running block.
    running: Subbands,
    /// Block that the running one will replace.
    oldest: u8,
    /// Frames in the running block.
    frames: u8,
    /// The floor.
    floor: Subbands,
}

impl NoiseFloor {
    pub(super) const fn new() -> Self {
        Self {
            smoothed: [UNHEARD; MAX_SUBBANDS],
            minima: [[UNHEARD; MAX_SUBBANDS]; BLOCKS],
            running: [UNHEARD; MAX_SUBBANDS],
            oldest: 0,
            frames: 0,
            floor: [UNHEARD; MAX_SUBBANDS],
        }
    }

    /// Distance of the frame from the floor, Q9; the frame is learnt.
    ///
    /// This is the average over the sub-bands and a quarter of the largest: nasals and voiced stops fill one
    /// sub-band only.
    pub(super) fn hear(&mut self, subbands: &[i16]) -> i16 {
        let (mut sum, mut most) = (0, 0);
        for (band, level) in subbands.iter().enumerate() {
            let level = (*level).max(LOWEST_Q9);
            let smoothed = &mut self.smoothed[band];
            *smoothed = if *smoothed == UNHEARD { level } else { *smoothed + (level - *smoothed) / 4 };
            self.running[band] = self.running[band].min(*smoothed);
            self.floor[band] = self.floor[band].min(*smoothed);
            let distance = (level - self.floor[band] - BIAS_Q9).clamp(0, MOST_Q9);
            sum += i32::from(distance);
            most = most.max(distance);
        }
        self.frames += 1;
        if self.frames == BLOCK {
            self.end_block();
        }
        (sum / subbands.len() as i32) as i16 + most / 4
    }

    fn end_block(&mut self) {
        self.minima[usize::from(self.oldest)] = self.running;
        self.oldest = (self.oldest + 1) % BLOCKS as u8;
        self.running = [UNHEARD; MAX_SUBBANDS];
        self.frames = 0;
        for band in 0..MAX_SUBBANDS {
            // There is always at least one block.
            self.floor[band] = self.minima.iter().map(|block| block[band]).min().unwrap_or(UNHEARD);
        }
    }
}
