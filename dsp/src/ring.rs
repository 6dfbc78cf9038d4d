//! Holds the newest speech frames of a call.

use crate::features::LogMel;
use crate::sizes::MELS;

/// Ring of speech frames over memory that the caller owns.
#[derive(Debug)]
pub struct SpeechRing<S> {
    frames: S,
    total: u64,
}

impl<S: AsRef<[LogMel]> + AsMut<[LogMel]>> SpeechRing<S> {
    /// An empty ring over `frames`.
    pub fn new(frames: S) -> Self {
        Self { frames, total: 0 }
    }

    /// Adds a frame, over the oldest one when full.
    pub fn push(&mut self, frame: &LogMel) {
        let length = self.frames.as_ref().len() as u64;
        self.frames.as_mut()[(self.total % length) as usize] = *frame;
        self.total += 1;
    }

    /// Frames ever pushed; net speech is this many times 10 ms.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Copies frames `first..first + out.len()` (counted from the first ever pushed) into `out`.
    /// False, and nothing copied, when some are not there yet or already overwritten.
    pub fn copy_window(&self, first: u64, out: &mut [LogMel]) -> bool {
        let frames = self.frames.as_ref();
        let oldest = self.total.saturating_sub(frames.len() as u64);
        if first < oldest || first + out.len() as u64 > self.total {
            return false;
        }
        for (index, slot) in (first..).zip(out.iter_mut()) {
            *slot = frames[(index % frames.len() as u64) as usize];
        }
        true
    }

    /// Forgets everything and wipes the frames: they are somebody's voice.
    pub fn clear(&mut self) {
        let frames = self.frames.as_mut();
        let used = self.total.min(frames.len() as u64) as usize;
        frames[..used].fill([0; MELS]);
        self.total = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_frames_are_held_and_clearing_wipes_them() {
        let mut memory = [[0; MELS]; 4];
        let mut ring = SpeechRing::new(&mut memory[..]);
        for number in 1..=6 {
            ring.push(&[number; MELS]);
        }
        let mut window = [[0; MELS]; 2];
        assert!(!ring.copy_window(1, &mut window) && !ring.copy_window(5, &mut window));
        assert!(ring.copy_window(2, &mut window));
        assert_eq!((window[0][0], window[1][0], ring.total()), (3, 4, 6));
        ring.clear();
        assert_eq!((ring.total(), ring.copy_window(0, &mut window)), (0, false));
        assert_eq!(memory, [[0; MELS]; 4]);
    }
}
