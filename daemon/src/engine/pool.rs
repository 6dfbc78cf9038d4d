//! What all threads of the engine share: the slots, the ports, the workers' queue, and who is told of changes.

use super::EngineError;
use super::occupied::Occupied;
use super::ports::PortPool;
use super::slot::{Slot, SlotState};
use super::stream::Traffic;
use super::{CallSlot, EngineConfig};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use vouch_dsp::network::Network;

/// Shared state of the engine. Where several locks are taken, a slot's comes first.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) slots: Box<[Slot]>,
    pub(super) network: Network<'static>,
    pub(super) queue: JobQueue,
    pub(super) changes: Changes,
    pub(super) stats: Stats,
    pub(super) occupied: Occupied,
    /// How many there are; slot `i` is heard by receiver `i` modulo their number.
    pub(super) receivers: u32,
    free: Mutex<Free>,
}

/// What the next call and the next stream take.
#[derive(Debug)]
pub(super) struct Free {
    pub(super) slots: VecDeque<u32>,
    pub(super) ports: PortPool,
}

/// Counts that outlive calls.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) ended_calls: Mutex<Traffic>,
    pub(super) refused_calls: AtomicU64,
    pub(super) embeddings: AtomicU64,
    pub(super) embed_faults: AtomicU64,
    pub(super) embed_micros: AtomicU64,
}

impl Pool {
    pub(super) fn new(config: &EngineConfig, network: Network<'static>) -> Result<Self, EngineError> {
        let slots = u32::try_from(config.max_calls).ok().filter(|calls| (1..=MAX_CALLS).contains(calls));
        let slots = slots.ok_or(EngineError::MaxCalls(config.max_calls))?;
        let ports = PortPool::new(config.ports.clone());
        if ports.len() == 0 {
            return Err(EngineError::NoPorts(config.ports.clone()));
        }
        Ok(Self {
            slots: (0..slots).map(|_| Slot::new()).collect(),
            network,
            queue: JobQueue::new(config.max_calls),
            changes: Changes::new(config.max_calls),
            stats: Stats::default(),
            occupied: Occupied::new(config.max_calls),
            receivers: config.receivers.clamp(1, config.max_calls) as u32,
            free: Mutex::new(Free { slots: (0..slots).collect(), ports }),
        })
    }

    /// The call of a handle, if the handle is not an old one.
    pub(super) fn call(&self, slot: CallSlot) -> Option<MutexGuard<'_, SlotState>> {
        let call = self.slots.get(slot.index as usize)?.lock();
        (call.open && call.generation == slot.generation).then_some(call)
    }

    pub(super) fn free(&self) -> MutexGuard<'_, Free> {
        relock(&self.free)
    }
}

/// Most calls that a handle can number.
const MAX_CALLS: u32 = 1 << 20;

/// Slots whose pending job waits for a worker; each stands there at most once, so it never grows.
#[derive(Debug)]
pub(super) struct JobQueue {
    waiting: Mutex<VecDeque<CallSlot>>,
    wake: Condvar,
    stopping: AtomicBool,
}

impl JobQueue {
    fn new(capacity: usize) -> Self {
        let waiting = Mutex::new(VecDeque::with_capacity(capacity));
        Self { waiting, wake: Condvar::new(), stopping: AtomicBool::new(false) }
    }

    pub(super) fn push(&self, slot: CallSlot) {
        relock(&self.waiting).push_back(slot);
        self.wake.notify_one();
    }

    /// Takes a slot out, if it stands there.
    pub(super) fn remove(&self, slot: CallSlot) {
        relock(&self.waiting).retain(|waiting| *waiting != slot);
    }

    /// Waits for the next slot; `None` when the engine stops.
    pub(super) fn pop(&self) -> Option<CallSlot> {
        let mut waiting = relock(&self.waiting);
        loop {
            if self.is_stopping() {
                return None;
            }
            if let Some(slot) = waiting.pop_front() {
                return Some(slot);
            }
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn len(&self) -> usize {
        relock(&self.waiting).len()
    }

    /// Ends all waiting, for good.
    pub(super) fn stop(&self) {
        // Under the lock, so that no worker is between its check and its wait.
        let _waiting = relock(&self.waiting);
        self.stopping.store(true, Ordering::Relaxed);
        self.wake.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Which slots have news: one bit each, so that telling never waits and never allocates.
#[derive(Debug)]
pub(super) struct Changes {
    bits: Box<[AtomicU64]>,
    told: Notify,
}

impl Changes {
    fn new(slots: usize) -> Self {
        Self { bits: (0..slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(), told: Notify::new() }
    }

    /// Tells that slot `index` has news.
    pub(super) fn tell(&self, index: u32) {
        self.bits[index as usize / 64].fetch_or(1 << (index % 64), Ordering::Release);
        self.told.notify_one();
    }

    /// A slot with news, which counts as told from now on.
    pub(super) fn take(&self) -> Option<u32> {
        self.bits.iter().zip(0u32..).find_map(|(word, place)| {
            let bit = Some(word.load(Ordering::Relaxed)).filter(|bits| *bits != 0)?.trailing_zeros();
            let before = word.fetch_and(!(1 << bit), Ordering::Acquire);
            (before >> bit & 1 == 1).then_some(place * 64 + bit)
        })
    }

    /// Waits until there may be news; one telling before the call is enough.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }
}

/// Locks what stays consistent whatever panicked while it was held: every change to it is one step.
pub(super) fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_told_once_per_slot() {
        let changes = Changes::new(130);
        for index in [129, 3, 64, 3] {
            changes.tell(index);
        }
        let told: Vec<_> = std::iter::from_fn(|| changes.take()).collect();
        assert_eq!(told, [3, 64, 129]);
    }

    #[test]
    fn the_queue_is_first_in_first_out_and_stops() {
        let slot = |index| CallSlot { index, generation: 0 };
        let queue = JobQueue::new(4);
        for index in 0..3 {
            queue.push(slot(index));
        }
        queue.remove(slot(1));
        assert_eq!((queue.pop(), queue.pop()), (Some(slot(0)), Some(slot(2))));
        queue.push(slot(3));
        queue.stop();
        assert_eq!(queue.pop(), None);
    }
}
