//! What counts as net speech: voices, and nothing else.

mod common;

use common::{Studio, amplified, installed_voices, listen, mixed, shared, through_mu_law, wav};
use std::path::Path;
use vouch_dsp::features::Band;
use webrtc_vad::{SampleRate, Vad, VadMode};

const BANDS: [Band; 2] = [Band::Narrow, Band::Wide];

/// Tones of ITU-T E.180 and its supplement (1994), T.30 and V.25: lines in Hz, seconds on and off.
const TONES: [(&str, &[f64], f64, f64); 19] = [
    ("dial, North America", &[350.0, 440.0], 20.0, 0.0),
    ("dial, Europe", &[425.0], 20.0, 0.0),
    ("dial, Japan", &[400.0], 20.0, 0.0),
    ("ringback, North America", &[440.0, 480.0], 2.0, 4.0),
    ("ringback, Europe", &[425.0], 1.0, 4.0),
    ("ringback, United Kingdom", &[400.0, 450.0], 0.4, 0.2),
    ("ringback, Japan", &[384.0, 416.0], 1.0, 2.0),
    ("busy, North America", &[480.0, 620.0], 0.5, 0.5),
    ("busy, Europe", &[425.0], 0.5, 0.5),
    ("busy, United Kingdom", &[400.0], 0.375, 0.375),
    ("congestion, North America", &[480.0, 620.0], 0.25, 0.25),
    ("congestion, Europe", &[425.0], 0.25, 0.25),
    ("call waiting", &[440.0], 0.3, 9.7),
    ("recording", &[1400.0], 0.5, 4.5),
    ("information, first", &[950.0], 0.33, 1.0),
    ("information, last", &[1800.0], 0.33, 1.0),
    ("fax calling", &[1100.0], 0.5, 3.0),
    ("fax answering", &[2100.0], 3.0, 1.0),
    ("test", &[1004.0], 20.0, 0.0),
];

#[test]
fn signalling_tones_never_count_at_any_level_with_and_without_noise() {
    for band in BANDS {
        let studio = Studio { band, seconds: 12.0 };
        let noise = studio.white(-48.0, 1);
        for (name, lines, on, off) in TONES {
            for dbfs in [-36.0, -24.0, -12.0] {
                let lines: Vec<_> = lines.iter().map(|hz| (*hz, dbfs)).collect();
                let tone = through_mu_law(&studio.tone(&lines, on, off));
                assert_eq!(listen(band, &tone).0, 0.0, "{name} {dbfs} {band:?}");
                if dbfs > -30.0 {
                    let noisy = through_mu_law(&mixed(&tone, &noise));
                    assert_eq!(listen(band, &noisy).0, 0.0, "{name} {dbfs} in noise {band:?}");
                }
            }
        }
    }
}

#[test]
fn dtmf_never_counts() {
    let studio = Studio { band: Band::Narrow, seconds: 6.0 };
    let noise = studio.white(-50.0, 2);
    for low in [697.0, 770.0, 852.0, 941.0] {
        for high in [1209.0, 1336.0, 1477.0, 1633.0] {
            for (on, off) in [(0.05, 0.05), (0.1, 0.1), (0.25, 0.15)] {
                for twist in [-6.0, 0.0, 4.0] {
                    let tone = studio.tone(&[(low, -14.0), (high, -14.0 + twist)], on, off);
                    let heard = listen(Band::Narrow, &through_mu_law(&mixed(&tone, &noise))).0;
                    assert_eq!(heard, 0.0, "{low} + {high} Hz, {on} s on, {off} s off, twist {twist}");
                }
            }
        }
    }
}

#[test]
fn silence_and_comfort_noise_never_count() {
    for band in BANDS {
        let studio = Studio { band, seconds: 20.0 };
        assert_eq!(listen(band, &studio.silence()).0, 0.0);
        for dbfs in [-80.0, -70.0, -60.0, -50.0] {
            let noise = through_mu_law(&studio.white(dbfs, 3));
            assert_eq!(listen(band, &noise).0, 0.0, "{dbfs} {band:?}");
        }
    }
}

#[test]
fn steady_noise_counts_for_at_most_a_hundredth_of_its_length() {
    for band in BANDS {
        let studio = Studio { band, seconds: 10.0 };
        for dbfs in [-50.0, -40.0, -30.0, -20.0] {
            let hum: Vec<_> = (1..8).map(|n| (50.0 * f64::from(n), dbfs - 3.0 * f64::from(n))).collect();
            let noises = [studio.white(dbfs, 4), studio.car(dbfs, 5), studio.tone(&hum, 1.0, 0.0)];
            for (index, noise) in noises.iter().enumerate() {
                for before in [vec![], vec![0; band.sample_rate() * 3], studio.white(-60.0, 6)] {
                    let heard = listen(band, &[before, noise.clone()].concat()).0;
                    assert!(heard <= 0.1, "noise {index} at {dbfs} {band:?}: {heard} s");
                }
            }
        }
    }
}

