//! The engine: from UDP packets to embeddings, on memory and threads that are all made at start.
//!
//! A fixed pool of call slots, each with the streams of a call, a jitter buffer, a detector and the newest 30 s of net
//! speech; receiver threads that carry packets from the sockets into the slots; worker threads that turn speech into
//! embeddings. [`Engine`] is the handle that the exchange holds. Read in the order the audio flows: `source`, `protection`,
//! `stream`, `jitter`, [`codec`], `decoders`, `clock`, `ear`, `slot`; then the threads, `receive` and `worker`.

mod captured;
mod clock;
pub mod codec;
mod decoders;
mod ear;
mod error;
mod jitter;
mod line;
mod occupied;
mod offline;
mod path;
mod pool;
mod ports;
mod protection;
mod receive;
mod slot;
mod source;
mod stream;
mod tapped;
mod worker;

pub use captured::Capture;
pub use error::{EmbedFault, EngineError};
pub use jitter::JitterCounts;
pub use offline::RecordingsError;
pub use path::PacketPath;
pub use slot::{MAX_STREAMS, state_bytes_per_call};
pub use stream::{MediaSource, Traffic};

use crate::audio::Recording;
use crate::sys::media_socket::{Batch, MediaSocket};
use codec::{Codec, Foreign};
use line::Line;
use pool::{Pool, relock};
use slot::SlotState;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vouch_dsp::features::Band;
use vouch_dsp::listener::Quality;
use vouch_dsp::network::{Embedding, Network};

/// Sizes of the engine, fixed at start.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Calls at once.
    pub max_calls: usize,
    /// Ports for RTP (even) and RTCP (odd).
    pub ports: RangeInclusive<u16>,
    /// Threads that make embeddings; [`EngineConfig::default_workers`] where zero.
    pub workers: usize,
    /// Threads that receive packets; zero counts as one.
    pub receivers: usize,
}

/// Calls that one receiver carries with ease.
const CALLS_PER_RECEIVER: usize = 1000;

impl EngineConfig {
    /// One receiver for each thousand calls, but no more than the box has cores.
    pub fn default_receivers(max_calls: usize) -> usize {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        max_calls.div_ceil(CALLS_PER_RECEIVER).clamp(1, cores)
    }

    /// One worker less than the box has cores, so that packets never wait for embeddings, but one at least.
    pub fn default_workers() -> usize {
        thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
    }
}

/// Handle of a call's slot; it dies with the call and never opens another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallSlot {
    index: u32,
    generation: u32,
}

/// Handle of one stream of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    slot: CallSlot,
    line: usize,
}

impl StreamId {
    /// The call that it is a stream of.
    pub const fn slot(self) -> CallSlot {
        self.slot
    }
}

/// Whose stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRole {
    /// The caller's: the one that is heard.
    Caller,
    /// Anybody else's: counted, never decoded.
    Other,
}

/// What a call has given so far.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Net speech since the last restart, in frames of 10 ms.
    pub net_speech_frames: u64,
    /// Figures of the caller's audio since the last restart.
    pub quality: Quality,
    /// Band of the caller's audio.
    pub band: Band,
    /// Codec of the caller's last packet.
    pub codec: Option<Codec>,
    /// Payload type that came and that nobody decodes.
    pub unsupported_type: Option<u8>,
    /// Codec that came and that nobody decodes.
    pub foreign: Option<Foreign>,
    /// Packets of the caller's stream.
    pub traffic: Traffic,
    /// When the first frame of the net speech came.
    pub speech_from: Option<Instant>,
    /// When the newest one came.
    pub speech_to: Option<Instant>,
    /// When the last packet of any stream came.
    pub last_packet: Option<Instant>,
    /// When the last packet of the caller's stream came.
    pub caller_last_packet: Option<Instant>,
    /// A source said goodbye by RTCP and sent nothing since.
    pub said_goodbye: bool,
    /// The engine failed on this call; nothing more is heard.
    pub faulted: bool,
}

