//! What lies between a voice and the engine: room, noise, pass band, level, codec.

use crate::Outcome;
use crate::codec::Codec;
use std::f64::consts::PI;
use std::path::Path;
use vouch::audio::Recording;
use vouch_dsp::features::Band;

/// Taps of the band-pass filter.
const TAPS: usize = 129;
/// Part of a room impulse response that is used, in seconds: later echo is far below the noise.
const ROOM_S: f64 = 0.4;

/// One kind of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Name in the cache and the report.
    pub(crate) name: &'static str,
    /// Band that the engine hears.
    pub(crate) band: Band,
    /// Whether wideband audio is heard without what a telephone does not carry.
    pub(crate) masked: bool,
    /// Pass band in Hz.
    pub(crate) pass: Option<(u32, u32)>,
    /// Coding.
    pub(crate) codec: Codec,
    /// Noise recordings of the corpora folder, one for each person in turn, and their distance below the speech in dB.
    pub(crate) noise: Option<(&'static [&'static str], i32)>,
    /// Whether the person speaks in one of the rooms of the corpora folder, at some distance.
    pub(crate) room: bool,
    /// Level change in dB.
    pub(crate) gain: i32,
    /// Level at which samples are clipped, in dB above the level of the speech.
    pub(crate) clip: Option<i32>,
    /// Whether enrollments and short tests come over it, or only one test of each person.
    pub(crate) thorough: bool,
}

/// Rooms of the corpora folder, one for each person in turn.
const ROOMS: [&str; 4] = ["rir/rir1.flac", "rir/rir2.flac", "rir/rir3.flac", "rir/rir4.flac"];

/// A line with its noises, rooms and filter ready.
#[derive(Debug)]
pub(crate) struct Ready {
    line: Line,
    filter: Vec<f64>,
    noises: Vec<Vec<f64>>,
    rooms: Vec<Vec<f64>>,
}

impl Ready {
    pub(crate) fn new(line: Line, folder: &Path) -> Outcome<Self> {
        let read = |file: &&str| -> Outcome<Vec<f64>> {
            let pcm = Recording::read(&folder.join(file))?.pcm_at(line.band);
            Ok(pcm.into_iter().map(f64::from).collect())
        };
        let filter = line.pass.map(|(low, high)| band_pass(low, high, line.band)).unwrap_or_default();
        let noises = line.noise.map_or(&[][..], |(files, _)| files);
        let rooms = if line.room { &ROOMS[..] } else { &[] };
        Ok(Self {
            line,
            filter,
            noises: noises.iter().map(read).collect::<Outcome<_>>()?,
            rooms: rooms.iter().map(|file| Ok(room(&read(file)?, line.band))).collect::<Outcome<_>>()?,
        })
    }

    /// The line itself.
    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }

    /// What comes out of the line when `person` speaks.
    pub(crate) fn carry(&self, recording: &Recording, person: usize) -> Outcome<Recording> {
        let mut samples: Vec<f64> = recording.pcm_at(self.line.band).into_iter().map(f64::from).collect();
        if !self.rooms.is_empty() {
            samples = filtered(&samples, &self.rooms[person % self.rooms.len()]);
        }
        if let Some((_, below)) = self.line.noise {
            add(&mut samples, &self.noises[person % self.noises.len()], below, person * 7_919);
        }
        if !self.filter.is_empty() {
            samples = filtered(&samples, &self.filter);
        }
        if let Some(above) = self.line.clip {
            let most = rms(&samples) * decibels(above);
            // What is clipped was too loud: it stands at full scale.
            samples.iter_mut().for_each(|sample| *sample = sample.clamp(-most, most) * 32_767.0 / most);
        }
        let gain = decibels(self.line.gain);
        let pcm: Vec<i16> = samples.into_iter().map(|sample| (sample * gain).round() as i16).collect();
        let rate = self.line.band.sample_rate();
        Ok(Recording { pcm: self.line.codec.carry(&pcm, rate)?, rate: rate as u32 })
    }
}

/// Adds `noise`, over and over from sample `offset` on, so many dB `below` the level of the speech.
fn add(samples: &mut [f64], noise: &[f64], below: i32, offset: usize) {
    let factor = rms(samples) / rms(noise).max(1.0) * decibels(-below);
    let endless = noise.iter().cycle().skip(offset % noise.len());
    samples.iter_mut().zip(endless).for_each(|(sample, noise)| *sample += noise * factor);
}

/// A response from its loudest sample on, cut, with the energy of a single one.
fn room(response: &[f64], band: Band) -> Vec<f64> {
    let loudest = (0..response.len()).max_by(|&a, &b| response[a].abs().total_cmp(&response[b].abs()));
    let tail = &response[loudest.unwrap_or(0)..];
    let tail = &tail[..tail.len().min((ROOM_S * band.sample_rate() as f64) as usize)];
    let energy = tail.iter().map(|tap| tap * tap).sum::<f64>().sqrt();
    // `filtered` looks as far ahead as back; zeros make the response causal.
    let mut taps: Vec<f64> = tail.iter().rev().map(|tap| tap / energy).collect();
    taps.resize(2 * tail.len() - 1, 0.0);
    taps
}

fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

fn decibels(level: i32) -> f64 {
    10f64.powf(f64::from(level) / 20.0)
}

/// Difference of two windowed-sinc low-passes (Hamming).
fn band_pass(low: u32, high: u32, band: Band) -> Vec<f64> {
    let middle = (TAPS / 2) as f64;
    let sinc = |hz: u32, n: f64| {
        let cycles = f64::from(hz) / band.sample_rate() as f64;
        if n == 0.0 { 2.0 * cycles } else { (2.0 * PI * cycles * n).sin() / (PI * n) }
    };
    (0..TAPS)
        .map(|tap| {
            let n = tap as f64 - middle;
            let window = 0.54 + 0.46 * (PI * n / (middle + 1.0)).cos();
            (sinc(high, n) - sinc(low, n)) * window
        })
        .collect()
}

fn filtered(samples: &[f64], taps: &[f64]) -> Vec<f64> {
    let padded = [vec![0.0; taps.len() / 2], samples.to_vec(), vec![0.0; taps.len() / 2]].concat();
    padded.windows(taps.len()).map(|window| window.iter().zip(taps).map(|(s, t)| s * t).sum()).collect()
}
