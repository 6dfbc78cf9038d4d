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
        let slots = self.frames.as_mut();
        let length = slots.len() as u64;
        if let Some(place) = self.total.checked_rem(length) {
            slots[place as usize] = *frame;
        }
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
        if first < oldest || first.saturating_add(out.len() as u64) > self.total {
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
    use crate::sizes::MELS;

    fn frame(value: u64) -> LogMel {
        [value as i16; MELS]
    }

    fn ring_of(pushed: u64) -> SpeechRing<[LogMel; 5]> {
        let mut ring = SpeechRing::new([[0; MELS]; 5]);
        (0..pushed).for_each(|value| ring.push(&frame(value)));
        ring
    }

    #[test]
    fn every_window_that_is_still_there_is_copied_and_no_other() {
        for pushed in 0..12 {
            let ring = ring_of(pushed);
            assert_eq!(ring.total(), pushed);
            for first in 0..12 {
                for length in 0..6_usize {
                    let mut out = [[-1; MELS]; 6];
                    let there = first >= pushed.saturating_sub(5) && first + length as u64 <= pushed;
                    assert_eq!(ring.copy_window(first, &mut out[..length]), there);
                    let expected = |index: u64| if there { frame(index) } else { [-1; MELS] };
                    assert!((first..).zip(&out[..length]).all(|(index, copied)| *copied == expected(index)));
                }
            }
        }
    }

    #[test]
    fn a_cleared_ring_counts_from_zero() {
        let mut ring = ring_of(9);
        ring.clear();
        assert_eq!(ring.frames, [[0; MELS]; 5], "what was said is wiped");
        assert!(!ring.copy_window(4, &mut [frame(0)]));
        ring.push(&frame(7));
        let mut out = [frame(0)];
        assert!(ring.copy_window(0, &mut out));
        assert_eq!(out, [frame(7)]);
    }

    #[test]
    fn a_ring_without_room_keeps_nothing() {
        let mut ring = SpeechRing::new([[0; MELS]; 0]);
        ring.push(&frame(1));
        assert!(!ring.copy_window(0, &mut [frame(0)]));
    }
}
