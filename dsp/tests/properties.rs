//! What holds for any audio, cut into any packets.

mod common;

use common::{Studio, installed_voices};
use proptest::prelude::*;
use std::iter::repeat_n;
use std::sync::LazyLock;
use vouch_dsp::features::{Band, LogMel};
use vouch_dsp::kernel::Kernel;
use vouch_dsp::listener::{Listener, Origin, Quality};

fn hear_in_pieces(band: Band, pieces: &[(&[i16], Origin)]) -> (Vec<LogMel>, Quality) {
    let mut listener = Listener::new(band);
    let mut frames = Vec::new();
    for (pcm, origin) in pieces {
        listener.hear(pcm, *origin, |frame| frames.push(*frame));
    }
    (frames, listener.quality())
}

/// A voice where the machine has one, else bursts that move like speech: noise whose level jumps every few milliseconds.
fn lively(band: Band, seconds: f64, seed: u64) -> Vec<i16> {
    static VOICE: LazyLock<Option<Vec<i16>>> =
        LazyLock::new(|| Some(installed_voices().into_iter().next()?.1));
    let samples = (seconds * 8_000.0) as usize;
    if let Some(voice) = &*VOICE {
        let start = seed as usize % (voice.len() - samples);
        let repeats = band.sample_rate() / 8_000;
        return voice[start..start + samples].iter().flat_map(|sample| repeat_n(*sample, repeats)).collect();
    }
    let mut pcm = Studio { band, seconds }.white(-20.0, seed);
    for (index, block) in pcm.chunks_mut(band.sample_rate() / 12).enumerate() {
        let shift = [9, 0, 3, 1, 6, 2, 0, 9, 9][index % 9];
        block.iter_mut().for_each(|sample| *sample >>= shift);
    }
    pcm
}

fn band() -> impl Strategy<Value = Band> {
    prop_oneof![Just(Band::Narrow), Just(Band::Wide)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packet_sizes_do_not_matter(band in band(), seed in any::<u64>(), sizes in prop::collection::vec(1_usize..700, 1..40)) {
        let pcm = lively(band, 4.0, seed);
        let whole = hear_in_pieces(band, &[(&pcm, Origin::Heard)]);
        let mut pieces = Vec::new();
        let mut rest = &pcm[..];
        for size in sizes.iter().cycle() {
            let (piece, later) = rest.split_at((*size).min(rest.len()));
            pieces.push((piece, Origin::Heard));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(!whole.0.is_empty());
        prop_assert_eq!(hear_in_pieces(band, &pieces), whole);
    }

    #[test]
    fn concealed_samples_change_nothing_that_counts(seed in any::<u64>(), lost in prop::collection::vec(any::<bool>(), 200)) {
        // Whatever concealment invents: the same frames come out, and none that touches it.
        let pcm = lively(Band::Narrow, 4.0, seed);
        let origin = |lost: bool| if lost { Origin::Concealed } else { Origin::Heard };
        let with = |invented: i16| {
            let packets: Vec<Vec<i16>> = pcm
                .chunks(160)
                .zip(&lost)
                .map(|(packet, lost)| if *lost { vec![invented; packet.len()] } else { packet.to_vec() })
                .collect();
            let pieces: Vec<_> = packets.iter().zip(&lost).map(|(packet, lost)| (&packet[..], origin(*lost))).collect();
            hear_in_pieces(Band::Narrow, &pieces)
        };
        prop_assert_eq!(with(0), with(12_345));
    }

    #[test]
    fn any_audio_gives_sane_figures(band in band(), pcm in prop::collection::vec(any::<i16>(), 0..6_000), quiet in 0_u32..16) {
        let pcm: Vec<i16> = pcm.iter().map(|sample| sample >> quiet).collect();
        let (frames, quality) = hear_in_pieces(band, &[(&pcm, Origin::Heard)]);
        prop_assert_eq!(quality.speech_ms as usize, 10 * frames.len());
        prop_assert!(quality.speech_ms <= quality.heard_ms);
        prop_assert_eq!(quality.heard_ms as usize, pcm.len() * 1_000 / band.sample_rate());
        prop_assert!(quality.clipped_permille <= 1_000 && (-96..=0).contains(&quality.level_dbfs));
    }
}

#[test]
fn a_wholly_concealed_stream_has_no_speech() {
    let pcm = lively(Band::Narrow, 10.0, 1);
    let (frames, quality) = hear_in_pieces(Band::Narrow, &[(&pcm, Origin::Concealed)]);
    assert!(frames.is_empty());
    assert_eq!((quality.heard_ms, quality.concealed_ms, quality.speech_ms), (10_000, 10_000, 0));
}

#[test]
fn losing_a_twentieth_of_the_packets_loses_little_speech() {
    for (name, pcm) in installed_voices() {
        let whole = hear_in_pieces(Band::Narrow, &[(&pcm, Origin::Heard)]).1.speech_ms;
        let pieces: Vec<_> = pcm
            .chunks(160)
            .enumerate()
            .map(|(index, packet)| (packet, if index % 20 == 7 { Origin::Concealed } else { Origin::Heard }))
            .collect();
        let rest = hear_in_pieces(Band::Narrow, &pieces).1.speech_ms;
        // Each lost packet of 20 ms spoils the 4 or 5 frames that touch it, of 40.
        assert!((86..=91).contains(&(100 * rest / whole)), "{name}: {rest} ms of {whole} ms");
    }
}

#[test]
fn every_kernel_hears_the_same_speech() {
    let pcm = lively(Band::Narrow, 4.0, 3);
    let heard = |kernel| {
        let mut listener = Listener::with_kernel(Band::Narrow, kernel);
        let mut frames = Vec::new();
        listener.hear(&pcm, Origin::Heard, |frame| frames.push(*frame));
        (frames, listener.quality())
    };
    let plain = heard(Kernel::scalar());
    for kernel in Kernel::all() {
        assert_eq!(heard(kernel), plain, "{}", kernel.name());
    }
}

/// Most of it are the 42 frames that wait for what follows them.
#[test]
fn a_listener_takes_a_few_kilobytes() {
    assert!(size_of::<Listener>() <= 10 * 1024, "{}", size_of::<Listener>());
}
