//! Simulated lines between a voice and the engine.

use crate::Outcome;
use std::f64::consts::PI;
use std::path::Path;
use vouch::audio::Recording;
use vouch_dsp::codec::g711::Law;
use vouch_dsp::features::Band;

/// Taps of the band-pass filter.
const TAPS: usize = 129;

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
    pass: Option<(u32, u32)>,
    law: Option<Law>,
    /// Noise of the corpora folder and its distance below the speech in dB.
    noise: Option<(&'static str, i32)>,
    /// Level change in dB.
    gain: i32,
}

const PLAIN: Line =
    Line { name: "", band: Band::Narrow, masked: false, pass: None, law: None, noise: None, gain: 0 };

/// Lines whose embeddings are of the narrow band: studio speech on telephones of two pass bands, in a car, among
/// people, in a kitchen, and a wideband call heard for comparison with the telephone.
pub(crate) const NARROW_LINES: [Line; 5] = [
    Line { name: "mu-law", pass: Some((300, 3400)), law: Some(Law::Mu), ..PLAIN },
    Line {
        name: "mu-law-car",
        pass: Some((250, 3450)),
        law: Some(Law::Mu),
        noise: Some(("car/carlike_synth_0.flac", 15)),
        ..PLAIN
    },
    Line {
        name: "a-law-babble",
        pass: Some((300, 3400)),
        law: Some(Law::A),
        noise: Some(("babble/babble7_0.flac", 15)),
        gain: -12,
        ..PLAIN
    },
    Line {
        name: "a-law-kitchen",
        pass: Some((200, 3600)),
        law: Some(Law::A),
        noise: Some(("ambient/picovoice_kitchen.flac", 20)),
        gain: -6,
        ..PLAIN
    },
    Line { name: "wideband-masked", band: Band::Wide, masked: true, ..PLAIN },
];

/// Lines whose embeddings are of the wide band.
pub(crate) const WIDE_LINES: [Line; 2] = [
    Line { name: "wideband", band: Band::Wide, ..PLAIN },
    Line {
        name: "wideband-car",
        band: Band::Wide,
        noise: Some(("car/carlike_synth_1.flac", 15)),
        gain: -6,
        ..PLAIN
    },
];

/// Lines of a band.
pub(crate) const fn lines(band: Band) -> &'static [Line] {
    match band {
        Band::Narrow => &NARROW_LINES,
        Band::Wide => &WIDE_LINES,
    }
}

/// A line with its noise and filter ready.
#[derive(Debug)]
pub(crate) struct Ready {
    line: Line,
    filter: Vec<f64>,
    noise: Vec<i16>,
}

impl Ready {
    pub(crate) fn new(line: Line, noises: &Path) -> Outcome<Self> {
        let filter = line.pass.map(|(low, high)| band_pass(low, high, line.band)).unwrap_or_default();
        let noise = match line.noise {
            Some((file, _)) => Recording::read(&noises.join(file))?.pcm_at(line.band),
            None => Vec::new(),
        };
        Ok(Self { line, filter, noise })
    }

    /// What comes out of the line. `offset` says where in the noise it begins.
    pub(crate) fn carry(&self, recording: &Recording, offset: usize) -> Recording {
        let mut samples: Vec<f64> = recording.pcm_at(self.line.band).into_iter().map(f64::from).collect();
        if let Some((_, below)) = self.line.noise {
            let noise =
                self.noise.iter().cycle().skip(offset % self.noise.len()).map(|&sample| f64::from(sample));
            let all: f64 = self.noise.iter().map(|&sample| f64::from(sample).powi(2)).sum();
            let level = (all / self.noise.len() as f64).sqrt();
            let factor = rms(&samples) / level * decibels(-below);
            samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += noise * factor);
        }
        if !self.filter.is_empty() {
            samples = filtered(&samples, &self.filter);
        }
        let gain = decibels(self.line.gain);
        let coded = |sample: f64| {
            let sample = (sample * gain).round() as i16;
            self.line.law.map_or(sample, |law| law.decode(law.encode(sample)))
        };
        let pcm = samples.into_iter().map(coded).collect();
        Recording { pcm, rate: self.line.band.sample_rate() as u32 }
    }
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
