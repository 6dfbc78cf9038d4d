//! Where a stream stands on its own clock: what was lost, where the sender paused, and where keys were pressed.
//!
//! Everything is in units of the stream's RTP clock, which is not the sampling rate for every codec.

/// Clock of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StreamClock {
    /// Units per second, of the last audio packet.
    rate: u32,
    /// Timestamp that follows the last audio heard.
    next: Option<u32>,
    /// Length of the last audio packet.
    packet: u32,
    /// Packets lost since then.
    lost: u32,
    /// Start of the last key press, and how long it has lasted.
    key: Option<(u32, u32)>,
}

/// What is missing in front of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// Lost on the way.
    pub(super) lost: u32,
    /// Never sent: the sender suppresses silence, or sent key presses instead.
    pub(super) pause: u32,
}

impl StreamClock {
    /// Notes packets that were lost before the next one; a new source has a clock of its own.
    pub(super) fn arrive(&mut self, new_source: bool, lost_before: u32) {
        if new_source {
            *self = Self::default();
        }
        self.lost = self.lost.saturating_add(lost_before);
    }

    /// Steps over an audio packet of so many units at `rate` units per second; gives what is missing in front of it. A
    /// codec with another clock tells nothing about the time before (RFC 7160).
    pub(super) fn step(&mut self, timestamp: u32, length: u32, rate: u32) -> Gap {
        if self.rate != rate {
            self.next = None;
        }
        let missing = self.next.map_or(0, |next| timestamp.wrapping_sub(next) as i32);
        // A step back is an overlap or a clock set anew: nothing is missing.
        let missing = u32::try_from(missing).unwrap_or(0);
        let lost = missing.min(self.lost.saturating_mul(self.packet));
        *self =
            Self { rate, next: Some(timestamp.wrapping_add(length)), packet: length, lost: 0, key: self.key };
        Gap { lost, pause: missing - lost }
    }

    /// Notes a key pressed at `timestamp` for `duration` so far; its packets repeat the start.
    pub(super) fn press(&mut self, timestamp: u32, duration: u32) {
        self.key = Some((timestamp, duration));
    }

    /// Units per second; 0 before the first audio.
    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Whether the key was down at `timestamp`.
    pub(super) fn is_pressed(&self, timestamp: u32) -> bool {
        self.key.is_some_and(|(start, duration)| timestamp.wrapping_sub(start) < duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(lost: u32, pause: u32) -> Gap {
        Gap { lost, pause }
    }

    #[test]
    fn another_clock_begins_anew_and_the_same_one_goes_on() {
        let mut clock = StreamClock::default();
        clock.step(0, 160, 8000);
        clock.arrive(false, 1);
        assert_eq!(clock.step(90_000, 960, 48_000), gap(0, 0));
        clock.arrive(false, 2);
        assert_eq!(clock.step(90_000 + 3 * 960, 960, 48_000), gap(1920, 0));
    }

    #[test]
    fn a_sender_whose_clock_drifts_loses_nothing() {
        // 161 units for every 160 that it sends, and 159.
        for pace in [161, 159] {
            let mut clock = StreamClock::default();
            let gaps = (0..1000_u32).map(|packet| clock.step(packet * pace, 160, 8000));
            assert!(gaps.into_iter().all(|gap| gap.lost == 0 && gap.pause <= 1), "{pace}");
        }
    }

    #[test]
    fn packets_of_any_length_follow_on_one_another() {
        let mut clock = StreamClock::default();
        let mut timestamp = 7;
        for length in [80, 480, 160, 240, 80] {
            assert_eq!(clock.step(timestamp, length, 8000), gap(0, 0));
            timestamp += length;
        }
        // A lost packet is taken to be as long as the last one; what else is missing was a pause.
        clock.arrive(false, 1);
        assert_eq!(clock.step(timestamp + 480, 480, 8000), gap(80, 400));
    }

    #[test]
    fn packets_in_a_row_have_no_gap_even_where_the_clock_wraps() {
        let mut clock = StreamClock::default();
        assert_eq!(clock.step(u32::MAX - 99, 160, 8000), gap(0, 0));
        assert_eq!(clock.step(60, 160, 8000), gap(0, 0));
    }

    #[test]
    fn a_loss_and_a_pause_are_told_apart() {
        let mut clock = StreamClock::default();
        clock.step(0, 160, 8000);
        clock.arrive(false, 2);
        assert_eq!(clock.step(480, 160, 8000), gap(320, 0));
        assert_eq!(clock.step(10_000, 160, 8000), gap(0, 9_360));
        clock.arrive(false, 1);
        assert_eq!(clock.step(11_160, 160, 8000), gap(160, 840));
    }

    #[test]
    fn losses_around_packets_without_audio_add_up() {
        let mut clock = StreamClock::default();
        clock.step(0, 160, 8000);
        clock.arrive(false, 1);
        clock.arrive(false, 1);
        assert_eq!(clock.step(1600, 160, 8000), gap(320, 1120));
    }

    #[test]
    fn a_step_back_or_a_new_source_has_no_gap() {
        let mut clock = StreamClock::default();
        clock.step(50_000, 160, 8000);
        clock.arrive(false, 3);
        assert_eq!(clock.step(40_000, 160, 8000), gap(0, 0));
        clock.arrive(true, 0);
        assert_eq!(clock.step(90_000, 160, 8000), gap(0, 0));
    }

    #[test]
    fn a_key_is_down_from_its_start_to_its_duration() {
        let mut clock = StreamClock::default();
        assert!(!clock.is_pressed(0));
        clock.press(u32::MAX - 159, 320);
        assert!(clock.is_pressed(u32::MAX - 159) && clock.is_pressed(159));
        assert!(!clock.is_pressed(160) && !clock.is_pressed(u32::MAX - 160));
        clock.arrive(true, 0);
        assert!(!clock.is_pressed(0));
    }
}
