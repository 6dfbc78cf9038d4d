//! Real UDP packets of real speech through the engine, over loopback.

use std::net::UdpSocket;
use std::time::Duration;
use talk::{KEYS, Leg, PACKET, Talk};
use vouch::engine::{EmbedJob, EmbedOutcome, EngineError, Progress, StreamRole};
use vouch_dsp::network::Embedding;

#[path = "support/talk.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
mod talk;

const START: Talk = Talk { ssrc: 7, sequence: 65_300, timestamp: 4_294_900_000 };

/// Waits for news of the call and fetches its embedding.
fn embedding(leg: &Leg, job: EmbedJob) -> EmbedOutcome {
    leg.engine.embed(leg.slot, job).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let told = async { tokio::time::timeout(Duration::from_secs(120), leg.engine.changed()).await };
    assert_eq!(runtime.block_on(told).expect("the embedding is told of"), leg.slot);
    leg.engine.take_embedding(leg.slot).expect("what was told of is there")
}

fn narrow(outcome: &EmbedOutcome) -> Embedding {
    outcome.result.expect("the speech is there").narrow.expect("telephone speech has this band")
}

/// Cosine of two unit vectors in Q15.
fn cosine(a: &Embedding, b: &Embedding) -> f64 {
    a.0.iter().zip(&b.0).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / f64::from(1 << 30)
}

/// Sends all packets and waits until so many milliseconds of the stream had their turn.
fn heard(leg: &Leg, packets: &[Vec<u8>], until_ms: u32) -> Progress {
    leg.send(packets);
    leg.wait(|progress| progress.quality.heard_ms >= until_ms)
}

#[test]
fn speech_becomes_net_speech_and_an_embedding() {
    let Some(pcm) = talk::prompts(16) else { return };
    let leg = Leg::open(&talk::engine(2));
    let progress = heard(&leg, &START.clone().packets(&pcm), 16_000);
    assert!((800..1600).contains(&progress.net_speech_frames), "{progress:?}");
    assert_eq!(progress.codec.map(|codec| codec.name()), Some("PCMU"));
    assert_eq!((progress.traffic.packets, progress.traffic.jitter.lost), (800, 0));
    assert!(progress.speech_from <= progress.speech_to && progress.speech_from.is_some());
    let job = EmbedJob { tag: 42, first: 0, frames: 800, enrollment: false, wide: false };
    let outcome = embedding(&leg, job);
    assert_eq!(outcome.job, job);
    let embedding = narrow(&outcome);
    let length = cosine(&embedding, &embedding);
    assert!((0.99..1.01).contains(&length), "{length}");
}

#[test]
fn order_and_repeats_change_nothing_at_all() {
    let Some(pcm) = talk::prompts(12) else { return };
    let engine = talk::engine(2);
    let packets = START.clone().packets(&pcm);
    let mut shaken = packets.clone();
    for block in shaken.chunks_mut(12) {
        block.reverse();
    }
    for place in (10..shaken.len()).step_by(9).rev() {
        shaken.insert(place, shaken[place - 5].clone());
    }
    let outcomes = [packets, shaken].map(|packets| {
        let leg = Leg::open(&engine);
        let progress = heard(&leg, &packets, 12_000);
        let outcome =
            embedding(&leg, EmbedJob { tag: 1, first: 0, frames: 600, enrollment: false, wide: false });
        engine.close_call(leg.slot);
        (progress.net_speech_frames, progress.quality, outcome)
    });
    assert_eq!(outcomes[0], outcomes[1]);
}

#[test]
fn five_percent_loss_leaves_the_voice_the_same() {
    let Some(pcm) = talk::prompts(16) else { return };
    let engine = talk::engine(2);
    let packets = START.clone().packets(&pcm);
    let lossy = packets.iter().enumerate().filter(|(place, _)| place % 20 != 13).map(|(_, packet)| packet);
    let lossy: Vec<_> = lossy.cloned().collect();
    let outcomes = [packets, lossy].map(|packets| {
        let leg = Leg::open(&engine);
        let progress = heard(&leg, &packets, 16_000);
        let outcome =
            embedding(&leg, EmbedJob { tag: 1, first: 0, frames: 700, enrollment: false, wide: false });
        engine.close_call(leg.slot);
        (progress, narrow(&outcome))
    });
    let [(whole, all), (gaps, most)] = outcomes;
    assert_eq!((whole.traffic.jitter.lost, gaps.traffic.jitter.lost), (0, 40));
    assert_eq!((whole.quality.concealed_ms, gaps.quality.concealed_ms), (0, 800));
    assert!(gaps.net_speech_frames < whole.net_speech_frames, "what is invented is no speech");
    let alike = cosine(&all, &most);
    assert!(alike > 0.9, "{alike}");
}

