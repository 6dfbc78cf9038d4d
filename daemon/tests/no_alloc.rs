//! After start nothing allocates between the RTP packet and the embedding.

#![allow(unsafe_code, reason = "a global allocator that counts can be written in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use talk::{KEYS, Leg, Talk};
use vouch::audio::Resampler;
use vouch::engine::codec::Codec;
use vouch::engine::{Capture, EmbedJob, Engine};
use vouch::wire::srtp::{MasterKey, Suite, Unprotector};
use vouch_dsp::features::Band;

#[path = "support/coded.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
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

/// The system's allocator, counting what all threads ask of it while it is armed.
struct Counting;

static ARMED: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn count() {
    if ARMED.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above; `memory` came from `System`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `body` gives, and how many allocations all threads made meanwhile.
fn counted<T>(body: impl FnOnce() -> T) -> (T, u64) {
    ALLOCATIONS.store(0, Ordering::SeqCst);
    ARMED.store(true, Ordering::SeqCst);
    let value = body();
    ARMED.store(false, Ordering::SeqCst);
    (value, ALLOCATIONS.load(Ordering::SeqCst))
}

/// Packets with all that a bad line does to them: order, repeats, losses, key presses, unknown codecs, garbage, a new
/// source, reports.
fn on_a_bad_line(pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut talk = Talk { ssrc: 7, sequence: 65_500, timestamp: u32::MAX - 4000 };
    let (first, second) = pcm.split_at(pcm.len() / 2);
    let mut packets = talk.packets(first);
    packets.push(talk.packet(KEYS, &[5, 10, 0, 160]));
    packets.push(talk.packet(99, b"nobody decodes this"));
    packets.push(b"garbage".to_vec());
    packets.push(vec![0x81, 203, 0, 1, 0, 0, 0, 7]);
    talk = Talk { ssrc: 8, sequence: 5, timestamp: 0 };
    packets.extend(talk.packets(second));
    for place in (20..packets.len() - 8).step_by(50) {
        packets.swap(place, place + 3);
        packets[place + 7] = packets[place + 6].clone();
    }
    packets
}

#[test]
fn nothing_allocates_between_packet_and_embedding() {
    let counter = counted(|| drop(std::hint::black_box(vec![0_u8; 100]))).1;
    assert_eq!(counter, 1, "the counter counts");
    protected_packets();

    let Some(pcm) = talk::prompts(20) else { return };
    let mut packets = on_a_bad_line(&pcm);
    let mut talk = Talk { ssrc: 9, sequence: 1, timestamp: 0 };
    let last = Codec::decoded().last();
    for codec in Codec::decoded() {
        let Some(payloads) = coded::payloads(codec, coded::ALLISON, 1, 2) else { return };
        packets.extend(talk.coded(codec, &payloads));
    }
    let engine = talk::engine(2);
    captured_audio(&engine, &pcm);
    let leg = Leg::open(&engine);
    let (progress, allocations) = counted(|| {
        leg.send(&packets);
        leg.wait(|progress| progress.net_speech_frames > 1500 && progress.codec == last)
    });
    assert_eq!(allocations, 0, "from packet to features");
    assert!(progress.traffic.jitter.lost > 0 && progress.traffic.jitter.duplicates > 0, "{progress:?}");
    assert_eq!((progress.traffic.unsupported, progress.traffic.jitter.restarts), (1, 2));

    let (outcome, allocations) = counted(|| {
        leg.engine
            .embed(leg.slot, EmbedJob { tag: 3, first: 0, frames: 800, enrollment: false, wide: false })
            .unwrap();
        loop {
            if let Some(outcome) = leg.engine.take_embedding(leg.slot) {
                return outcome;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    assert_eq!(allocations, 0, "through the embedding");
    assert!(outcome.result.is_ok(), "{outcome:?}");

    let (closed, allocations) = counted(|| {
        leg.engine.close_call(leg.slot);
        leg.engine.progress(leg.slot).is_none()
    });
    assert_eq!((closed, allocations), (true, 0));
}

/// Hears a capture device whose rate is converted, with a loss in between.
fn captured_audio(engine: &Engine, pcm: &[i16]) {
    let (slot, stream) = engine.open_captured_call(true).unwrap();
    let mut resampler = Resampler::new(8_000, 16_000);
    let mut wide = Vec::with_capacity(2 * 320 + 1);
    let ((), allocations) = counted(|| {
        for (block, pcm) in pcm.chunks(320).enumerate() {
            wide.clear();
            resampler.push(pcm, &mut |sample| wide.push(sample));
            let lost = if block == 50 { 8_000 } else { 0 };
            let at = Instant::now();
            engine.hear_capture(stream, &Capture { pcm: &wide, band: Band::Wide, lost, at });
        }
    });
    assert_eq!(allocations, 0, "from the sound card to features");
    let progress = engine.progress(slot).unwrap();
    assert!(progress.net_speech_frames > 500 && progress.quality.concealed_ms == 500, "{progress:?}");
    engine.close_call(slot);
}

/// Opens SRTP and SRTCP under each suite; that the packets are not authentic spares no step but the last.
fn protected_packets() {
    let packet = [[0x80, 0].as_slice(), &[9; 200]].concat();
    let report = [[0x80, 200].as_slice(), &[9; 60]].concat();
    for suite in Suite::ALL {
        let key = MasterKey::new(suite, &vec![7; MasterKey::length(suite)]).unwrap();
        let mut unprotector = Unprotector::new(&key, 0);
        let (mut packet, mut report) = (packet.clone(), report.clone());
        let (taken, allocations) =
            counted(|| (unprotector.rtp(&mut packet).is_ok(), unprotector.rtcp(&mut report).is_ok()));
        assert_eq!((taken, allocations), ((false, false), 0), "{suite:?}");
    }
}
