//! What calls take in memory is what the engine says: no more than the state of each, made at start.

use std::fs;
use talk::{Leg, Talk};
use vouch::engine::state_bytes_per_call;

#[path = "support/talk.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
mod talk;

const CALLS: usize = 25;

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells a process about itself");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the line is always there");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024
}

#[test]
fn calls_take_their_state_and_nothing_else() {
    let Some(pcm) = talk::prompts(45) else { return };
    let packets = Talk { ssrc: 1, sequence: 1, timestamp: 1 }.packets(&pcm);
    let engine = talk::engine(CALLS);
    let idle = resident();
    let legs: Vec<Leg> = (0..CALLS).map(|_| Leg::open(&engine)).collect();
    for leg in &legs {
        leg.send(&packets);
        leg.wait(|progress| progress.quality.heard_ms == 45_000);
    }
    assert!(legs[0].progress().net_speech_frames > 3000, "the rings are full");
    let busy = resident();
    eprintln!(
        "resident: {} kB idle, {} kB more with {CALLS} calls of 45 s; state of a call {} kB",
        idle / 1024,
        busy.saturating_sub(idle) / 1024,
        state_bytes_per_call() / 1024
    );
    // Handles of this test, allocator and page granularity: 20 kB a call.
    assert!(busy.saturating_sub(idle) < CALLS * (state_bytes_per_call() + 20 * 1024));
}
