//! Worker threads: speech frames into embeddings.

use super::pool::Pool;
use super::slot::StartedJob;
use super::{CallSlot, EmbedFault, EmbedOutcome};
use crate::sys::priority::be_nice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;
use vouch_dsp::enrollment;
use vouch_dsp::features::LogMel;
use vouch_dsp::network::{Embedding, Network, Scratch, scratch_sizes};
use vouch_dsp::sizes::{MAX_FRAMES, MELS};

/// Everything one embedding at a time needs, allocated once.
#[derive(Debug)]
pub(super) struct Bench {
    window: Box<[LogMel; MAX_FRAMES]>,
    narrow: Box<[u8]>,
    wide: Box<[i16]>,
}

/// Niceness of a worker: packets are received first, and the gateway on the same box is served first, while a worker
/// still gets a tenth of a processor that somebody else wants whole.
const NICENESS: u8 = 10;

/// Runs one worker until the engine stops. Who asked first is served first; a call stands in the queue once.
pub(super) fn run(pool: &Pool, mut bench: Bench) {
    if let Err(error) = be_nice(NICENESS) {
        tracing::warn!(%error, "embeddings are made at the priority of everything else");
    }
    while let Some(slot) = pool.queue.pop() {
        let Some(started) = start(pool, slot, &mut bench) else { continue };
        let began = Instant::now();
        let result = bench.embed(&pool.network, &started);
        count(pool, began, result.is_err());
        finish(pool, slot, &started, result);
        bench.wipe();
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let sizes = scratch_sizes(MAX_FRAMES);
        let window = vec![[0; MELS]; MAX_FRAMES].into_boxed_slice().try_into();
        Self {
            window: window
                .unwrap_or_else(|_| unreachable!("a slice made with MAX_FRAMES frames has as many")),
            narrow: vec![0; sizes.narrow].into_boxed_slice(),
            wide: vec![0; sizes.wide].into_boxed_slice(),
        }
    }

    /// The frames to embed: the caller writes them here.
    pub(super) fn window(&mut self) -> &mut [LogMel; MAX_FRAMES] {
        &mut self.window
    }

    /// Embeds the frames of a job, which are the first of the window.
    fn embed(&mut self, network: &Network<'_>, started: &StartedJob) -> Result<Embedding, EmbedFault> {
        let Self { window, narrow, wide } = self;
        let frames = &mut window[..started.job.frames as usize];
        let mut scratch = Scratch { narrow, wide };
        let made = catch_unwind(AssertUnwindSafe(|| {
            if started.job.enrollment {
                enrollment::embed(network, frames, started.band, &mut scratch)
            } else {
                network.embed(frames, started.band, &mut scratch)
            }
        }));
        made.map_err(|_| EmbedFault::Panicked)?.map_err(EmbedFault::Refused)
    }

    /// Leaves nothing of a voice behind.
    fn wipe(&mut self) {
        self.window.fill([0; MELS]);
        self.narrow.fill(0);
        self.wide.fill(0);
    }
}

fn start(pool: &Pool, slot: CallSlot, bench: &mut Bench) -> Option<StartedJob> {
    pool.call(slot)?.start_job(bench.window())
}

fn count(pool: &Pool, began: Instant, failed: bool) {
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    pool.stats.embed_micros.fetch_add(micros, Ordering::Relaxed);
    pool.stats.embeddings.fetch_add(1, Ordering::Relaxed);
    pool.stats.embed_faults.fetch_add(u64::from(failed), Ordering::Relaxed);
}

fn finish(pool: &Pool, slot: CallSlot, started: &StartedJob, result: Result<Embedding, EmbedFault>) {
    // A call that ended meanwhile wants no answer.
    let Some(mut call) = pool.call(slot) else { return };
    let outcome = EmbedOutcome { job: started.job, band: started.band, result };
    if call.finish_job(started, outcome) {
        pool.queue.push(slot);
    }
    drop(call);
    pool.changes.tell(slot.index);
}
