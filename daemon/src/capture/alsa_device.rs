//! ALSA, behind the one module that knows alsa-lib.

use super::source::{DeviceFault, PATIENCE, Reading, Source};
use alsa::pcm::{Access, Format, HwParams, PCM, State};
use alsa::{Direction, Output, ValueOr};
use std::ffi::CString;
use std::fmt;
use std::io;
use std::thread::sleep;
use std::time::Duration;

/// Errors of Linux by which alsa-lib says what happened (errno(3)).
mod errno {
    pub(super) use nix::libc::{EACCES, EAGAIN, EBUSY, ENODEV, ENOENT, EPERM, EPIPE, ESTRPIPE};
}

/// Audio that the card gathers before it wakes us, in microseconds.
const PERIOD_US: u32 = 40_000;
/// Audio that the card's buffer holds, in microseconds: as long as that vouchd may be late without a loss.
const BUFFER_US: u32 = 1_000_000;
/// Pause where a device says that there is audio, and gives none: as the end of a pipe does.
const PAUSE: Duration = Duration::from_millis(20);

/// A capture device of ALSA.
pub(super) struct AlsaDevice {
    name: String,
    /// The caller's channel, from 0.
    channel: usize,
    rate: u32,
    open: Option<Open>,
}

/// A device that is open.
struct Open {
    pcm: PCM,
    channels: usize,
    /// Interleaved samples of all channels, as they came.
    frames: Vec<u8>,
}

impl fmt::Debug for AlsaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.open.is_some();
        f.debug_struct("AlsaDevice")
            .field("name", &self.name)
            .field("is_open", &is_open)
            .finish_non_exhaustive()
    }
}

impl AlsaDevice {
    /// The PCM `name`, of which `channel` (from 1) is heard, and that is asked for `rate` samples per second.
    pub(super) fn new(name: &str, channel: u32, rate: u32) -> Self {
        let channel = channel.saturating_sub(1) as usize;
        Self { name: name.to_owned(), channel, rate, open: None }
    }
}

impl Source for AlsaDevice {
    fn open(&mut self) -> Result<u32, DeviceFault> {
        self.open = None;
        // What alsa-lib would print on standard error, at every attempt.
        let said = Output::local_error_handler().map_err(|error| fault("cannot be opened", error, ""))?;
        let name =
            CString::new(self.name.as_str()).map_err(|_| DeviceFault::new("has a name with a zero in it"))?;
        let pcm = PCM::open(&name, Direction::Capture, true).map_err(|error| {
            let said = said.borrow().buffer_string(|text| String::from_utf8_lossy(text).into_owned());
            fault("cannot be opened", error, said.lines().next().unwrap_or_default())
        })?;
        let (rate, channels) = set_up(&pcm, self.channel as u32 + 1, self.rate)?;
        pcm.start().map_err(|error| fault("cannot be started", error, ""))?;
        self.open = Some(Open { pcm, channels, frames: Vec::new() });
        Ok(rate)
    }

    fn read(&mut self, pcm: &mut [i16]) -> Result<Reading, DeviceFault> {
        let channel = self.channel;
        let Some(open) = &mut self.open else { return Err(DeviceFault::new("is closed")) };
        match open.wait_and_read(pcm.len()) {
            Ok(0) => Ok(Reading::Nothing),
            Ok(frames) => {
                open.pick(channel, &mut pcm[..frames]);
                Ok(Reading::Samples(frames))
            }
            Err(error) => open.recover(error),
        }
    }

    fn close(&mut self) {
        // Closed by its drop.
        self.open = None;
    }
}

impl Open {
    /// Frames read, at most `most`.
    fn wait_and_read(&mut self, most: usize) -> alsa::Result<usize> {
        if !self.pcm.wait(Some(PATIENCE.as_millis() as u32))? {
            return Ok(0);
        }
        // Grows once, at the first read.
        self.frames.resize(most * self.channels * size_of::<i16>(), 0);
        // As bytes: the check of the format that comes with samples allocates.
        match self.pcm.io_bytes().readi(&mut self.frames) {
            Ok(0) => {
                sleep(PAUSE);
                Ok(0)
            }
            read => read,
        }
    }

    /// Takes one channel out of the frames.
    fn pick(&self, channel: usize, pcm: &mut [i16]) {
        let (samples, _) = self.frames.as_chunks::<2>();
        for (sample, frame) in pcm.iter_mut().zip(samples.chunks_exact(self.channels)) {
            *sample = i16::from_le_bytes(frame[channel]);
        }
    }

    /// Goes on after an overrun or a sleep of the machine (`ESTRPIPE`), if it is no worse.
    fn recover(&self, error: alsa::Error) -> Result<Reading, DeviceFault> {
        match code(error) {
            errno::EAGAIN => {
                sleep(PAUSE);
                return Ok(Reading::Nothing);
            }
            errno::EPIPE | errno::ESTRPIPE if self.pcm.state() != State::Disconnected => {}
            _ => return Err(fault("failed", error, "")),
        }
        let again = self.pcm.prepare().and_then(|()| self.pcm.start());
        again.map(|()| Reading::Overrun).map_err(|error| fault("did not go on after an overrun", error, ""))
    }
}

