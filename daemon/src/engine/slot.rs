//! One place for a call: its streams, its ear, and the embeddings asked for.

use super::captured::Capture;
use super::ear::{Ear, ear_bytes};
use super::line::{BURST, Line};
use super::stream::{MediaSource, Traffic};
use super::{EmbedJob, EmbedOutcome, EngineError, Progress, StreamRole};
use crate::sys::media_socket::Batch;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;
use vouch_dsp::features::{Band, LogMel};
use vouch_dsp::sizes::{MAX_FRAMES, MIN_FRAMES};

/// Most streams of one call: two parties, and room for streams that a re-INVITE adds.
pub const MAX_STREAMS: usize = 4;
/// Memory of one call, allocated at start, in bytes.
pub fn state_bytes_per_call() -> usize {
    size_of::<Slot>() + ear_bytes()
}

/// Answers that may wait to be fetched, those still being worked on included.
const MAX_OUTSTANDING: usize = 2;

/// A slot of the pool.
#[derive(Debug)]
pub(super) struct Slot(Mutex<SlotState>);

/// What a slot holds.
#[derive(Debug)]
pub(super) struct SlotState {
    /// Which use of the slot this is; handles of earlier ones open nothing.
    pub(super) generation: u32,
    pub(super) open: bool,
    pub(super) lines: [Option<Line>; MAX_STREAMS],
    pub(super) jobs: Jobs,
    /// Whether the packets come from a tap, which also says what time it is.
    tapped: bool,
    /// Whether the caller may be listened to.
    analysed: bool,
    caller: Option<usize>,
    ear: Ear,
    /// Net speech at which somebody wants to know, in frames.
    mark: Option<u64>,
    /// The engine failed on this call: it hears nothing more.
    faulted: bool,
}

/// Embeddings asked for, being made, and made.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    /// Grows when speech is forgotten, so that an embedding of it is dropped.
    epoch: u32,
    pending: Option<EmbedJob>,
    running: bool,
    /// The slot stands in the workers' queue.
    queued: bool,
    done: heapless::Deque<EmbedOutcome, MAX_OUTSTANDING>,
}

/// A job that a worker has taken; the speech lies in its window, in the scale of the telephone.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartedJob {
    pub(super) job: EmbedJob,
    /// Widest band that the speech allows.
    pub(super) band: Band,
    epoch: u32,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self(Mutex::new(SlotState::new()))
    }

    /// The slot, whoever uses it. A panic elsewhere while it was held makes an error of that call alone.
    pub(super) fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(|poisoned| self.mend(poisoned))
    }

    /// The slot, unless somebody uses it just now.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, SlotState>> {
        match self.0.try_lock() {
            Ok(call) => Some(call),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(poisoned)) => Some(self.mend(poisoned)),
        }
    }

    fn mend<'a>(&self, poisoned: PoisonError<MutexGuard<'a, SlotState>>) -> MutexGuard<'a, SlotState> {
        self.0.clear_poison();
        let mut call = poisoned.into_inner();
        call.faulted = true;
        call
    }
}

impl SlotState {
    fn new() -> Self {
        Self {
            generation: 0,
            open: false,
            lines: [const { None }; MAX_STREAMS],
            jobs: Jobs::default(),
            tapped: false,
            analysed: false,
            caller: None,
            ear: Ear::new(),
            mark: None,
            faulted: false,
        }
    }

    pub(super) fn open(&mut self, analysed: bool, tapped: bool) {
        self.open = true;
        self.analysed = analysed;
        self.tapped = tapped;
    }

    /// Whether the packets come from a tap, and no receiver looks after the call.
    pub(super) fn is_tapped(&self) -> bool {
        self.tapped
    }

    /// Ends the use of the slot and wipes what it knew; gives what it counted.
    pub(super) fn close(&mut self) -> Traffic {
        let mut traffic = Traffic::default();
        self.forget();
        self.refresh();
        for line in self.lines.iter_mut().filter_map(Option::take) {
            traffic.add(&line.stream.traffic);
        }
        if self.faulted {
            // Whatever state the fault left behind must not meet the next call.
            self.ear = Ear::new();
        }
        // A worker may still run a job of this use; it will find the generation gone.
        self.jobs = Jobs { epoch: self.jobs.epoch, ..Jobs::default() };
        self.faulted = false;
        self.caller = None;
        self.open = false;
        self.generation = self.generation.wrapping_add(1);
        traffic
    }

    pub(super) fn set_analysed(&mut self, analysed: bool) {
        self.analysed = analysed;
        if !analysed {
            self.forget();
        }
        self.mute_the_unheard();
    }

