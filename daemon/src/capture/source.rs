//! What a capture device is to everybody else: opened, read and closed. Behind it is ALSA, or a script in tests.

use std::fmt;
use std::time::Duration;

/// Longest that [`Source::read`] waits for audio.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// A capture device.
pub(super) trait Source {
    /// Opens and starts the device; gives the samples per second at which it runs.
    ///
    /// # Errors
    /// [`DeviceFault`] says what is wrong with it.
    fn open(&mut self) -> Result<u32, DeviceFault>;

    /// Waits at most [`PATIENCE`] for audio and reads samples of the caller's channel into `pcm`. An overrun has been
    /// recovered from when it is reported.
    ///
    /// # Errors
    /// [`DeviceFault`] says why the device is of no use any more: it was unplugged, mostly.
    fn read(&mut self, pcm: &mut [i16]) -> Result<Reading, DeviceFault>;

    /// Closes the device, if it is open.
    fn close(&mut self);
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// So many samples.
    Samples(usize),
    /// Nothing yet.
    Nothing,
    /// Audio was lost, for nobody took it in time.
    Overrun,
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceFault(String);

impl DeviceFault {
    /// A fault in words that follow on the name of the device.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