/// A wish for an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedJob {
    /// Names the wish.
    pub tag: u64,
    /// First frame, counted from the last restart.
    pub first: u64,
    /// Frames.
    pub frames: u64,
    /// Whether it is for a voiceprint, that is also of a noisy copy of the speech, and of wideband speech for both
    /// bands.
    pub enrollment: bool,
    /// Whether wideband speech is to be compared in the wide band: the voiceprint has an embedding of it.
    pub wide: bool,
}

/// What the network made of a stretch of speech: an embedding for each band that was wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embeddings {
    /// For comparison with the telephone.
    pub narrow: Option<Embedding>,
    /// Of wideband speech alone, for comparison with its like.
    pub wide: Option<Embedding>,
    /// Whether more than one voice was heard; known of 8 s of net speech and more.
    pub several_voices: bool,
}

/// An embedding, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedOutcome {
    /// The wish. Its first frame is later than asked where speech was overwritten while the wish waited.
    pub job: EmbedJob,
    /// What came of it.
    pub result: Result<Embeddings, EmbedFault>,
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineCounters {
    /// Packets of all calls, ended ones included.
    pub traffic: Traffic,
    /// Slots in use.
    pub calls: usize,
    /// Slots there are.
    pub max_calls: usize,
    /// Calls refused because all slots were taken.
    pub refused_calls: u64,
    /// Free port pairs.
    pub free_ports: usize,
    /// Embeddings asked for and not begun.
    pub queued: usize,
    /// Embeddings made, or tried.
    pub embeddings: u64,
    /// Those that failed.
    pub embed_faults: u64,
    /// Time spent on them.
    pub embed_time: Duration,
}

/// Handle of the engine; cheap to clone. The threads end with the last handle.
#[derive(Clone, Debug)]
pub struct Engine {
    pool: Arc<Pool>,
    _threads: Arc<Threads>,
}

impl Engine {
    /// Allocates everything and starts the threads.
    ///
    /// # Errors
    /// [`EngineError`] when the sizes are impossible or the system gives no threads.
    pub fn start(config: &EngineConfig, network: Network<'static>) -> Result<Self, EngineError> {
        let pool = Arc::new(Pool::new(config, network)?);
        let workers = match config.workers {
            0 => EngineConfig::default_workers(),
            workers => workers,
        };
        let threads = Threads::start(&pool, workers).map_err(EngineError::Start)?;
        Ok(Self { pool, _threads: Arc::new(threads) })
    }

    /// Takes a slot for a call. Where the caller must not be analysed (opted out, or not yet known), say so: then
    /// packets are only counted until [`Self::set_analysed`].
    ///
    /// # Errors
    /// [`EngineError::PoolFull`]; other calls are not affected.
    pub fn open_call(&self, analysed: bool) -> Result<CallSlot, EngineError> {
        self.take_slot(analysed, false)
    }

    fn take_slot(&self, analysed: bool, tapped: bool) -> Result<CallSlot, EngineError> {
        let Some(index) = self.pool.free().slots.pop_front() else {
            self.pool.stats.refused_calls.fetch_add(1, Ordering::Relaxed);
            return Err(EngineError::PoolFull(self.pool.slots.len()));
        };
        let mut call = self.pool.slots[index as usize].lock();
        call.open(analysed, tapped);
        self.pool.occupied.enter(index);
        Ok(CallSlot { index, generation: call.generation })
    }

    /// Opens a stream of a call on `local`; gives its even RTP port, RTCP is one above. It takes nothing until
    /// [`Self::set_remote`]. A second caller's stream takes the place of the first.
    ///
    /// # Errors
    /// [`EngineError`] names what is missing: the call, room for a stream, a port, the address.
    pub fn open_stream(
        &self,
        slot: CallSlot,
        local: IpAddr,
        role: StreamRole,
    ) -> Result<(StreamId, u16), EngineError> {
        let (port, sockets) = self.bind(local)?;
        match self.add_line(slot, Line::new(port, sockets), role) {
            Ok(stream) => Ok((stream, port)),
            Err(fault) => {
                self.pool.free().ports.give_back(port);
                Err(fault)
            }
        }
    }

    /// Applies what the SDP says of a stream, at first and at every re-INVITE.
    ///
    /// # Errors
    /// [`EngineError::NoSuchCall`].
    pub fn set_remote(&self, stream: StreamId, source: MediaSource) -> Result<(), EngineError> {
        self.call(stream.slot)?.set_source(stream.line, source, Instant::now());
        Ok(())
    }

