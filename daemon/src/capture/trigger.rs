//! When somebody begins to speak on a device that nobody started: the detector of the calls, and the newest two seconds,
//! with which the call then begins.

use vouch_dsp::features::Band;
use vouch_dsp::listener::{Listener, Origin};

/// Frames of speech that are somebody speaking, and no cough: 300 ms.
const ENOUGH: u32 = 30;
/// Pause after which earlier speech counts no more, in ms.
const FORGETS_MS: usize = 1000;
/// Audio kept for the beginning of the call, in ms: the speech that was enough, the time until it was judged, and some.
const KEPT_MS: usize = 2000;

/// Waits for speech.
#[derive(Debug)]
pub(super) struct Trigger {
    band: Band,
    listener: Listener,
    /// The newest audio, a ring.
    kept: Box<[i16]>,
    /// Samples taken since the beginning; the next one goes to this place of the ring.
    taken: usize,
    /// Frames of speech.
    speech: u32,
    /// Samples since the last one.
    quiet: usize,
}

impl Trigger {
    /// A trigger that heard nothing; all its memory is taken here.
    pub(super) fn new() -> Self {
        let kept = vec![0; KEPT_MS * Band::Wide.sample_rate() / 1000].into_boxed_slice();
        let listener = Listener::new(Band::Narrow);
        Self { band: Band::Narrow, listener, kept, taken: 0, speech: 0, quiet: 0 }
    }

    /// Forgets and wipes what was heard; what comes next is audio of `band`.
    pub(super) fn reset(&mut self, band: Band) {
        if self.taken > 0 || band != self.band {
            self.listener.restart(band);
            self.kept.fill(0);
        }
        (self.band, self.taken, self.speech, self.quiet) = (band, 0, 0, 0);
    }

    /// Takes audio; whether somebody speaks by now.
    pub(super) fn hear(&mut self, pcm: &[i16]) -> bool {
        let room = self.room();
        for sample in pcm {
            self.kept[self.taken % room] = *sample;
            self.taken += 1;
        }
        let mut frames = 0;
        self.listener.hear(pcm, Origin::Heard, |_| frames += 1);
        self.quiet = if frames > 0 { 0 } else { self.quiet + pcm.len() };
        if self.quiet > self.samples(FORGETS_MS) {
            self.speech = 0;
        }
        self.speech += frames;
        self.speech >= ENOUGH
    }

    /// The newest audio, oldest part first.
    pub(super) fn kept(&self) -> [&[i16]; 2] {
        let room = self.room();
        match self.taken.checked_sub(room) {
            None => [&self.kept[..self.taken], &[]],
            Some(oldest) => {
                let (newer, older) = self.kept[..room].split_at(oldest % room);
                [older, newer]
            }
        }
    }

    fn room(&self) -> usize {
        self.samples(KEPT_MS)
    }

    fn samples(&self, ms: usize) -> usize {
        ms * self.band.sample_rate() / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Recording;
    use std::path::Path;

    /// Talk of Debian's telephone prompts at 8 kHz, or `None`, with a line, where they are not installed.
    fn talk() -> Option<Vec<i16>> {
        let file = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison/demo-congrats.wav");
        let read = Recording::read(file).ok();
        if read.is_none() {
            eprintln!("skipped: {} is not there; `make setup` installs it", file.display());
        }
        Some(read?.pcm_at(Band::Narrow))
    }

    fn fires_at(trigger: &mut Trigger, pcm: &[i16]) -> Option<usize> {
        pcm.chunks(160).position(|block| trigger.hear(block))
    }

    #[test]
    fn silence_noise_and_tones_start_nothing() {
        let mut trigger = Trigger::new();
        let mut dice = 1_u32;
        let noise = |_| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 20) as i16 - 2048
        };
        let noise: Vec<i16> = (0..80_000).map(noise).collect();
        let tone: Vec<i16> = (0..80_000).map(|n| (8000.0 * (f64::from(n) * 0.345).sin()) as i16).collect();
        for pcm in [&vec![0; 80_000], &noise, &tone] {
            trigger.reset(Band::Narrow);
            assert_eq!(fires_at(&mut trigger, pcm), None);
        }
    }

    #[test]
    fn speech_starts_a_call_within_a_second_or_so_and_its_beginning_is_kept() {
        let Some(talk) = talk() else { return };
        let mut trigger = Trigger::new();
        let silent = vec![0; 40_000];
        assert_eq!(fires_at(&mut trigger, &silent), None);
        let at = fires_at(&mut trigger, &talk).expect("somebody speaks");
        assert!(at < 100, "after {} ms", at * 20);
        let heard = [&silent[..], &talk[..(at + 1) * 160]].concat();
        assert_eq!(trigger.kept().concat(), heard[heard.len() - 16_000..]);
        trigger.reset(Band::Wide);
        assert!(trigger.kept().concat().is_empty() && trigger.kept.iter().all(|sample| *sample == 0));
    }
}
