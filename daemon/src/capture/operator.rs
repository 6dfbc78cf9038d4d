//! One capture device at work: what the [`Station`] wants done is done, audio goes on to the calls.
//!
//! An operator is stepped by the thread of its device, and told what people want. It waits nowhere but in the device.

use super::board::Board;
use super::calls::Calls;
use super::converter::{Converter, band};
use super::source::{DeviceFault, Reading, Source};
use super::station::{CallEnd, Station, Task};
use super::timeline::{STALLED, Timeline};
use super::trigger::Trigger;
use crate::ask::AskError;
use crate::clock::Clock;
use crate::config::Alsa;
use crate::engine::Capture;
use crate::pii::SpeakerId;
use crate::view::CaptureState;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vouch_dsp::features::Band;

/// Rest of a device that is ahead.
const BREATH: Duration = Duration::from_millis(100);
/// How often a call is looked at: whether it goes on, and whether somebody speaks.
const LOOK: Duration = Duration::from_secs(1);
/// Pause before another call is tried to begin by itself when one was refused.
const REFUSED: Duration = Duration::from_secs(5);
/// Overruns that follow on one another within this are one burst, which is logged once.
const BURST: Duration = Duration::from_secs(10);

/// One device at work.
#[derive(Debug)]
pub(super) struct Operator<S, C> {
    settings: Alsa,
    source: S,
    calls: C,
    station: Station,
    board: Arc<Board>,
    clock: Clock,
    trigger: Trigger,
    converter: Converter,
    /// Where the source's samples are put.
    pcm: Box<[i16]>,
    /// Rate at which the device runs.
    rate: u32,
    timeline: Timeline,
    /// Time lost since the last audio of the call.
    lost: Duration,
    /// Audio of the call since it was last looked at, and when that was.
    fresh: Duration,
    looked: Instant,
    /// When a call may begin by itself again.
    not_before: Instant,
    last_overrun: Option<Instant>,
}

impl<S: Source, C: Calls> Operator<S, C> {
    /// An operator of a device that nobody has tried yet.
    pub(super) fn new(
        settings: Alsa,
        (source, calls): (S, C),
        station: Station,
        board: Arc<Board>,
        clock: Clock,
    ) -> Self {
        let now = clock.instant();
        board.show(|view| view.state = station.state());
        Self {
            settings,
            source,
            calls,
            station,
            board,
            clock,
            trigger: Trigger::new(),
            converter: Converter::new(8000, Band::Narrow, 0),
            pcm: Box::default(),
            rate: 0,
            timeline: Timeline::new(now),
            lost: Duration::ZERO,
            fresh: Duration::ZERO,
            looked: now,
            not_before: now,
            last_overrun: None,
        }
    }

    /// Does what is to be done next; gives how long there is nothing more to do.
    pub(super) fn step(&mut self) -> Duration {
        self.look_after_call();
        if self.station.is_automatic() && !self.station.is_in_call() {
            self.station.set_may_listen(self.calls.may_listen());
        }
        let rest = match self.station.task(self.clock.instant()) {
            Task::Rest(rest) => rest,
            Task::Open => self.open(),
            Task::Read => self.read(),
            Task::Close => {
                self.close();
                self.station.closed();
                Duration::ZERO
            }
        };
        self.show();
        rest
    }

    fn open(&mut self) -> Duration {
        self.board.count(|counts| counts.opened += 1);
        self.board.busy(true);
        let opened = self.source.open();
        self.board.busy(false);
        match opened {
            Ok(rate) => self.opened(rate),
            Err(fault) => {
                self.board.count(|counts| counts.open_failures += 1);
                self.fail(fault);
            }
        }
        Duration::ZERO
    }

    fn opened(&mut self, rate: u32) {
        if rate != self.rate {
            let block = rate as usize / 10;
            self.converter = Converter::new(rate, band(self.settings.rate, rate), block);
            self.pcm = vec![0; block].into_boxed_slice();
            self.rate = rate;
        }
        self.converter.reset();
        self.trigger.reset(self.converter.band());
        let gap = self.timeline.reopened(self.clock.instant());
        self.lose(gap);
        if self.station.fault().is_some() {
            tracing::info!(device = self.settings.name, rate, "the capture device is back");
        }
        self.station.opened();
    }

    fn close(&mut self) {
        self.source.close();
        self.pcm.fill(0);
        self.converter.reset();
        self.trigger.reset(self.converter.band());
    }

    fn fail(&mut self, fault: DeviceFault) {
        let (name, pcm) = (&self.settings.name, &self.settings.device);
        let text = fault.to_string();
        if self.station.failed(fault, self.clock.instant()) {
            tracing::warn!(device = name, pcm, "the capture device cannot be used: {text}");
        }
    }

