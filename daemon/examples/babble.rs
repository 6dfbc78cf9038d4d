//! Makes `dsp/src/noise/babble.mel`, the noise of the noisy copies that an enrollment is also made of.
//!
//! `cargo run --release -p vouch --example babble -- RECORDING... dsp/src/noise/babble.mel`
//!
//! The recordings are added up, equally loud. The committed file is of seven readers of LibriSpeech `train-clean-100`
//! (V. Panayotov, G. Chen, D. Povey, S. Khudanpur, ICASSP 2015, openslr.org/12, CC BY 4.0) whom no development trial
//! tests: the utterances that the development corpora have of 1098, 1116, 1235, 125, 1263, 1334 and 150, 5 s of each. One byte for each mel bin of each
//! frame: how far it lies below the loudest, in sixteenths of a neper of power. No voice can be made of it, and it
//! depends on nothing but the features, so that another model does not need it anew.

use std::path::Path;
use vouch::audio::Recording;
use vouch_dsp::features::{Band, log_mel};
use vouch_dsp::noise::FRAMES;

const BAND: Band = Band::Wide;
/// Root mean square of each recording in the sum.
const LEVEL: f64 = 1000.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let Some((to, recordings @ [_, ..])) = arguments.split_last() else {
        return Err("babble RECORDING... FILE".into());
    };
    let samples = BAND.frame_samples() + (FRAMES - 1) * BAND.shift_samples();
    let mut sum = vec![0.0; samples];
    for from in recordings {
        let pcm = Recording::read(Path::new(from))?.pcm_at(BAND);
        let pcm = pcm.get(..samples).ok_or_else(|| format!("{} is shorter than 5 s", from.display()))?;
        let power = pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples as f64;
        let gain = LEVEL / power.sqrt().max(1.0);
        sum.iter_mut().zip(pcm).for_each(|(sum, &sample)| *sum += gain * f64::from(sample));
    }
    let pcm: Vec<i16> = sum.iter().map(|&sample: &f64| sample.round() as i16).collect();
    let windows = pcm.windows(BAND.frame_samples()).step_by(BAND.shift_samples());
    let frames: Vec<_> = windows.map(|window| log_mel(BAND, window)).collect();
    let loudest = frames.iter().flatten().copied().max().unwrap_or(0);
    let below = |value: &i16| u8::try_from((i32::from(loudest) - i32::from(*value)) >> 5).unwrap_or(u8::MAX);
    std::fs::write(to, frames.iter().flatten().map(below).collect::<Vec<u8>>())?;
    Ok(())
}
