//! `[[alsa]]`: capture devices that hardware phones are connected to.

use super::super::read::Section;
use super::super::values::is_token;
use super::within;
use crate::audio::RATES;
use crate::pii::SpeakerId;
use std::time::Duration;

/// One table of `[[alsa]]`: a capture device.
#[derive(Clone, Debug, PartialEq)]
pub struct Alsa {
    /// `name`: how the socket, logs and `vouchctl capture` call it.
    pub name: String,
    /// `device`: the PCM as alsa-lib names it.
    pub device: String,
    /// `channel`: which of its channels the caller is on, from 1.
    pub channel: u32,
    /// `rate`: samples per second asked of it; from 16,000 on the audio is wideband.
    pub rate: u32,
    /// `speaker`: who every caller claims to be, unless a start says otherwise.
    pub speaker: Option<SpeakerId>,
    /// `auto-start`: whether a call begins when somebody speaks.
    pub auto_start: bool,
    /// `silence`: how long nobody speaks until a call that began so ends.
    pub silence: Duration,
    /// `enabled`: whether the device is used at all.
    pub enabled: bool,
}

/// Most devices: each has a thread.
pub(in crate::config) const MAX_DEVICES: usize = 32;
/// Longest name of a device.
const MAX_NAME: usize = 32;
/// Longest name of a PCM.
const MAX_DEVICE: usize = 200;
/// Most channels of a device: large interfaces have 64.
const MAX_CHANNEL: u32 = 64;

impl Alsa {
    /// What an `[[alsa]]` table starts from.
    pub(in crate::config) const fn blank() -> Self {
        Self {
            name: String::new(),
            device: String::new(),
            channel: 1,
            rate: 8000,
            speaker: None,
            auto_start: false,
            silence: Duration::from_secs(30),
            enabled: true,
        }
    }

    pub(in crate::config) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.require("name", &mut self.name, |name| match name.len() {
            0..=MAX_NAME if is_token(name) => Ok(()),
            _ => Err(format!("must be one word of at most {MAX_NAME} letters, digits, `-` or `.`")),
        });
        section.require("device", &mut self.device, |device| {
            let fits = (1..=MAX_DEVICE).contains(&device.len())
                && device.bytes().all(|b| (b' '..=b'~').contains(&b));
            if fits { Ok(()) } else { Err(format!("must be 1 to {MAX_DEVICE} printable ASCII characters")) }
        });
        section.read_if("channel", &mut self.channel, |channel| match channel {
            1..=MAX_CHANNEL => Ok(()),
            _ => Err(format!("must be 1 to {MAX_CHANNEL}")),
        });
        section.read_if("rate", &mut self.rate, |rate| match RATES.contains(rate) {
            true => Ok(()),
            false => Err(format!("must be {} to {}", RATES.start(), RATES.end())),
        });
        section.read("speaker", &mut self.speaker);
        section.read("auto-start", &mut self.auto_start);
        let silence = Duration::from_secs(2)..=Duration::from_hours(1);
        section.read_if("silence", &mut self.silence, within("2s", silence));
        section.read("enabled", &mut self.enabled);
    }
}