    fn read(&mut self) -> Duration {
        let before = self.clock.instant();
        if self.timeline.is_ahead(before) {
            return BREATH;
        }
        self.board.busy(true);
        let read = self.source.read(&mut self.pcm);
        self.board.busy(false);
        let now = self.clock.instant();
        match read {
            Ok(Reading::Samples(samples)) => self.take(samples, now.saturating_duration_since(before)),
            Ok(Reading::Overrun) => self.overrun(now),
            Ok(Reading::Nothing) if !self.timeline.is_stalled(now) => {}
            Ok(Reading::Nothing) => {
                self.lost_device(DeviceFault::new(format!("gave no audio for {} s", STALLED.as_secs())));
            }
            Err(fault) => self.lost_device(fault),
        }
        Duration::ZERO
    }

    fn lost_device(&mut self, fault: DeviceFault) {
        self.board.count(|counts| counts.unplugged += 1);
        self.close();
        self.fail(fault);
    }

    fn overrun(&mut self, now: Instant) {
        let is_new = self.last_overrun.is_none_or(|last| now.saturating_duration_since(last) > BURST);
        self.last_overrun = Some(now);
        self.board.show(|view| view.overruns += 1);
        if is_new {
            tracing::warn!(device = self.settings.name, "audio was lost, for vouchd was late (overrun)");
        }
        let gap = self.timeline.overrun(now);
        self.lose(gap);
    }

    /// Takes the first `samples` of the buffer, for which the device was `waited` for.
    fn take(&mut self, samples: usize, waited: Duration) {
        let now = self.clock.instant();
        self.station.works();
        let length = Duration::from_secs_f64(samples as f64 / f64::from(self.rate));
        let at = self.timeline.gave(length, waited, now);
        self.board.count(|counts| counts.heard += length);
        let pcm = self.converter.convert(&self.pcm[..samples]);
        if self.station.is_in_call() {
            let band = band(self.settings.rate, self.rate);
            let lost = samples_of(std::mem::take(&mut self.lost), band);
            self.calls.hear(&Capture { pcm, band, lost, at });
            self.fresh += length;
        } else if now >= self.not_before && self.trigger.hear(pcm) {
            self.begin_by_itself(now, at);
        }
    }

    /// Begins a call with what was heard until `at`.
    fn begin_by_itself(&mut self, now: Instant, at: Instant) {
        match self.begin(None, true) {
            Ok(()) => {
                let band = self.converter.band();
                for pcm in self.trigger.kept() {
                    self.calls.hear(&Capture { pcm, band, lost: 0, at });
                }
            }
            Err(error) => {
                tracing::warn!(device = self.settings.name, "no call could begin by itself: {error}");
                self.not_before = now + REFUSED;
            }
        }
        self.trigger.reset(self.converter.band());
    }

    fn begin(&mut self, speaker: Option<SpeakerId>, automatic: bool) -> Result<(), AskError> {
        let call = self.calls.begin(speaker)?;
        self.station.began(automatic);
        (self.lost, self.fresh, self.looked) = (Duration::ZERO, Duration::ZERO, self.clock.instant());
        self.board.show(|view| view.call = Some(call));
        Ok(())
    }

    /// Notes that audio was lost, which matters to a call alone.
    fn lose(&mut self, time: Duration) {
        if !self.station.is_in_call() {
            return;
        }
        self.lost += time;
        self.board.show(|view| view.lost_ms += u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// Ends the call when it is time, once a second of audio, or of the clock where there is none.
    fn look_after_call(&mut self) {
        let now = self.clock.instant();
        let due = self.fresh >= LOOK || now.saturating_duration_since(self.looked) >= LOOK;
        if !self.station.is_in_call() || !due {
            return;
        }
        self.looked = now;
        let audio = std::mem::take(&mut self.fresh);
        let Some(look) = self.calls.look() else { return self.ended() };
        if !look.analysed {
            self.station.set_may_listen(self.calls.may_listen());
        }
        let silent = self.station.progressed(look.speech, look.analysed, audio);
        if let Some(end) = silent.or(self.station.waited(now)) {
            self.end(end == CallEnd::DeviceGone);
        }
    }

    fn end(&mut self, gone: bool) {
        if gone {
            tracing::warn!(device = self.settings.name, "the capture device stays away: its call is over");
        }
        self.calls.end(gone);
        self.ended();
    }

    fn ended(&mut self) {
        self.station.ended();
        self.trigger.reset(self.converter.band());
        self.board.show(|view| view.call = None);
    }

    /// Puts up what the device does.
    fn show(&self) {
        let (state, fault) = (self.station.state(), self.station.fault());
        let rate = self.station.is_open().then_some(self.rate);
        self.board.show(|view| {
            view.rate_hz = rate;
            if view.state != state || state == CaptureState::Absent {
                view.state = state;
                view.fault = fault.map(ToString::to_string);
            }
        });
    }
}

/// Samples of the band in so much time.
fn samples_of(time: Duration, band: Band) -> u32 {
    u32::try_from(time.as_millis() * band.sample_rate() as u128 / 1000).unwrap_or(u32::MAX)
}

mod requests;
#[cfg(test)]
mod tests;