    pub(super) fn set_role(&mut self, line: usize, role: StreamRole) {
        let caller = match role {
            StreamRole::Caller => Some(line),
            StreamRole::Other if self.caller == Some(line) => None,
            StreamRole::Other => self.caller,
        };
        if caller != self.caller {
            self.forget();
            self.caller = caller;
        }
        self.mute_the_unheard();
    }

    /// Applies what the SDP says of a line. What is sent during a hold is no loss.
    pub(super) fn set_source(&mut self, line: usize, source: MediaSource, now: Instant) {
        let Self { lines, ear, caller, .. } = self;
        let Some(stream) = lines[line].as_mut().map(|line| &mut line.stream) else { return };
        if *caller == Some(line) && stream.sending && !source.sending {
            ear.interrupt(&stream.payloads, now);
        }
        stream.set_source(source);
        self.mute_the_unheard();
    }

    pub(super) fn restart(&mut self) {
        self.ear.restart();
        self.drop_jobs();
    }

    /// Takes what came on the lines that are heard; with `all`, on those that are not and on the RTCP ports too.
    pub(super) fn receive(&mut self, batch: &mut Batch, all: bool, now: Instant) {
        for place in 0..MAX_STREAMS {
            let Some(line) = self.lines[place].as_mut() else { continue };
            if all {
                // What a report says of the stream comes after the packets before it.
                line.refresh(now);
                line.take_rtcp(batch);
            }
            if all || !line.is_muted() {
                self.receive_rtp(place, batch, now);
            }
        }
    }

    fn receive_rtp(&mut self, place: usize, batch: &mut Batch, now: Instant) {
        for _ in 0..BURST {
            let Some(line) = self.lines[place].as_mut() else { return };
            let more = line.receive(batch);
            for datagram in batch.datagrams() {
                match (datagram.truncated, self.lines[place].as_mut()) {
                    (true, Some(line)) => line.stream.traffic.malformed += 1,
                    _ => self.take_rtp(place, datagram.bytes, datagram.from, now),
                }
            }
            if !more {
                return;
            }
        }
    }

    /// Takes a datagram from a line's RTP port.
    pub(super) fn take_rtp(&mut self, line: usize, bytes: &mut [u8], from: SocketAddr, now: Instant) {
        let Self { lines, ear, analysed, caller, faulted, .. } = self;
        let Some(stream) = lines[line].as_mut().map(|line| &mut line.stream) else { return };
        let Some(packet) = stream.take_rtp(bytes, from, now) else { return };
        if *caller != Some(line) || !*analysed || !stream.sending || *faulted {
            stream.traffic.unheard += 1;
            return;
        }
        let heard = catch_unwind(AssertUnwindSafe(|| ear.take(&packet, &stream.payloads, now)));
        *faulted |= heard.is_err();
    }

    /// Takes what a capture device gave for a line; it counts as one packet.
    pub(super) fn take_capture(&mut self, line: usize, capture: &Capture<'_>) {
        let Self { lines, ear, analysed, caller, faulted, .. } = self;
        let Some(stream) = lines[line].as_mut().map(|line| &mut line.stream) else { return };
        stream.captured(capture.at);
        if *caller != Some(line) || !*analysed || *faulted {
            stream.traffic.unheard += 1;
            return;
        }
        let heard = catch_unwind(AssertUnwindSafe(|| ear.take_capture(capture)));
        *faulted |= heard.is_err();
    }

    /// Gives up packets that have been missing for too long.
    pub(super) fn tick(&mut self, now: Instant) {
        let Self { lines, ear, caller, faulted, .. } = self;
        let Some(line) = caller.and_then(|caller| lines[caller].as_ref()) else { return };
        if !*faulted {
            let ticked = catch_unwind(AssertUnwindSafe(|| ear.tick(&line.stream.payloads, now)));
            *faulted |= ticked.is_err();
        }
    }

    /// Whether packets wait for a tick.
    pub(super) fn is_waiting(&self) -> bool {
        !self.faulted && self.ear.is_waiting()
    }

    pub(super) fn set_mark(&mut self, frames: u64) {
        self.mark = Some(frames);
    }

    /// Whether the marked amount of net speech is reached, or a fault will keep it from ever being; true once a
    /// mark.
    pub(super) fn reached_mark(&mut self) -> bool {
        let due = self.faulted || self.mark.is_some_and(|mark| self.ear.speech_frames() >= mark);
        due && self.mark.take().is_some()
    }

    /// What all lines counted.
    pub(super) fn traffic(&self) -> Traffic {
        let mut traffic = self.ear.traffic();
        for line in self.lines.iter().flatten() {
            traffic.add(&line.stream.traffic);
        }
        traffic
    }

