//! Sounds for the tests: synthesised ones, and real voices where the machine has them.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use vouch_dsp::codec::g711::Law;
use vouch_dsp::features::Band;
use vouch_dsp::listener::{Listener, Origin, Quality};

/// Seconds of net speech, and the figures.
pub(crate) fn listen(band: Band, pcm: &[i16]) -> (f64, Quality) {
    let mut listener = Listener::new(band);
    let mut frames = 0;
    listener.hear(pcm, Origin::Heard, |_| frames += 1);
    (f64::from(frames) / 100.0, listener.quality())
}

/// Sampling rate and length of what is synthesised.
#[derive(Clone, Copy)]
pub(crate) struct Studio {
    pub(crate) band: Band,
    pub(crate) seconds: f64,
}

impl Studio {
    fn samples(&self) -> usize {
        (self.seconds * self.band.sample_rate() as f64) as usize
    }

    pub(crate) fn silence(&self) -> Vec<i16> {
        vec![0; self.samples()]
    }

    /// Sum of sinusoids, each `(Hz, dBFS)`, switched `on` and `off` for so many seconds.
    pub(crate) fn tone(&self, lines: &[(f64, f64)], on: f64, off: f64) -> Vec<i16> {
        let rate = self.band.sample_rate() as f64;
        let at = |index: usize| {
            let time = index as f64 / rate;
            let sounding = off == 0.0 || time % (on + off) < on;
            let sum: f64 = lines.iter().map(|(hz, db)| amplitude(*db) * (TAU * hz * time).sin()).sum();
            if sounding { saturated(sum) } else { 0 }
        };
        (0..self.samples()).map(at).collect()
    }

    pub(crate) fn white(&self, dbfs: f64, seed: u64) -> Vec<i16> {
        let mut random = Random(seed);
        (0..self.samples()).map(|_| saturated(amplitude(dbfs) * random.gaussian())).collect()
    }

    /// Noise that falls off by 6 dB an octave above 100 Hz, as in a car.
    pub(crate) fn car(&self, dbfs: f64, seed: u64) -> Vec<i16> {
        let mut random = Random(seed);
        let pole = 1.0 - TAU * 100.0 / self.band.sample_rate() as f64;
        let gain = amplitude(dbfs) * (1.0 - pole * pole).sqrt();
        let mut state = 0.0;
        (0..self.samples())
            .map(|_| {
                state = pole * state + gain * random.gaussian();
                saturated(state)
            })
            .collect()
    }
}

/// Full scale is the RMS of a square wave, as in [`Quality::level_dbfs`].
fn amplitude(dbfs: f64) -> f64 {
    32_768.0 * 10_f64.powf(dbfs / 20.0)
}

fn saturated(sample: f64) -> i16 {
    sample.round().clamp(-32_768.0, 32_767.0) as i16
}

/// Same numbers on every machine (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn gaussian(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

pub(crate) fn mixed(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().zip(b).map(|(a, b)| a.saturating_add(*b)).collect()
}

pub(crate) fn amplified(pcm: &[i16], db: f64) -> Vec<i16> {
    pcm.iter().map(|sample| saturated(f64::from(*sample) * 10_f64.powf(db / 20.0))).collect()
}

/// What a telephone line makes of it.
pub(crate) fn through_mu_law(pcm: &[i16]) -> Vec<i16> {
    pcm.iter().map(|sample| Law::Mu.decode(Law::Mu.encode(*sample))).collect()
}

/// Half a minute of each installed voice of Debian's `asterisk-core-sounds-*-wav` and
/// `asterisk-prompt-*` packages; empty where there are none.
pub(crate) fn installed_voices() -> Vec<(String, Vec<i16>)> {
    let mut voices = Vec::new();
    for folder in sorted(Path::new("/usr/share/asterisk/sounds")) {
        let mut pcm = Vec::new();
        for file in sorted(&folder) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if pcm.len() < 30 * 8_000 && name.starts_with("vm-") && name.ends_with(".wav") {
                pcm.extend(wav(&file));
            }
        }
        if pcm.len() > 10 * 8_000 {
            voices.push((folder.display().to_string(), pcm));
        }
    }
    if voices.is_empty() {
        eprintln!("skipped: no voices of asterisk-core-sounds under /usr/share/asterisk/sounds");
    }
    voices
}

/// Files of a folder of the shared development material, if this machine has it.
pub(crate) fn shared(folder: &str) -> Vec<PathBuf> {
    let root = std::env::var_os("VOUCH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let files = sorted(&root.join(folder));
    if files.is_empty() {
        eprintln!("skipped: no {folder} under {}", root.display());
    }
    files
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Samples of a mono WAV file of 16-bit PCM or mu-law at 8 kHz.
pub(crate) fn wav(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).expect("the file was just listed");
    let (mut format, mut at) = (0, 12);
    while at + 8 <= bytes.len() {
        let length =
            u32::from_le_bytes([bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]]) as usize;
        let body = &bytes[at + 8..(at + 8 + length).min(bytes.len())];
        match &bytes[at..at + 4] {
            b"fmt " => {
                format = u16::from_le_bytes([body[0], body[1]]);
                assert_eq!(
                    (body[2], body[4..8].to_vec()),
                    (1, 8_000_u32.to_le_bytes().to_vec()),
                    "mono, 8 kHz"
                );
            }
            b"data" if format == 7 => return body.iter().map(|code| Law::Mu.decode(*code)).collect(),
            b"data" => return body.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect(),
            _ => {}
        }
        at += 8 + length + length % 2;
    }
    panic!("{} has no samples", path.display());
}