    /// Says whose stream it is. When the caller's stream becomes another one, what was heard is forgotten, with all
    /// embeddings not fetched yet.
    ///
    /// # Errors
    /// [`EngineError::NoSuchCall`].
    pub fn set_role(&self, stream: StreamId, role: StreamRole) -> Result<(), EngineError> {
        self.call(stream.slot)?.set_role(stream.line, role);
        Ok(())
    }

    /// Switches the analysis of a call. Off: packets are counted, never decoded, and everything held is wiped.
    ///
    /// # Errors
    /// [`EngineError::NoSuchCall`].
    pub fn set_analysed(&self, slot: CallSlot, analysed: bool) -> Result<(), EngineError> {
        self.call(slot)?.set_analysed(analysed);
        Ok(())
    }

    /// Forgets the speech collected, the embeddings not fetched yet, and the mark; frames count from zero again.
    ///
    /// # Errors
    /// [`EngineError::NoSuchCall`].
    pub fn restart(&self, slot: CallSlot) -> Result<(), EngineError> {
        self.call(slot)?.restart();
        Ok(())
    }

    /// What the call has given so far; `None` when it ended.
    pub fn progress(&self, slot: CallSlot) -> Option<Progress> {
        self.pool.call(slot).map(|mut call| call.progress())
    }

    /// Asks to be told, once, when net speech reaches `frames`; at once where it has. A later mark replaces an
    /// earlier one.
    ///
    /// # Errors
    /// [`EngineError::NoSuchCall`].
    pub fn wake_at(&self, slot: CallSlot, frames: u64) -> Result<(), EngineError> {
        let mut call = self.call(slot)?;
        call.set_mark(frames);
        if call.reached_mark() {
            self.pool.changes.tell(slot.index);
        }
        Ok(())
    }

    /// Asks for an embedding of speech that was heard; a worker makes it, and [`Self::changed`] tells.
    ///
    /// # Errors
    /// [`EngineError::Busy`], [`EngineError::NoSuchSpeech`], [`EngineError::Faulted`] or
    /// [`EngineError::NoSuchCall`].
    pub fn embed(&self, slot: CallSlot, job: EmbedJob) -> Result<(), EngineError> {
        let mut call = self.call(slot)?;
        if call.ask(job)? {
            self.pool.queue.push(slot);
        }
        Ok(())
    }

    /// The oldest embedding of a call that was not fetched yet.
    pub fn take_embedding(&self, slot: CallSlot) -> Option<EmbedOutcome> {
        self.pool.call(slot)?.jobs.take_done()
    }

    /// Waits for the next call that reached its mark or has an embedding ready. Nothing is missed between two
    /// waits, and a wait may be dropped.
    pub async fn changed(&self) -> CallSlot {
        loop {
            if let Some(slot) = self.news() {
                return slot;
            }
            self.pool.changes.told().await;
        }
    }

    /// The next call that [`Self::changed`] would give at once.
    pub fn news(&self) -> Option<CallSlot> {
        while let Some(index) = self.pool.changes.take() {
            let call = self.pool.slots[index as usize].lock();
            if call.open {
                return Some(CallSlot { index, generation: call.generation });
            }
        }
        None
    }

    /// Ends a call: closes its sockets, wipes what was held, frees its slot and ports.
    pub fn close_call(&self, slot: CallSlot) {
        let Some(mut call) = self.pool.call(slot) else { return };
        let mut ports = [None; MAX_STREAMS];
        for (port, line) in ports.iter_mut().zip(&call.lines) {
            *port = line.as_ref().and_then(Line::port);
        }
        self.pool.queue.remove(slot);
        let traffic = call.close();
        self.pool.occupied.leave(slot.index);
        drop(call);
        relock(&self.pool.stats.ended_calls).add(&traffic);
        let mut free = self.pool.free();
        ports.into_iter().flatten().for_each(|port| free.ports.give_back(port));
        free.slots.push_back(slot.index);
    }

