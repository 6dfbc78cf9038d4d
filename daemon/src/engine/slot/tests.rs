//! A slot through the life of a call, with frames put into its ear.

use super::*;
use crate::engine::EmbedFault;
use crate::engine::codec::PayloadMap;
use crate::sys::media_socket::MediaSocket;
use std::net::Ipv4Addr;
use vouch_dsp::network::EmbedError;
use vouch_dsp::sizes::MELS;

const FROM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

fn line() -> Line {
    let bind = || MediaSocket::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
    Line::new(0, [bind(), bind()])
}

fn source(sending: bool) -> MediaSource {
    MediaSource { signalled: None, peer: FROM.ip(), payloads: PayloadMap::default(), sending, crypto: None }
}

/// An open call with two lines, the first of which is the caller's, and `frames` frames of speech.
fn call(frames: u64) -> SlotState {
    let mut call = SlotState::new();
    call.open(true, false);
    for place in 0..2 {
        call.lines[place] = Some(line());
        call.set_source(place, source(true), Instant::now());
    }
    call.set_role(0, StreamRole::Caller);
    call.ear.push_speech(frames);
    call
}

fn packet(sequence: u16) -> Vec<u8> {
    let mut bytes = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
    bytes[4..8].copy_from_slice(&(160 * u32::from(sequence)).to_be_bytes());
    bytes.extend([0xff; 160]);
    bytes
}

fn job(tag: u64, first: u64, frames: u64) -> EmbedJob {
    EmbedJob { tag, first, frames, enrollment: false, wide: false }
}

fn window() -> Box<[LogMel; MAX_FRAMES]> {
    vec![[0; MELS]; MAX_FRAMES].into_boxed_slice().try_into().unwrap()
}

fn outcome(started: &StartedJob) -> EmbedOutcome {
    let result = Err(EmbedFault::Refused(EmbedError::TooFewFrames));
    EmbedOutcome { job: started.job, result }
}

#[test]
fn only_speech_that_was_heard_can_be_embedded() {
    let mut call = call(1000);
    for (first, frames) in [(1, 1000), (0, 99), (0, 3001), (u64::MAX, 100)] {
        let refused = call.ask(job(1, first, frames));
        assert!(matches!(refused, Err(EngineError::NoSuchSpeech { held: 1000 })), "{first} {frames}");
    }
    assert!(call.ask(job(1, 0, 1000)).unwrap());
}

#[test]
fn two_embeddings_are_under_way_at_most_and_none_is_lost() {
    let (mut call, mut window) = (call(1000), window());
    assert!(call.ask(job(1, 0, 500)).unwrap());
    assert!(matches!(call.ask(job(2, 0, 500)), Err(EngineError::Busy)));
    let first = call.start_job(&mut window).unwrap();
    assert!(!call.ask(job(2, 100, 500)).unwrap(), "the worker that runs the first one queues the second");
    assert!(call.finish_job(&first, outcome(&first)));
    let second = call.start_job(&mut window).unwrap();
    assert!(matches!(call.ask(job(3, 0, 500)), Err(EngineError::Busy)));
    assert!(!call.finish_job(&second, outcome(&second)));
    assert!(matches!(call.ask(job(3, 0, 500)), Err(EngineError::Busy)));
    let tags: Vec<_> = std::iter::from_fn(|| call.jobs.take_done()).map(|done| done.job.tag).collect();
    assert_eq!(tags, [1, 2]);
    assert!(call.ask(job(3, 0, 500)).unwrap());
}

#[test]
fn a_window_that_was_overwritten_moves_to_the_oldest_speech_held() {
    let (mut call, mut window) = (call(3000), window());
    call.ask(job(1, 0, 1000)).unwrap();
    call.ear.push_speech(40);
    let started = call.start_job(&mut window).unwrap();
    assert_eq!(started.job, job(1, 40, 1000));
    assert_eq!((window[0][0], window[999][0]), (40, 1039));
}

