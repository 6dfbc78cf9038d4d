//! What time it is on a capture device, which tells it by the samples that it gives.

use std::time::{Duration, Instant};

/// A device that gives nothing for this long is of no use.
pub(super) const STALLED: Duration = Duration::from_secs(3);
/// Farthest that audio may run ahead of the clock: a plugin that reads a file gives it as fast as it is taken. As much
/// as the voice engine keeps of a call, so that nothing is overwritten before it was looked at.
const LEAD: Duration = Duration::from_secs(30);

/// Where a device stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    /// Until when audio was heard, by its own count.
    heard_to: Instant,
    /// When the device last gave audio, or was opened.
    last_audio: Instant,
}

impl Timeline {
    /// A device that is opened at `now`.
    pub(super) const fn new(now: Instant) -> Self {
        Self { heard_to: now, last_audio: now }
    }

    /// The device is opened again at `now`; gives how long it gave nothing.
    pub(super) fn reopened(&mut self, now: Instant) -> Duration {
        let gap = now.saturating_duration_since(self.last_audio);
        *self = Self::new(now);
        gap
    }

    /// The device lost audio, for nobody took it; gives how much by `now`: all that it gathered since it was last read.
    pub(super) fn overrun(&mut self, now: Instant) -> Duration {
        let gap = now.saturating_duration_since(self.last_audio);
        self.last_audio = now;
        gap
    }

    /// The device gave audio of this `length` at `now`, after it was `waited` for; gives when the end of it was spoken.
    /// A card gives audio when it was spoken, by a clock of its own; what needs not be waited for is ahead.
    pub(super) fn gave(&mut self, length: Duration, waited: Duration, now: Instant) -> Instant {
        let is_live = waited * 2 >= length;
        self.heard_to = if is_live { now } else { (self.heard_to + length).max(now) };
        self.last_audio = now;
        self.heard_to
    }

    /// Whether the device must not be read at `now`, because it is too far ahead.
    pub(super) fn is_ahead(&self, now: Instant) -> bool {
        self.heard_to.saturating_duration_since(now) > LEAD
    }

    /// Whether the device gave nothing for too long.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_audio) >= STALLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Duration = Duration::from_millis(100);

    #[test]
    fn a_card_is_never_ahead_however_its_clock_drifts() {
        let mut now = Instant::now();
        let mut timeline = Timeline::new(now);
        // A day of a card that is fast by one in a thousand.
        let wait = BLOCK - Duration::from_micros(100);
        for _ in 0..864_000 {
            now += wait;
            assert_eq!(timeline.gave(BLOCK, wait, now), now);
        }
        assert!(!timeline.is_ahead(now));
    }

    #[test]
    fn what_needs_not_be_waited_for_runs_ahead_until_it_must_not() {
        let now = Instant::now();
        let mut timeline = Timeline::new(now);
        let blocks = (1_u32..).find(|block| {
            assert_eq!(timeline.gave(BLOCK, Duration::ZERO, now), now + *block * BLOCK);
            timeline.is_ahead(now)
        });
        assert_eq!(blocks, Some(301));
        assert!(!timeline.is_ahead(now + BLOCK));
    }

    #[test]
    fn gaps_last_from_the_last_audio_on() {
        let start = Instant::now();
        let at = |blocks: u32| start + blocks * BLOCK;
        let mut timeline = Timeline::new(start);
        timeline.gave(BLOCK, BLOCK, at(1));
        assert_eq!(timeline.overrun(at(21)), 20 * BLOCK);
        assert_eq!(timeline.overrun(at(25)), 4 * BLOCK, "what an overrun cost is counted once");
        assert!(!timeline.is_stalled(at(54)) && timeline.is_stalled(at(55)));
        assert_eq!(timeline.reopened(at(65)), 40 * BLOCK);
        assert!(!timeline.is_stalled(at(66)));
    }
}
