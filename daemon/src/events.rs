//! The event stream: numbered, resumable from a bounded history.
//!
//! One ring of the last events serves every reader: a publisher writes into it and goes on, and a reader keeps
//! nothing but its place. So a reader that is slow, or gone for too long, can never hold up a call or fill memory;
//! it finds its place overwritten, gets one [`GAP`] event, and reads the state anew.

use crate::view::Event;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Kind of the event that stands for events a reader has missed: read the calls anew.
pub const GAP: &str = "gap";

/// Where events are published; dropping it ends every subscription.
pub struct EventHub {
    history: Arc<Mutex<History>>,
    newest: watch::Sender<u64>,
}

impl EventHub {
    /// A hub that keeps the last `capacity` events (at least one) and numbers the next one `first`.
    ///
    /// Start `first` from the clock, so that numbers grow across restarts and a reader of the daemon's last life
    /// gets a gap instead of silence; [`first_number`] does that.
    pub fn new(capacity: usize, first: u64) -> Self {
        let capacity = capacity.max(1);
        let history = History { events: VecDeque::with_capacity(capacity), capacity, next: first.max(1) };
        let newest = watch::Sender::new(history.newest());
        Self { history: Arc::new(Mutex::new(history)), newest }
    }

    /// Numbers `event` and shows it to every subscription, now and later; returns the number.
    ///
    /// The number that `event` came with is replaced. Never waits for a reader.
    pub fn publish(&self, mut event: Event) -> u64 {
        let mut history = lock(&self.history);
        event.id = history.next;
        history.push(Arc::new(event));
        // Told under the lock, so that a reader never learns of the numbers out of order.
        self.newest.send_replace(history.newest());
        history.newest()
    }

    /// The events after number `last` that are still in the history, then all that follow.
    ///
    /// `None` starts with the next event. A `last` that the history does not reach back to, or that this hub never
    /// gave out, starts with a [`GAP`].
    pub fn subscribe(&self, last: Option<u64>) -> Subscription {
        let newest = self.newest.subscribe();
        let next = match last {
            None => lock(&self.history).next,
            Some(last) => last.saturating_add(1),
        };
        Subscription { feed: Some(Feed { history: Arc::clone(&self.history), newest, next }) }
    }
}

impl fmt::Debug for EventHub {
    /// Events name speakers, so only the numbers show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let history = lock(&self.history);
        f.debug_struct("EventHub").field("next", &history.next).field("kept", &history.events.len()).finish()
    }
}

/// Number to start with at `unix_seconds`: beyond every number of an earlier life of the daemon, as long as that
/// published less than 1000 events a second, and exact in a JSON reader that has only doubles (below 2^53).
pub const fn first_number(unix_seconds: u64) -> u64 {
    unix_seconds.saturating_mul(1000)
}

/// A place in the event stream.
///
/// The default subscription has no hub behind it and has ended.
#[derive(Default)]
pub struct Subscription {
    feed: Option<Feed>,
}

impl Subscription {
    /// The next event; `None` when the daemon stops.
    ///
    /// Cancel safe: a dropped call loses no event.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        let feed = self.feed.as_mut()?;
        loop {
            // Marks what is published so far as seen before looking, so nothing slips in between unseen.
            feed.newest.borrow_and_update();
            if let Some(event) = feed.take() {
                return Some(event);
            }
            feed.newest.changed().await.ok()?;
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("next", &self.feed.as_ref().map(|feed| feed.next)).finish()
    }
}

struct Feed {
    history: Arc<Mutex<History>>,
    newest: watch::Receiver<u64>,
    next: u64,
}

impl Feed {
    fn take(&mut self) -> Option<Arc<Event>> {
        let history = lock(&self.history);
        if self.next == history.next {
            return None;
        }
        let oldest = history.oldest();
        if (oldest..history.next).contains(&self.next) {
            // Below the length of the ring, which is a usize.
            let event = Arc::clone(&history.events[(self.next - oldest) as usize]);
            self.next += 1;
            return Some(event);
        }
        let known = history.events.front().map(|event| event.time.clone());
        // A number from the future is from another life of the hub: only what comes next can be told.
        self.next = if self.next < oldest { oldest } else { history.next };
        Some(Arc::new(gap(self.next, known)))
    }
}

struct History {
    events: VecDeque<Arc<Event>>,
    capacity: usize,
    next: u64,
}

impl History {
    const fn newest(&self) -> u64 {
        self.next - 1
    }