/// Net speech by libfvad (the detector of WebRTC) in its aggressive mode.
fn yardstick(pcm: &[i16]) -> f64 {
    let mut vad = Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, VadMode::Aggressive);
    let is_voice = |frame: &&[i16]| vad.is_voice_segment(frame).expect("10 ms at 8 kHz");
    pcm.chunks_exact(80).filter(is_voice).count() as f64 / 100.0
}

#[test]
fn voices_count_as_long_as_a_known_detector_says() {
    for (name, pcm) in installed_voices() {
        let (heard, quality) = listen(Band::Narrow, &through_mu_law(&pcm));
        let expected = yardstick(&pcm);
        eprintln!("{name}: {heard:.2} s, yardstick {expected:.2} s, {quality:?}");
        assert!((heard / expected - 1.0).abs() < 0.06, "{name}: {heard} s, expected {expected} s");
    }
}

#[test]
fn voices_count_alike_at_any_level() {
    for (name, pcm) in installed_voices() {
        let (normal, quality) = listen(Band::Narrow, &through_mu_law(&pcm));
        for dbfs in [-40.0, -30.0, -12.0, -6.0] {
            let changed = amplified(&pcm, dbfs - f64::from(quality.level_dbfs));
            let (heard, quality) = listen(Band::Narrow, &through_mu_law(&changed));
            eprintln!("{name} at {dbfs}: {heard:.2} s of {normal:.2} s, {quality:?}");
            assert!((heard / normal - 1.0).abs() < 0.1, "{name} at {dbfs} dB: {heard} s of {normal} s");
        }
    }
}

#[test]
fn voices_in_steady_noise_still_count_and_their_snr_is_found() {
    for (name, pcm) in installed_voices() {
        let (clean, quality) = listen(Band::Narrow, &pcm);
        // A pause first, as at the beginning of a call, so that there is noise alone.
        let pcm = [vec![0; 8_000], pcm].concat();
        let studio = Studio { band: Band::Narrow, seconds: pcm.len() as f64 / 8_000.0 };
        for snr in [20.0, 10.0] {
            let noise = studio.white(f64::from(quality.level_dbfs) - snr, 7);
            let noisy = through_mu_law(&mixed(&pcm, &noise));
            let (heard, quality) = listen(Band::Narrow, &noisy);
            eprintln!("{name} at {snr} dB: {heard:.2} s of {clean:.2} s, {quality:?}");
            // White noise buries fricatives, weak endings and echo, and fills short pauses; what stands out of it has
            // to be there, and no more than 8 % besides. (libfvad is no yardstick here: it counts white noise of this
            // level itself.)
            assert!((0.45..1.08).contains(&(heard / clean)), "{name} at {snr} dB: {heard} s of {clean} s");
            let found = f64::from(quality.snr_db.expect("there was a pause"));
            assert!((found - snr).abs() <= 5.0, "{name} at {snr} dB: found {found}");
        }
    }
}

/// Net speech by Silero of the one recording that libfvad is no yardstick for.
fn doubtful(name: &str) -> Option<f64> {
    match name {
        // Pauses of 0.2 to 0.4 s filled with steady noise, 30 dB below the voice: libfvad counts none of them (8.9 s in
        // all), Silero half of them, this detector nearly all. It counts too much here, by 11 % of Silero's figure.
        "hyke_M_1298654047-1.wav" => Some(10.26),
        _ => None,
    }
}

#[test]
fn telephone_recordings_count_as_long_as_a_known_detector_says() {
    let (mut heard, mut expected) = (0.0, 0.0);
    for file in shared("corpora/dev-telephone/test") {
        let pcm = wav(&file);
        let (here, there) = (listen(Band::Narrow, &pcm).0, yardstick(&pcm));
        let wanted = file.file_name().and_then(|name| name.to_str()).and_then(doubtful).unwrap_or(there);
        assert!((here - wanted).abs() < 0.25 * wanted, "{}: {here} s, expected {wanted} s", file.display());
        heard += here;
        expected += there;
    }
    eprintln!("telephone recordings: {heard:.1} s, yardstick {expected:.1} s");
    assert!((heard - expected).abs() <= 0.04 * expected, "{heard} s, expected {expected} s");
}

#[test]
fn prompts_count_as_long_as_somebody_marked() {
    let sounds = Path::new("/usr/share/asterisk/sounds");
    for line in include_str!("data/prompt_speech.csv").lines().filter(|line| !line.starts_with('#')) {
        let (file, marks) = line.split_once(',').expect("a file and its marks");
        if !sounds.join(file).exists() {
            eprintln!("skipped: no {file} under {}", sounds.display());
            continue;
        }
        let marks: Vec<f64> = marks.split(',').map(|mark| mark.parse().expect("a number")).collect();
        let marked: f64 = marks.chunks_exact(2).map(|stretch| stretch[1] - stretch[0]).sum::<f64>() / 100.0;
        // Frames are judged with what follows them, so that silence has to follow the last one.
        let pcm = [wav(&sounds.join(file)), vec![0; 8_000]].concat();
        let heard = listen(Band::Narrow, &through_mu_law(&pcm)).0;
        eprintln!("{file}: {heard:.2} s, marked {marked:.2} s");
        assert!((heard / marked - 1.0).abs() < 0.05, "{file}: {heard} s, marked {marked} s");
    }
}
