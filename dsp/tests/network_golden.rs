//! The whole integer engine against the float network, on real voices.
//!
//! `dsp/model/goldens.py` made the expected embeddings, from telephone and wideband prompts of Debian's
//! `asterisk-core-sounds-{en,es,fr,it,ru}-{wav,g722}` and `asterisk-prompt-it-menardi-wav` packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use vouch_dsp::codec::{g711::Law, g722::G722};
use vouch_dsp::features::{Band, LogMel, log_mel};
use vouch_dsp::network::{Network, Scratch, scratch_sizes};

const MODEL: &[u8] = include_bytes!("../model/campplus.vouchnet");
const GOLDENS: &str = include_str!("data/embeddings.csv");

/// What users are promised is 0.99 on average and 0.98 at worst; the engine does better and shall stay there.
const LEAST_MEAN: f64 = 0.997;
/// See [`LEAST_MEAN`].
const LEAST: f64 = 0.99;

/// One line of the table.
struct Golden {
    band: Band,
    files: Vec<String>,
    embedding: Vec<f64>,
}

#[test]
fn integer_embeddings_stay_close_to_the_float_network() {
    let sounds = sounds();
    let goldens: Vec<Golden> = GOLDENS.lines().skip(1).map(parse).collect();
    assert_eq!(goldens.len(), 50);
    let missing = goldens.iter().flat_map(|golden| &golden.files).find(|file| !sounds.join(file).is_file());
    if let Some(file) = missing {
        eprintln!(
            "skipped: {} is not there; install Debian's asterisk-core-sounds packages",
            sounds.join(file).display()
        );
        return;
    }
    let cosines = compare(&sounds, &goldens);
    for band in [Band::Narrow, Band::Wide] {
        let of_band: Vec<f64> = goldens
            .iter()
            .zip(&cosines)
            .filter(|(golden, _)| golden.band == band)
            .map(|(_, cosine)| *cosine)
            .collect();
        let mean = of_band.iter().sum::<f64>() / of_band.len() as f64;
        let worst = of_band.iter().copied().fold(1.0, f64::min);
        eprintln!("{band:?}: {} utterances, cosine {mean:.5} on average, {worst:.5} at worst", of_band.len());
        assert!(mean >= LEAST_MEAN, "{band:?}: mean cosine {mean}");
        assert!(worst >= LEAST, "{band:?}: worst cosine {worst}");
    }
}

/// Cosine of each utterance, on all processors.
fn compare(sounds: &Path, goldens: &[Golden]) -> Vec<f64> {
    let network = Network::load(MODEL).expect("the committed model is whole");
    let next = AtomicUsize::new(0);
    let cosines = Mutex::new(vec![0.0; goldens.len()]);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(golden) = goldens.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let index = goldens.iter().position(|other| std::ptr::eq(other, golden));
                    let cosine = cosine(&embed(&network, sounds, golden), &golden.embedding);
                    let mut all = cosines.lock().unwrap_or_else(PoisonError::into_inner);
                    all[index.expect("it came from this list")] = cosine;
                }
            });
        }
    });
    cosines.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn embed(network: &Network<'_>, sounds: &Path, golden: &Golden) -> Vec<f64> {
    let pcm: Vec<i16> = golden.files.iter().flat_map(|file| read(&sounds.join(file), golden.band)).collect();
    let frames = loud_frames(golden.band, &pcm);
    let sizes = scratch_sizes(frames.len());
    let (mut narrow, mut wide) = (vec![0; sizes.narrow], vec![0; sizes.wide]);
    let mut scratch = Scratch { narrow: &mut narrow, wide: &mut wide };
    let embedding = network.embed(&frames, golden.band, &mut scratch).expect("some seconds of speech");
    embedding.0.iter().map(|&value| f64::from(value)).collect()
}

/// Features of the frames that lie less than 30 dB below the mean energy, as `fbank.loud` has them.
fn loud_frames(band: Band, pcm: &[i16]) -> Vec<LogMel> {
    let frames = || pcm.windows(band.frame_samples()).step_by(band.shift_samples());
    let energy = |frame: &[i16]| frame.iter().map(|&sample| i64::from(sample).pow(2)).sum::<i64>();
    let total: i64 = frames().map(energy).sum();
    let count = frames().count() as i64;
    frames().filter(|frame| energy(frame) * 1000 * count > total).map(|frame| log_mel(band, frame)).collect()
}

/// Samples of a prompt: G.722 decoded, or WAV through a mu-law line.
fn read(path: &Path, band: Band) -> Vec<i16> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match band {
        Band::Wide => {
            let mut pcm = vec![0; 2 * bytes.len()];
            G722::new().decode_into(&bytes, &mut pcm);
            pcm
        }
        Band::Narrow => {
            let (samples, _) = wav_data(&bytes).as_chunks();
            samples.iter().map(|&sample| Law::Mu.decode(Law::Mu.encode(i16::from_le_bytes(sample)))).collect()
        }
    }
}

/// Contents of the `data` chunk.
fn wav_data(file: &[u8]) -> &[u8] {
    let mut chunks = &file[12..];
    while let Some((head, rest)) = chunks.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if head.starts_with(b"data") {
            return &rest[..length.min(rest.len())];
        }
        chunks = &rest[length + length % 2..];
    }
    panic!("no data chunk");
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn parse(line: &str) -> Golden {
    let fields: Vec<&str> = line.split(',').collect();
    let [band, files, embedding] = fields[..] else { panic!("three fields a line") };
    Golden {
        band: if band == "narrow" { Band::Narrow } else { Band::Wide },
        files: files.split(';').map(String::from).collect(),
        embedding: embedding.split(' ').map(|value| value.parse().expect("whole numbers")).collect(),
    }
}

fn sounds() -> PathBuf {
    std::env::var_os("VOUCH_SOUNDS")
        .map_or_else(|| PathBuf::from("/usr/share/asterisk/sounds"), PathBuf::from)
}