    /// Makes embeddings for a voiceprint of the first `frames` frames of net speech in recordings, on the calling thread,
    /// which it blocks; it takes nothing from the calls but time.
    ///
    /// # Errors
    /// [`RecordingsError`]: too little speech, or a fault of the network.
    pub fn embed_recordings(
        &self,
        recordings: &[Recording],
        frames: usize,
    ) -> Result<Embeddings, RecordingsError> {
        offline::embed_recordings(&self.pool.network, recordings, frames)
    }

    /// Figures for metrics. Visits every slot for a moment.
    pub fn counters(&self) -> EngineCounters {
        let Pool { slots, stats, queue, .. } = &*self.pool;
        let mut traffic = *relock(&stats.ended_calls);
        let mut calls = 0;
        for slot in slots {
            let call = slot.lock();
            calls += usize::from(call.open);
            traffic.add(&call.traffic());
        }
        EngineCounters {
            traffic,
            calls,
            max_calls: slots.len(),
            refused_calls: stats.refused_calls.load(Ordering::Relaxed),
            free_ports: self.pool.free().ports.len(),
            queued: queue.len(),
            embeddings: stats.embeddings.load(Ordering::Relaxed),
            embed_faults: stats.embed_faults.load(Ordering::Relaxed),
            embed_time: Duration::from_micros(stats.embed_micros.load(Ordering::Relaxed)),
        }
    }

    /// The network that makes the embeddings.
    pub fn network(&self) -> &Network<'static> {
        &self.pool.network
    }

    fn call(&self, slot: CallSlot) -> Result<MutexGuard<'_, SlotState>, EngineError> {
        self.pool.call(slot).ok_or(EngineError::NoSuchCall)
    }

    /// Binds the pair of ports that rested longest and that no other program has.
    fn bind(&self, local: IpAddr) -> Result<(u16, [MediaSocket; 2]), EngineError> {
        let tries = self.pool.free().ports.len();
        for _ in 0..tries {
            let port = self.pool.free().ports.take().ok_or(EngineError::NoFreePort(local))?;
            let pair = MediaSocket::bind(local, port)
                .and_then(|rtp| MediaSocket::bind(local, port + 1).map(|rtcp| [rtp, rtcp]));
            match pair {
                Ok(pair) => return Ok((port, pair)),
                Err(cause) => {
                    self.pool.free().ports.give_back(port);
                    if cause.kind() != io::ErrorKind::AddrInUse {
                        return Err(EngineError::Socket { local, cause });
                    }
                }
            }
        }
        Err(EngineError::NoFreePort(local))
    }

    fn add_line(&self, slot: CallSlot, line: Line, role: StreamRole) -> Result<StreamId, EngineError> {
        let mut call = self.call(slot)?;
        let place = call.lines.iter().position(Option::is_none).ok_or(EngineError::TooManyStreams)?;
        call.lines[place] = Some(line);
        call.set_role(place, role);
        Ok(StreamId { slot, line: place })
    }
}

/// The threads of an engine; they end when this is dropped.
#[derive(Debug)]
struct Threads {
    pool: Arc<Pool>,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    fn start(pool: &Arc<Pool>, workers: usize) -> io::Result<Self> {
        let mut threads = Self { pool: Arc::clone(pool), running: Vec::new() };
        for receiver in 0..pool.receivers {
            let batch = Batch::new();
            threads.spawn(format!("media-{receiver}"), move |pool| receive::run(pool, receiver, batch))?;
        }
        for worker in 0..workers {
            let bench = worker::Bench::new();
            threads.spawn(format!("embed-{worker}"), move |pool| worker::run(pool, bench))?;
        }
        Ok(threads)
    }

    /// Starts a thread and waits until it runs: a thread that starts allocates, and the engine must not.
    fn spawn(&mut self, name: String, body: impl FnOnce(&Pool) + Send + 'static) -> io::Result<()> {
        let pool = Arc::clone(&self.pool);
        let (runs, running) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name).spawn(move || {
            // The other end waits below.
            let _ = runs.send(());
            drop(runs);
            body(&pool);
        });
        self.running.push(thread?);
        running.recv().map_err(io::Error::other)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.pool.queue.stop();
        self.pool.occupied.ring();
        for thread in self.running.drain(..) {
            // A thread that panicked has said so on its own.
            let _ = thread.join();
        }
    }
}
