//! Real speech in every codec through the engine, over loopback.

use crate::opus::OpusEncoder;
use coded::{ALLISON, CARLO, payloads};
use std::time::Duration;
use talk::{Leg, Talk};
use vouch::audio::Recording;
use vouch::engine::codec::Codec;
use vouch::engine::{EmbedJob, Embeddings, Engine, Progress};
use vouch_dsp::features::Band;
use vouch_dsp::score::{Comparison, Curves, Sample, compare};

#[path = "support/coded.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod coded;
#[path = "support/linked.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod linked;
#[path = "support/opus.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod opus;
#[path = "support/talk.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
mod talk;

const START: Talk = Talk { ssrc: 7, sequence: 65_300, timestamp: 4_294_900_000 };

/// A call in one codec; gives what was heard.
fn call(engine: &Engine, codec: Codec, payloads: &[Vec<u8>]) -> (Leg, Progress) {
    let leg = Leg::open(engine);
    leg.send(&START.clone().coded(codec, payloads));
    let milliseconds = 20 * payloads.len() as u32;
    let progress = leg.wait(|progress| progress.quality.heard_ms >= milliseconds);
    (leg, progress)
}

/// The voice of a call, of so many frames of net speech; the call ends.
fn voice(engine: &Engine, leg: &Leg, job: EmbedJob) -> Embeddings {
    engine.embed(leg.slot, job).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let outcome = runtime.block_on(async {
        loop {
            let told = tokio::time::timeout(Duration::from_secs(120), engine.changed()).await;
            if told.expect("the embedding is told of") == leg.slot
                && let Some(outcome) = engine.take_embedding(leg.slot)
            {
                return outcome;
            }
        }
    });
    engine.close_call(leg.slot);
    outcome.result.unwrap()
}

fn samples(made: &Embeddings, net_speech_ms: u32) -> Vec<Sample<'_>> {
    let narrow =
        made.narrow.as_ref().map(|embedding| Sample { embedding, band: Band::Narrow, net_speech_ms });
    let wide = made.wide.as_ref().map(|embedding| Sample { embedding, band: Band::Wide, net_speech_ms });
    narrow.into_iter().chain(wide).collect()
}

fn enrolled(engine: &Engine, codec: Codec, person: &str) -> Option<Embeddings> {
    let (leg, progress) = call(engine, codec, &payloads(codec, person, 0, 50)?);
    assert!(progress.net_speech_frames >= 2500, "{codec:?} {progress:?}");
    let first = progress.net_speech_frames - 2500;
    Some(voice(engine, &leg, EmbedJob { tag: 1, first, frames: 2500, enrollment: true, wide: false }))
}

/// What a later call scores: other words, 10 s of net speech.
fn verified(engine: &Engine, enrolled: &Embeddings, codec: Codec, person: &str) -> Option<Comparison> {
    let (leg, progress) = call(engine, codec, &payloads(codec, person, 1, 22)?);
    assert!(progress.net_speech_frames >= 1000, "{codec:?} {progress:?}");
    let wide = enrolled.wide.is_some();
    let test = voice(engine, &leg, EmbedJob { tag: 1, first: 0, frames: 1000, enrollment: false, wide });
    let figures = compare(&samples(enrolled, 25_000), &samples(&test, 10_000), Curves::shipped()).unwrap();
    eprintln!("{codec:?} {person}: score {:.1} in the {:?} band", figures.score, figures.band);
    Some(figures)
}

#[test]
fn every_codec_gives_the_speech_that_is_in_it() {
    let engine = talk::engine(2);
    for codec in Codec::decoded() {
        let Some(payloads) = payloads(codec, ALLISON, 0, 12) else { return };
        let (leg, progress) = call(&engine, codec, &payloads);
        assert_eq!((progress.codec, progress.band), (Some(codec), codec.band()));
        assert!((700..1200).contains(&progress.net_speech_frames), "{codec:?} {progress:?}");
        assert_eq!((progress.quality.heard_ms, progress.quality.concealed_ms), (12_000, 0), "{codec:?}");
        engine.close_call(leg.slot);
    }
}

#[test]
fn an_enrollment_over_g711_verifies_a_caller_in_every_codec() {
    let engine = talk::engine(2);
    let Some(enrolled) = enrolled(&engine, Codec::Pcmu, ALLISON) else { return };
    assert!(enrolled.wide.is_none());
    for codec in Codec::decoded() {
        let Some(figures) = verified(&engine, &enrolled, codec, ALLISON) else { return };
        assert!(figures.score >= 90.0 && figures.band == Band::Narrow, "{codec:?} {figures:?}");
    }
    for codec in [Codec::G722, Codec::Opus, Codec::Pcma] {
        let Some(figures) = verified(&engine, &enrolled, codec, CARLO) else { return };
        assert!(figures.score < 90.0, "{codec:?} {figures:?}");
    }
}

#[test]
fn a_wideband_enrollment_serves_both_bands() {
    let engine = talk::engine(2);
    let Some(enrolled) = enrolled(&engine, Codec::G722, ALLISON) else { return };
    assert!(enrolled.wide.is_some() && enrolled.narrow.is_some());
    for codec in [Codec::G722, Codec::Opus, Codec::Pcmu, Codec::Gsm] {
        let Some(figures) = verified(&engine, &enrolled, codec, ALLISON) else { return };
        assert!(figures.score >= 90.0 && figures.band == codec.band(), "{codec:?} {figures:?}");
    }
    for codec in [Codec::G722, Codec::Pcmu] {
        let Some(figures) = verified(&engine, &enrolled, codec, CARLO) else { return };
        assert!(figures.score < 90.0, "{codec:?} {figures:?}");
    }
}

