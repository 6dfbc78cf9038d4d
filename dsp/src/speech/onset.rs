//! Holds back what stands out of the noise until it has shown that it is speech.
//!
//! The level of speech swings by 10 dB and more within a third of a second, that of steady noise does
//! not. So frames wait in a queue until their level has moved enough; then they all count, and the
//! frames after them count at once until the sound ends. Nothing is lost by waiting but time.

use super::{Judgement, Sound};

/// Frames that wait at most: 320 ms.
pub(crate) const WAITING: usize = 32;
/// First frames of a sound, which its beginning alone makes move.
const EDGE: usize = 3;
/// Frames after the edge that are needed for a decision.
const ENOUGH: usize = 8;
/// Standard deviation of the level, Q9, that only speech reaches: 0.4 neper, 1.7 dB.
const MOVES_Q9: i32 = 205;
/// Frames that still count after the sound sank into the noise: 60 ms, for weak ends of words.
const HANGOVER: u8 = 6;
/// Frames without foreground after which a waiting sound has ended.
const GAP: u8 = 4;

/// Frames of tone that end speech.
const TONE_ENDS: u8 = 4;

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A pause.
    Pause,
    /// Perhaps speech: keep it after those that wait, at most [`WAITING`] in all.
    Wait,
    /// Not speech, nor were those that wait.
    Drop,
    /// Steady: neither this one nor those that wait are speech, they are the noise.
    Noise,
    /// Speech, and so are those that wait.
    Count,
}

#[derive(Clone, Debug)]
pub(crate) struct Onset {
    levels: [i16; WAITING],
    waiting: u8,
    talking: bool,
    /// Frames since the last one in the foreground.
    quiet: u8,
}

impl Onset {
    pub(crate) const fn new() -> Self {
        Self { levels: [0; WAITING], waiting: 0, talking: false, quiet: 0 }
    }

    pub(crate) fn next(&mut self, judged: Judgement) -> Step {
        self.quiet = if judged.sound == Sound::Foreground { 0 } else { self.quiet.saturating_add(1) };
        match (self.talking, judged.sound) {
            (_, Sound::Tone) => {
                self.talking &= self.quiet < TONE_ENDS;
                self.end()
            }
            (true, _) if self.quiet <= HANGOVER => Step::Count,
            (true, _) => {
                self.talking = false;
                Step::Pause
            }
            (false, Sound::Background) if self.waiting == 0 => Step::Pause,
            (false, Sound::Background) if self.quiet > GAP => self.end(),
            (false, _) => self.wait(judged.level_q9),
        }
    }

    fn end(&mut self) -> Step {
        self.waiting = 0;
        Step::Drop
    }

    fn wait(&mut self, level_q9: i16) -> Step {
        let waiting = usize::from(self.waiting);
        if waiting == WAITING {
            self.waiting = 0;
            return Step::Noise;
        }
        self.levels[waiting] = level_q9;
        self.waiting += 1;
        if waiting + 1 >= EDGE + ENOUGH && moves(&self.levels[EDGE..=waiting]) {
            self.waiting = 0;
            self.talking = true;
            return Step::Count;
        }
        Step::Wait
    }
}

/// Whether levels deviate from their mean as those of speech do.
fn moves(levels: &[i16]) -> bool {
    let count = levels.len() as i32;
    let mean = levels.iter().map(|level| i32::from(*level)).sum::<i32>() / count;
    let squares: i32 = levels.iter().map(|level| (i32::from(*level) - mean).pow(2) / 16).sum();
    squares / count >= MOVES_Q9 * MOVES_Q9 / 16
}