/// Sets the device up for 16-bit samples at a rate near the one asked for, with `channel` (from 1) among its channels;
/// gives the rate and how many channels there are.
fn set_up(pcm: &PCM, channel: u32, rate: u32) -> Result<(u32, usize), DeviceFault> {
    let said = |what: &'static str| move |error| fault(what, error, "");
    let wanted = HwParams::any(pcm).map_err(said("has no settings"))?;
    // The `plug` plugin converts rates by drawing lines between samples; Vouch does it better.
    wanted.set_rate_resample(false).map_err(said("cannot be set up"))?;
    wanted.set_access(Access::RWInterleaved).map_err(said("cannot be read frame by frame"))?;
    wanted
        .set_format(Format::S16LE)
        .map_err(|_| DeviceFault::new("gives no 16-bit samples; name it plughw: instead of hw:"))?;
    let channels = wanted.set_channels_near(channel).map_err(said("has no channels"))?;
    if channels < channel {
        return Err(DeviceFault::new(format!(
            "has {channels} channel(s), and channel {channel} is asked for"
        )));
    }
    let rate = wanted.set_rate_near(rate, ValueOr::Nearest).map_err(said("has no rates"))?;
    if !crate::audio::RATES.contains(&rate) {
        return Err(DeviceFault::new(format!("gives {rate} samples per second, which cannot be used")));
    }
    // Wishes only: what the card makes of them will do.
    let _ = wanted.set_period_time_near(PERIOD_US, ValueOr::Nearest);
    let _ = wanted.set_buffer_time_near(BUFFER_US, ValueOr::Nearest);
    pcm.hw_params(&wanted).map_err(said("does not take these settings"))?;
    Ok((rate, channels as usize))
}

fn code(error: alsa::Error) -> i32 {
    error.errno().abs()
}

/// What went wrong, in the words of the system and of alsa-lib, and what to do about it.
fn fault(what: &str, error: alsa::Error, said: &str) -> DeviceFault {
    let code = code(error);
    let system = io::Error::from_raw_os_error(code).to_string();
    let system = system.split(" (os error").next().unwrap_or_default();
    let said = said.rsplit(": ").next().filter(|said| !said.is_empty());
    let said = said.map_or_else(String::new, |said| format!(" ({said})"));
    let hint = match code {
        errno::EBUSY => "; another program uses it",
        errno::EACCES | errno::EPERM => {
            "; vouchd may not use it: see vouchd-alsa.conf in /usr/share/doc/vouch/examples"
        }
        errno::ENOENT | errno::ENODEV => {
            "; is it plugged in, and may vouchd see it (vouchd-alsa.conf in /usr/share/doc/vouch/examples)?"
        }
        _ => "",
    };
    DeviceFault::new(format!("{what}: {system}{said}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_not_there_is_named_by_alsa_and_nothing_is_printed() {
        let fault = AlsaDevice::new("hw:31,0", 1, 8000).open().unwrap_err().to_string();
        assert!(fault.starts_with("cannot be opened: No such "), "{fault}");
        assert!(fault.contains("vouchd-alsa.conf"), "{fault}");
        let fault = AlsaDevice::new("no-such-name", 1, 8000).open().unwrap_err().to_string();
        assert!(
            fault.contains("No such file or directory (Unknown PCM no-such-name); is it plugged in"),
            "{fault}"
        );
        assert!(AlsaDevice::new("a\0b", 1, 8000).open().is_err());
    }

    /// alsa-lib's own plugin that gives silence, with as many channels and whatever rate one asks for.
    #[test]
    fn the_null_plugin_gives_silence_of_the_channel_asked_for() {
        let mut device = AlsaDevice::new("null", 2, 11_025);
        let mut pcm = [7; 500];
        assert!(device.read(&mut pcm).is_err(), "it is closed");
        assert_eq!(device.open(), Ok(11_025));
        assert_eq!(device.open.as_ref().map(|open| open.channels), Some(2));
        assert_eq!(device.read(&mut pcm), Ok(Reading::Samples(500)));
        assert_eq!(pcm, [0; 500]);
        device.close();
        assert!(device.read(&mut pcm).is_err());
    }

    #[test]
    fn the_callers_channel_is_picked() {
        let pcm = PCM::new("null", Direction::Capture, true).unwrap();
        let frames = [[1_i16, -2, 3], [4, -5, 6]].concat().into_iter().flat_map(i16::to_le_bytes).collect();
        let open = Open { pcm, channels: 3, frames };
        let mut picked = [0; 2];
        open.pick(1, &mut picked);
        assert_eq!(picked, [-2, -5]);
    }
}