    fn oldest(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    fn push(&mut self, event: Arc<Event>) {
        if self.events.len() == self.capacity {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.next += 1;
    }
}

/// A gap before event `next`: numbered so that a reader who resumes after it goes on with `next`.
fn gap(next: u64, time: Option<String>) -> Event {
    let time = time.unwrap_or_else(|| jiff::Timestamp::UNIX_EPOCH.to_string());
    Event { id: next - 1, kind: GAP.to_owned(), time, call: None, speaker: None, warning: None }
}

/// The history stays whole when a publisher panics between two of its operations, so poison is no reason to stop.
fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn event(time: &str) -> Event {
        Event { id: 0, kind: "progress".into(), time: time.into(), call: None, speaker: None, warning: None }
    }

    /// The next event, or `None` if the reader would have to wait or the hub has gone.
    fn now(subscription: &mut Subscription) -> Option<Arc<Event>> {
        match pin!(subscription.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    #[test]
    fn events_are_numbered_and_resumable() {
        let hub = EventHub::new(8, 100);
        let mut live = hub.subscribe(None);
        assert_eq!((hub.publish(event("a")), hub.publish(event("b"))), (100, 101));
        assert_eq!(now(&mut live).unwrap().time, "a");
        let mut resumed = hub.subscribe(Some(100));
        assert_eq!(now(&mut resumed).unwrap().id, 101);
        assert!(now(&mut resumed).is_none());
        assert!(now(&mut hub.subscribe(None)).is_none(), "a new reader starts with what comes next");
    }

    #[test]
    fn a_slow_reader_gets_one_gap_and_goes_on() {
        let hub = EventHub::new(3, 1);
        let mut slow = hub.subscribe(None);
        for time in ["1", "2", "3", "4", "5"] {
            hub.publish(event(time));
        }
        let gap = now(&mut slow).unwrap();
        assert_eq!((gap.kind.as_str(), gap.id), (GAP, 2));
        let rest: Vec<u64> = std::iter::from_fn(|| now(&mut slow)).map(|event| event.id).collect();
        assert_eq!(rest, [3, 4, 5]);
    }

    #[test]
    fn a_reader_of_an_earlier_life_gets_a_gap() {
        let hub = EventHub::new(3, first_number(1_700_000_000));
        let mut earlier = hub.subscribe(Some(7));
        assert_eq!(now(&mut earlier).unwrap().kind, GAP);
        assert!(now(&mut earlier).is_none());
        let mut later = hub.subscribe(Some(u64::MAX));
        assert_eq!(now(&mut later).unwrap().kind, GAP, "the clock was set back");
        hub.publish(event("a"));
        assert_eq!(
            (now(&mut earlier).unwrap().time.as_str(), now(&mut later).unwrap().time.as_str()),
            ("a", "a")
        );
    }

    #[tokio::test]
    async fn a_waiting_reader_wakes_and_the_end_of_the_hub_ends_it() {
        let hub = EventHub::new(3, 1);
        let mut reader = hub.subscribe(None);
        let waiting = tokio::spawn(async move { (reader.next().await.map(|e| e.id), reader.next().await) });
        tokio::task::yield_now().await;
        hub.publish(event("a"));
        drop(hub);
        assert_eq!(waiting.await.unwrap(), (Some(1), None));
        assert!(Subscription::default().next().await.is_none());
    }

    #[test]
    fn debug_says_no_speaker() {
        let hub = EventHub::new(3, 1);
        let subscription = hub.subscribe(None);
        hub.publish(event("x"));
        assert_eq!(
            format!("{hub:?} {subscription:?}"),
            "EventHub { next: 2, kept: 1 } Subscription { next: Some(1) }"
        );
    }

    proptest! {
        /// Whatever the order of publishing and reading, a reader sees rising numbers and misses none without a gap.
        #[test]
        fn no_event_is_lost_in_silence(capacity in 1usize..6, steps in prop::collection::vec(any::<bool>(), 0..80)) {
            let hub = EventHub::new(capacity, 1);
            let mut reader = hub.subscribe(None);
            let mut last = 0;
            for publish in steps {
                if publish {
                    hub.publish(event("t"));
                } else if let Some(event) = now(&mut reader) {
                    if event.kind == GAP {
                        prop_assert!(event.id > last);
                    } else {
                        prop_assert_eq!(event.id, last + 1);
                    }
                    last = event.id;
                }
            }
        }
    }
}
