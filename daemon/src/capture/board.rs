//! What is known of a capture device, for everybody who asks: they never wait for the device.

use crate::config::Alsa;
use crate::view::{CaptureState, CaptureView};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A device that keeps its thread waiting for this long does not answer.
const STUCK: Duration = Duration::from_secs(5);

/// What a device counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Attempts to open it.
    pub opened: u64,
    /// Those that failed.
    pub open_failures: u64,
    /// Times that it failed while open.
    pub unplugged: u64,
    /// Times that audio was lost because vouchd was late.
    pub overruns: u64,
    /// Audio of calls lost by that, or while the device was away.
    pub lost: Duration,
    /// Audio that it gave.
    pub heard: Duration,
}

impl CaptureCounts {
    /// Adds the figures of `other`.
    pub fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.open_failures += other.open_failures;
        self.unplugged += other.unplugged;
        self.overruns += other.overruns;
        self.lost += other.lost;
        self.heard += other.heard;
    }
}

/// The board of one device.
#[derive(Debug)]
pub(super) struct Board(Mutex<Posted>);

#[derive(Debug)]
struct Posted {
    view: CaptureView,
    counts: CaptureCounts,
    /// Since when its thread waits in the device.
    busy_since: Option<Instant>,
}

impl Board {
    pub(super) fn new(settings: &Alsa) -> Self {
        let view = CaptureView {
            name: settings.name.clone(),
            device: settings.device.clone(),
            channel: settings.channel,
            auto_start: settings.auto_start,
            ..CaptureView::default()
        };
        Self(Mutex::new(Posted { view, counts: CaptureCounts::default(), busy_since: None }))
    }

    /// Changes what is shown.
    pub(super) fn show(&self, change: impl FnOnce(&mut CaptureView)) {
        change(&mut self.lock().view);
    }

    /// Counts something.
    pub(super) fn count(&self, change: impl FnOnce(&mut CaptureCounts)) {
        change(&mut self.lock().counts);
    }

    /// Notes that the thread begins or ends to wait in the device.
    pub(super) fn busy(&self, busy: bool) {
        self.lock().busy_since = busy.then(Instant::now);
    }

    /// The device as it is, or as it is not, where its thread waits in it for too long.
    pub(super) fn view(&self) -> CaptureView {
        let posted = self.lock();
        let mut view = posted.view.clone();
        if let Some(waits) = posted.busy_since.map(|since| since.elapsed()).filter(|waits| *waits > STUCK) {
            view.state = CaptureState::Absent;
            view.fault = Some(format!("has not answered for {} s", waits.as_secs()));
        }
        view
    }

    /// What it counted.
    pub(super) fn counts(&self) -> CaptureCounts {
        let posted = self.lock();
        let lost = Duration::from_millis(posted.view.lost_ms);
        CaptureCounts { overruns: posted.view.overruns, lost, ..posted.counts }
    }

    fn lock(&self) -> MutexGuard<'_, Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