#[test]
fn an_embedding_of_forgotten_speech_is_dropped() {
    let (mut call, mut window) = (call(1000), window());
    call.ask(job(1, 0, 500)).unwrap();
    let started = call.start_job(&mut window).unwrap();
    call.restart();
    assert_eq!(call.progress().net_speech_frames, 0);
    call.ear.push_speech(500);
    assert!(!call.ask(job(2, 0, 500)).unwrap());
    assert!(call.finish_job(&started, outcome(&started)), "the new wish is queued");
    assert_eq!(call.jobs.take_done(), None);
    assert_eq!(call.start_job(&mut window).unwrap().job.tag, 2);
}

#[test]
fn a_mark_is_told_once() {
    let mut call = call(10);
    call.set_mark(11);
    assert!(!call.reached_mark());
    call.ear.push_speech(1);
    assert!(call.reached_mark());
    assert!(!call.reached_mark());
}

#[test]
fn other_legs_holds_and_opted_out_callers_are_counted_and_not_heard() {
    let now = Instant::now();
    let mut call = call(0);
    call.take_rtp(1, &mut packet(1), FROM, now);
    call.set_source(0, source(false), now);
    call.take_rtp(0, &mut packet(1), FROM, now);
    call.set_source(0, source(true), now);
    call.set_analysed(false);
    call.take_rtp(0, &mut packet(2), FROM, now);
    let traffic = call.traffic();
    assert_eq!((traffic.packets, traffic.unheard), (3, 3));
    assert!(!call.is_waiting(), "the jitter buffer of the ear got nothing");
    call.set_analysed(true);
    call.take_rtp(0, &mut packet(3), FROM, now);
    assert!(call.is_waiting());
}

#[test]
fn switching_analysis_off_or_the_caller_over_forgets_what_was_held() {
    for forget in [
        |call: &mut SlotState| call.set_analysed(false),
        |call: &mut SlotState| call.set_role(1, StreamRole::Caller),
    ] {
        let mut call = call(1000);
        call.take_rtp(0, &mut packet(1), FROM, Instant::now());
        call.ask(job(1, 0, 500)).unwrap();
        forget(&mut call);
        assert_eq!(call.progress().net_speech_frames, 0);
        assert!(!call.is_waiting());
        assert!(call.start_job(&mut window()).is_none());
    }
}

#[test]
fn the_same_role_again_forgets_nothing() {
    let mut call = call(1000);
    call.set_role(0, StreamRole::Caller);
    call.set_role(1, StreamRole::Other);
    assert_eq!(call.progress().net_speech_frames, 1000);
}

#[test]
fn closing_wipes_counts_and_changes_the_generation() {
    let (mut call, mut window) = (call(1000), window());
    let now = Instant::now();
    for sequence in [1, 1, 2] {
        call.take_rtp(0, &mut packet(sequence), FROM, now);
    }
    call.ask(job(1, 0, 500)).unwrap();
    let started = call.start_job(&mut window).unwrap();
    let generation = call.generation;
    let traffic = call.close();
    assert_eq!((traffic.packets, traffic.jitter.duplicates), (3, 1));
    assert!(!call.open && call.generation != generation);
    assert!(call.lines.iter().all(Option::is_none));
    assert_eq!(call.traffic(), Traffic::default());
    call.open(true, false);
    call.ear.push_speech(500);
    assert!(call.ask(job(2, 0, 500)).unwrap(), "a job of the old call holds nothing up");
    assert_ne!(started.epoch, call.jobs.epoch);
}

#[test]
fn a_panic_while_a_slot_is_held_is_a_fault_of_that_call_alone() {
    let slot = Slot::new();
    slot.lock().open(true, false);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _call = slot.lock();
        panic!("a bug, on purpose");
    }));
    assert!(panicked.is_err());
    let mut call = slot.lock();
    assert!(call.progress().faulted);
    assert!(matches!(call.ask(job(1, 0, 500)), Err(EngineError::Faulted)));
    call.set_mark(100);
    assert!(call.reached_mark(), "who waits is told");
    call.close();
    call.open(true, false);
    assert!(!call.progress().faulted);
}
