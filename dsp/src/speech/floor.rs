//! Noise floor of each sub-band, by minimum statistics (after R. Martin, 2001).
//!
//! The smoothed log energy of a sub-band falls to the noise between syllables, so its minimum over
//! a second and a half is the noise, whatever the level of the speech. Digital silence, which
//! speech coders and prompts put between phrases, says nothing about the noise and is not learnt.

use super::{MAX_SUBBANDS, Subbands};

/// Frames of a block whose minimum is kept.
const BLOCK: u8 = 20;
/// Blocks over which the minimum is taken: 1.6 s with the running one.
const BLOCKS: usize = 7;
/// Average distance of noise from the minimum of its smoothed energy, Q9: 0.9 neper.
const BIAS_Q9: i16 = 460;
/// Lowest floor, Q9: 9 nepers, about the noise of a silent mu-law line (-72 dB). What lies below
/// is nobody speaking.
const LOWEST_Q9: i16 = 9 * 512;
/// Most that one sub-band adds to the distance, Q9: 6 nepers, 26 dB.
const MOST_Q9: i16 = 6 * 512;

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
            smoothed: [LOWEST_Q9; MAX_SUBBANDS],
            minima: [[LOWEST_Q9; MAX_SUBBANDS]; BLOCKS],
            running: [i16::MAX; MAX_SUBBANDS],
            oldest: 0,
            frames: 0,
            floor: [LOWEST_Q9; MAX_SUBBANDS],
        }
    }

    /// Average distance of the frame from the floor, Q9; the frame is learnt.
    pub(super) fn hear(&mut self, subbands: &[i16]) -> i16 {
        if subbands.iter().all(|level| *level < LOWEST_Q9) {
            return 0;
        }
        let mut distance = 0;
        for (band, level) in subbands.iter().enumerate() {
            let level = (*level).max(LOWEST_Q9);
            let smoothed = &mut self.smoothed[band];
            *smoothed += (level - *smoothed) / 4;
            self.running[band] = self.running[band].min(*smoothed);
            self.floor[band] = self.floor[band].min(*smoothed);
            distance += i32::from((level - self.floor[band] - BIAS_Q9).clamp(0, MOST_Q9));
        }
        self.frames += 1;
        if self.frames == BLOCK {
            self.end_block();
        }
        (distance / subbands.len() as i32) as i16
    }

    fn end_block(&mut self) {
        self.minima[usize::from(self.oldest)] = self.running;
        self.oldest = (self.oldest + 1) % BLOCKS as u8;
        self.running = [i16::MAX; MAX_SUBBANDS];
        self.frames = 0;
        for band in 0..MAX_SUBBANDS {
            // There is always at least one block.
            self.floor[band] = self.minima.iter().map(|block| block[band]).min().unwrap_or(LOWEST_Q9);
        }
    }

    /// Forgets everything but the last block.
    pub(super) fn raise_to_recent(&mut self) {
        let newest = (usize::from(self.oldest) + BLOCKS - 1) % BLOCKS;
        for band in 0..MAX_SUBBANDS {
            let recent = self.minima[newest][band].min(self.running[band]);
            self.floor[band] = recent;
            self.minima.iter_mut().for_each(|block| block[band] = recent);
        }
    }
}