#[test]
fn holds_pauses_and_key_presses_are_no_speech() {
    let Some(pcm) = talk::prompts(8) else { return };
    let leg = Leg::open(&talk::engine(1));
    let mut talk = START;
    // Silence behind the talk, so that its last frames are judged before the hold begins.
    let before = heard(&leg, &talk.packets(&[&pcm[..], &[0; 8_000]].concat()), 9_000);
    leg.set_sending(false);
    leg.send(&talk.packets(&pcm));
    leg.set_sending(true);
    talk.timestamp = talk.timestamp.wrapping_add(5 * 8000);
    let duration = (PACKET * 50) as u16;
    let keys: Vec<_> =
        (0..10).map(|_| talk.packet(KEYS, &[[1, 10], duration.to_be_bytes()].concat())).collect();
    leg.send(&keys);
    // The talk that some gateways let through beside the key's packets.
    let after = heard(&leg, &talk.packets(&pcm[..PACKET * 50]), before.quality.heard_ms + 1000);
    assert_eq!(after.traffic.unheard, 400);
    assert!(after.net_speech_frames <= before.net_speech_frames + 30, "{before:?} {after:?}");
    assert_eq!(after.quality.concealed_ms, 0, "a pause is not a loss: {after:?}");
}

#[test]
fn an_opted_out_caller_is_counted_and_never_heard() {
    let Some(pcm) = talk::prompts(4) else { return };
    let leg = Leg::open(&talk::engine(1));
    let mut talk = START;
    leg.send(&talk.packets(&pcm));
    leg.engine.set_analysed(leg.slot, false).unwrap();
    leg.send(&talk.packets(&pcm));
    let progress = leg.progress();
    assert_eq!((progress.traffic.packets, progress.traffic.unheard), (400, 200));
    assert_eq!((progress.net_speech_frames, progress.quality.heard_ms, progress.speech_from), (0, 0, None));
}

#[test]
fn handles_die_with_their_call_and_a_full_pool_refuses_the_next() {
    let engine = talk::engine(1);
    let leg = Leg::open(&engine);
    assert!(matches!(engine.open_call(true), Err(EngineError::PoolFull(1))));
    let port = leg.to.port();
    engine.close_call(leg.slot);
    engine.close_call(leg.slot);
    let next = engine.open_call(true).unwrap();
    assert!(engine.progress(leg.slot).is_none());
    assert!(matches!(engine.restart(leg.slot), Err(EngineError::NoSuchCall)));
    assert!(matches!(engine.set_role(leg.stream, StreamRole::Other), Err(EngineError::NoSuchCall)));
    let (_, next_port) = engine.open_stream(next, leg.to.ip(), StreamRole::Caller).unwrap();
    assert_ne!(port, next_port, "late packets of the old call do not meet the new one");
    let counters = engine.counters();
    assert_eq!((counters.calls, counters.max_calls, counters.refused_calls), (1, 1, 1));
}

#[test]
fn packets_from_elsewhere_are_dropped_and_counted() {
    let Some(pcm) = talk::prompts(1) else { return };
    let leg = Leg::open(&talk::engine(1));
    let packets = START.clone().packets(&pcm);
    leg.send(&packets[..25]);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(&packets[25], leg.to).unwrap();
    let elsewhere = UdpSocket::bind("127.0.0.2:0").unwrap();
    elsewhere.send_to(&packets[25], leg.to).unwrap();
    let progress = leg.wait(|progress| progress.traffic.wrong_source == 2);
    assert_eq!(progress.traffic.packets, 25);
}