    pub(super) fn progress(&mut self) -> Progress {
        self.refresh();
        let facts = self.ear.facts();
        let caller = self.caller.and_then(|caller| self.lines[caller].as_ref()).map(|line| &line.stream);
        let mut traffic = self.ear.traffic();
        if let Some(stream) = caller {
            traffic.add(&stream.traffic);
        }
        let streams = || self.lines.iter().flatten().map(|line| &line.stream);
        Progress {
            net_speech_frames: self.ear.speech_frames(),
            quality: self.ear.quality(),
            band: self.ear.band(),
            codec: facts.codec,
            unsupported_type: facts.unsupported_type,
            foreign: facts.foreign,
            traffic,
            speech_from: facts.speech_from,
            speech_to: facts.speech_to,
            last_packet: streams().filter_map(|stream| stream.last_packet).max(),
            caller_last_packet: caller.and_then(|stream| stream.last_packet),
            said_goodbye: streams().any(|stream| stream.said_goodbye),
            faulted: self.faulted,
        }
    }

    /// Takes a wish for an embedding; true when the slot must be put into the workers' queue.
    pub(super) fn ask(&mut self, job: EmbedJob) -> Result<bool, EngineError> {
        if self.faulted {
            return Err(EngineError::Faulted);
        }
        let long_enough = (MIN_FRAMES as u64..=MAX_FRAMES as u64).contains(&job.frames);
        let held = job.first.checked_add(job.frames).is_some_and(|end| end <= self.ear.speech_frames());
        if !held || !long_enough {
            return Err(EngineError::NoSuchSpeech { held: self.ear.speech_frames() });
        }
        let jobs = &mut self.jobs;
        if jobs.pending.is_some() || usize::from(jobs.running) + jobs.done.len() >= MAX_OUTSTANDING {
            return Err(EngineError::Busy);
        }
        jobs.pending = Some(job);
        Ok(jobs.must_queue())
    }

    /// Hands the pending job to a worker, with the speech copied into `window`. Speech that was overwritten while the
    /// job waited is replaced by the oldest there is.
    pub(super) fn start_job(&mut self, window: &mut [LogMel; MAX_FRAMES]) -> Option<StartedJob> {
        self.jobs.queued = false;
        let mut job = self.jobs.pending.take()?;
        job.first = job.first.max(self.ear.speech_frames().saturating_sub(MAX_FRAMES as u64));
        // Forgetting speech drops the wishes for it, so what is wished for is there.
        if !self.ear.copy_window(job.first, &mut window[..job.frames as usize]) {
            return None;
        }
        self.jobs.running = true;
        Some(StartedJob { job, band: self.ear.band_from(job.first), epoch: self.jobs.epoch })
    }

    /// Takes the answer of a worker, unless the speech was forgotten meanwhile; true when the slot must be queued
    /// for the next job.
    pub(super) fn finish_job(&mut self, started: &StartedJob, outcome: EmbedOutcome) -> bool {
        self.jobs.running = false;
        if started.epoch == self.jobs.epoch {
            // Room is certain: `ask` takes no job beyond MAX_OUTSTANDING.
            let _ = self.jobs.done.push_back(outcome);
        }
        self.jobs.must_queue()
    }

    /// Has the kernel drop the packets that nobody would hear, of all lines but the caller's, on hold, of a caller who
    /// must not be analysed; and deliver the others.
    fn mute_the_unheard(&mut self) {
        let now = Instant::now();
        for (place, line) in self.lines.iter_mut().enumerate() {
            let Some(line) = line else { continue };
            let heard = self.caller == Some(place) && self.analysed && line.stream.sending;
            line.set_muted(!heard, now);
        }
    }

    /// Brings the counts of all lines up to date.
    fn refresh(&mut self) {
        let now = Instant::now();
        self.lines.iter_mut().flatten().for_each(|line| line.refresh(now));
    }

    fn forget(&mut self) {
        let counted = self.ear.clear();
        if let Some(line) = self.caller.and_then(|caller| self.lines[caller].as_mut()) {
            line.stream.traffic.add(&counted);
        }
        self.drop_jobs();
    }

    fn drop_jobs(&mut self) {
        self.jobs.epoch = self.jobs.epoch.wrapping_add(1);
        self.jobs.pending = None;
        self.jobs.done.clear();
        self.mark = None;
    }
}

impl Jobs {
    /// The oldest answer not fetched yet.
    pub(super) fn take_done(&mut self) -> Option<EmbedOutcome> {
        self.done.pop_front()
    }

    fn must_queue(&mut self) -> bool {
        let must = self.pending.is_some() && !self.running && !self.queued;
        self.queued |= must;
        must
    }
}

#[cfg(test)]
mod tests;
