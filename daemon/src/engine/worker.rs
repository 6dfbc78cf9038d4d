//! Worker threads: speech frames into embeddings.

use super::pool::Pool;
use super::slot::StartedJob;
use super::{CallSlot, EmbedFault, EmbedOutcome, Embeddings};
use crate::sys::priority::be_nice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::Instant;
use vouch_dsp::bandwidth::is_wideband;
use vouch_dsp::enrollment;
use vouch_dsp::features::{Band, LogMel};
use vouch_dsp::network::{EmbedError, Embedding, Network, Scratch, scratch_sizes};
use vouch_dsp::score::voices;
use vouch_dsp::sizes::{MAX_FRAMES, MELS};

/// Everything one embedding at a time needs, allocated once.
#[derive(Debug)]
pub(super) struct Bench {
    window: Box<[LogMel; MAX_FRAMES]>,
    /// The same in the scale of its own band; enrollment spoils what it embeds.
    copy: Box<[LogMel; MAX_FRAMES]>,
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
        Self {
            window: frames(),
            copy: frames(),
            narrow: vec![0; sizes.narrow].into_boxed_slice(),
            wide: vec![0; sizes.wide].into_boxed_slice(),
        }
    }

    /// The frames to embed: the caller writes them here.
    pub(super) fn window(&mut self) -> &mut [LogMel; MAX_FRAMES] {
        &mut self.window
    }

    /// Embeds the frames of a job, which are the first of the window.
    fn embed(&mut self, network: &Network<'_>, started: &StartedJob) -> Result<Embeddings, EmbedFault> {
        let made = catch_unwind(AssertUnwindSafe(|| self.embed_bands(network, started)));
        made.map_err(|_| EmbedFault::Panicked)?.map_err(EmbedFault::Refused)
    }

    /// A voiceprint of wideband speech serves calls of both bands; a call is embedded for the band that it has in common
    /// with the voiceprint. What merely came by a wideband codec is not wideband speech.
    fn embed_bands(&mut self, network: &Network<'_>, started: &StartedJob) -> Result<Embeddings, EmbedError> {
        let job = started.job;
        let frames = job.frames as usize;
        let mut made = Embeddings::default();
        if started.band == Band::Wide && (job.enrollment || job.wide) {
            let Self { window, copy, narrow, wide } = self;
            copy[..frames].copy_from_slice(&window[..frames]);
            copy[..frames].iter_mut().for_each(|frame| Band::Wide.from_telephone_scale(frame));
            if is_wideband(&copy[..frames]) {
                let mut scratch = Scratch { narrow, wide };
                let wanted = (Band::Wide, job.enrollment);
                let (embedding, several) = embed(network, &mut copy[..frames], wanted, &mut scratch)?;
                (made.wide, made.several_voices) = (Some(embedding), several);
            }
        }
        if job.enrollment || made.wide.is_none() {
            let Self { window, narrow, wide, .. } = self;
            let mut scratch = Scratch { narrow, wide };
            let wanted = (Band::Narrow, job.enrollment);
            let (embedding, several) = embed(network, &mut window[..frames], wanted, &mut scratch)?;
            made.narrow = Some(embedding);
            made.several_voices |= several;
        }
        Ok(made)
    }

    /// Leaves nothing of a voice behind.
    fn wipe(&mut self) {
        self.window.fill([0; MELS]);
        self.copy.fill([0; MELS]);
        self.narrow.fill(0);
        self.wide.fill(0);
    }
}

fn frames() -> Box<[LogMel; MAX_FRAMES]> {
    let frames = vec![[0; MELS]; MAX_FRAMES].into_boxed_slice().try_into();
    frames.unwrap_or_else(|_| unreachable!("a slice made with MAX_FRAMES frames has as many"))
}

/// The embedding of the frames, and whether several voices show in them.
fn embed(
    network: &Network<'_>,
    frames: &mut [LogMel],
    (band, enrollment): (Band, bool),
    scratch: &mut Scratch<'_>,
) -> Result<(Embedding, bool), EmbedError> {
    if enrollment {
        enrollment::embed(network, frames, band, scratch)
    } else {
        voices::embed(network, frames, band, scratch)
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

fn finish(pool: &Pool, slot: CallSlot, started: &StartedJob, result: Result<Embeddings, EmbedFault>) {
    // A call that ended meanwhile wants no answer.
    let Some(mut call) = pool.call(slot) else { return };
    let outcome = EmbedOutcome { job: started.job, result };
    if call.finish_job(started, outcome) {
        pool.queue.push(slot);
    }
    drop(call);
    pool.changes.tell(slot.index);
}