#[test]
fn telephone_speech_that_comes_as_opus_is_compared_as_telephone_speech() {
    let engine = talk::engine(1);
    let (Some(enrolled), Some(pcm)) = (enrolled(&engine, Codec::G722, ALLISON), talk::prompts(120)) else {
        return;
    };
    let later = Recording { pcm: pcm[98 * 8000..].to_vec(), rate: 8000 };
    let packets = OpusEncoder::open().packets(&later.pcm_at(Band::Wide));
    let (leg, progress) = call(&engine, Codec::Opus, &packets);
    assert!(progress.net_speech_frames >= 1000 && progress.band == Band::Wide, "{progress:?}");
    let job = |enrollment| EmbedJob { tag: 1, first: 0, frames: 1000, enrollment, wide: true };
    let test = voice(&engine, &leg, job(false));
    assert!(test.wide.is_none());
    let figures = compare(&samples(&enrolled, 25_000), &samples(&test, 10_000), Curves::shipped()).unwrap();
    assert!(figures.score >= 90.0 && figures.band == Band::Narrow, "{figures:?}");
    let (leg, _) = call(&engine, Codec::Opus, &packets);
    assert!(voice(&engine, &leg, job(true)).wide.is_none(), "a wideband voiceprint of telephone speech");
}

#[test]
fn a_codec_change_in_the_stream_keeps_the_speech_for_the_telephone_band() {
    let engine = talk::engine(1);
    let (Some(narrow), Some(wide)) =
        (payloads(Codec::Pcmu, ALLISON, 0, 10), payloads(Codec::G722, ALLISON, 1, 10))
    else {
        return;
    };
    let leg = Leg::open(&engine);
    let mut talk = START;
    leg.send(&talk.coded(Codec::Pcmu, &narrow));
    let before = leg.wait(|progress| progress.quality.heard_ms == 10_000);
    leg.send(&talk.coded(Codec::G722, &wide));
    let after = leg.wait(|progress| progress.quality.heard_ms == 20_000);
    assert_eq!((after.codec, after.band, after.traffic.jitter.restarts), (Some(Codec::G722), Band::Wide, 0));
    assert!(after.net_speech_frames > before.net_speech_frames + 500, "{before:?} {after:?}");
    assert_eq!(after.quality.concealed_ms, 0);
    let Some(enrolled) = enrolled(&talk::engine(1), Codec::Pcma, ALLISON) else { return };
    // A stretch that begins before the change is embedded for the telephone band, whatever is wished.
    let frames = 1000.min(after.net_speech_frames);
    let test = voice(&engine, &leg, EmbedJob { tag: 1, first: 200, frames, enrollment: false, wide: true });
    assert!(test.wide.is_none());
    let figures = compare(&samples(&enrolled, 25_000), &samples(&test, 10_000), Curves::shipped()).unwrap();
    assert!(figures.score >= 90.0, "{figures:?}");
}

#[test]
fn thirty_percent_loss_counts_only_what_was_heard() {
    let engine = talk::engine(2);
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let Some(payloads) = payloads(codec, ALLISON, 0, 20) else { return };
        let (leg, whole) = call(&engine, codec, &payloads);
        engine.close_call(leg.slot);
        let packets = START.clone().coded(codec, &payloads);
        // Three of ten, in a row; the last packet arrives.
        let kept = packets.iter().enumerate().filter(|(place, _)| !(4..7).contains(&(place % 10)));
        let kept: Vec<_> = kept.map(|(_, packet)| packet.clone()).collect();
        let leg = Leg::open(&engine);
        leg.send(&kept);
        let lossy = leg.wait(|progress| progress.quality.heard_ms >= 20_000);
        assert_eq!((lossy.traffic.jitter.lost, lossy.quality.concealed_ms), (300, 6000), "{codec:?}");
        let share = lossy.net_speech_frames as f64 / whole.net_speech_frames as f64;
        assert!((0.2..0.7).contains(&share), "{codec:?}: {share}");
        engine.close_call(leg.slot);
    }
}

#[test]
fn silence_that_opus_does_not_send_is_no_loss() {
    let engine = talk::engine(1);
    let Some(payloads) = payloads(Codec::Opus, ALLISON, 0, 4) else { return };
    let leg = Leg::open(&engine);
    let mut talk = START;
    leg.send(&talk.coded(Codec::Opus, &payloads));
    // Frames without audio every 400 ms, then talk again.
    for _ in 0..10 {
        leg.send(&[talk.packet(talk::payload_type(Codec::Opus), &[payloads[0][0]])]);
        talk.timestamp = talk.timestamp.wrapping_add(48_000 * 2 / 5);
    }
    leg.send(&talk.coded(Codec::Opus, &payloads));
    let progress = leg.wait(|progress| progress.quality.heard_ms >= 8200);
    assert_eq!((progress.quality.heard_ms, progress.quality.concealed_ms), (8200, 0), "{progress:?}");
    assert_eq!((progress.traffic.jitter.lost, progress.traffic.unsupported), (0, 0));
}

#[test]
fn a_codec_that_nobody_decodes_is_named() {
    let leg = Leg::open(&talk::engine(1));
    let mut talk = START;
    let packets: Vec<_> = (0..5).map(|_| talk.packet(15, &[0; 20])).collect();
    leg.send(&packets);
    let progress = leg.wait(|progress| progress.traffic.unsupported > 0);
    assert_eq!(progress.foreign.map(vouch::engine::codec::Foreign::name), Some("G728"));
    assert_eq!((progress.codec, progress.unsupported_type), (None, Some(15)));
}
