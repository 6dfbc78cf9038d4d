//! Places of TCP and TLS connections: so many and no more. Where all are taken, a connection that nobody misses makes
//! room for the next one.

use super::TcpLimits;
use crate::sip::counters::SipCounters;
use crate::sip::flow::ConnectionId;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The places, and who has them.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    limits: TcpLimits,
    counters: Arc<SipCounters>,
    taken: Mutex<HashMap<ConnectionId, Taken>>,
}

/// A place of a connection, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    id: ConnectionId,
    lost: oneshot::Receiver<()>,
}

#[derive(Debug)]
struct Taken {
    remote: IpAddr,
    state: State,
    /// Tells the connection, by being dropped, that its place is another's.
    _keep: oneshot::Sender<()>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Being set up, in the middle of a message, or with something to write.
    Busy,
    /// Open since then, and nothing ever went over it.
    Unused(Instant),
    /// Without traffic since then.
    Idle(Instant),
}

impl Places {
    /// So many places as `most`, all free.
    pub(super) fn new(most: usize, limits: TcpLimits, counters: Arc<SipCounters>) -> Arc<Self> {
        Arc::new(Self { most, limits, counters, taken: Mutex::default() })
    }

    /// A place for a connection with `remote`, which is busy at first; `None` where all are taken by connections that are
    /// needed.
    pub(super) fn take(self: &Arc<Self>, id: ConnectionId, remote: IpAddr, now: Instant) -> Option<Place> {
        let mut taken = self.taken();
        if taken.len() >= self.most {
            let dispensable = self.dispensable(&taken, remote, now)?;
            taken.remove(&dispensable);
            self.counters.closed_for_room.add();
        }
        let (keep, lost) = oneshot::channel();
        taken.insert(id, Taken { remote, state: State::Busy, _keep: keep });
        Some(Place { places: Arc::clone(self), id, lost })
    }

    /// The connection that a new one with `remote` may close: one that was never used before one that was, then one of
    /// the address that has the most, then the one that is idle for the longest time.
    ///
    /// A used one may carry a call, which over TLS nothing else reaches. So it stays while keep-alives may come, and
    /// makes room only for an address that has no more connections than its own.
    fn dispensable(
        &self,
        taken: &HashMap<ConnectionId, Taken>,
        remote: IpAddr,
        now: Instant,
    ) -> Option<ConnectionId> {
        let mut of_address = HashMap::<IpAddr, usize>::new();
        taken.values().for_each(|place| *of_address.entry(place.remote).or_default() += 1);
        let own = of_address.get(&remote).copied().unwrap_or(0);
        let worth = |(id, place): (&ConnectionId, &Taken)| {
            let others = of_address[&place.remote];
            let (unused, since, patience) = match place.state {
                State::Busy => return None,
                State::Unused(since) => (true, since, self.limits.message_within),
                State::Idle(since) => (false, since, self.limits.kept_alive),
            };
            let idle = now.saturating_duration_since(since);
            (idle >= patience && (unused || others >= own)).then_some(((unused, others, idle), *id))
        };
        taken.iter().filter_map(worth).max_by_key(|(order, _)| *order).map(|(_, id)| id)
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<ConnectionId, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The connection is open, and nothing went over it yet.
    pub(super) fn opened(&self, now: Instant) {
        self.is(State::Unused(now));
    }

    /// Something is under way on the connection.
    pub(super) fn busy(&self) {
        self.is(State::Busy);
    }

    /// Nothing is under way any more.
    pub(super) fn idle(&self, now: Instant) {
        self.is(State::Idle(now));
    }

    /// Waits until another connection has got the place; this one is to be closed then. Not to be called again after that.
    pub(super) async fn lost(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.lost).await;
    }

    fn is(&self, state: State) {
        if let Some(taken) = self.places.taken().get_mut(&self.id) {
            taken.state = state;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BUSY_PEER: [u8; 4] = [192, 0, 2, 1];
    const OTHER_PEER: [u8; 4] = [192, 0, 2, 2];

    /// Places, and a clock that only moves when it is told to.
    struct Lab {
        places: Arc<Places>,
        now: Instant,
        last: u64,
    }

    impl Lab {
        fn new(most: usize) -> Self {
            let places = Places::new(most, TcpLimits::default(), Arc::default());
            Self { places, now: Instant::now(), last: 0 }
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn take(&mut self, remote: [u8; 4]) -> Option<Place> {
            self.last += 1;
            self.places.take(ConnectionId(self.last), remote.into(), self.now)
        }

        /// A connection over which nothing goes.
        fn unused(&mut self, remote: [u8; 4]) -> Place {
            let place = self.take(remote).unwrap();
            place.opened(self.now);
            place
        }

        /// One over which something went.
        fn used(&mut self, remote: [u8; 4]) -> Place {
            let place = self.unused(remote);
            place.busy();
            place.idle(self.now);
            place
        }

        fn closed(&self) -> u64 {
            self.places.counters.closed_for_room.get()
        }
    }

    fn is_lost(place: &mut Place) -> bool {
        place.lost.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_over() {
        let mut lab = Lab::new(1);
        let first = lab.unused(BUSY_PEER);
        assert!(lab.take(OTHER_PEER).is_none());
        drop(first);
        assert!(lab.take(OTHER_PEER).is_some());
        assert_eq!(lab.closed(), 0);
    }

    #[test]
    fn what_never_said_anything_makes_room_first_and_the_oldest_of_it() {
        let mut lab = Lab::new(3);
        let mut used = lab.used(BUSY_PEER);
        lab.pass(200);
        let mut older = lab.unused(BUSY_PEER);
        lab.pass(1);
        let mut newer = lab.unused(BUSY_PEER);
        lab.pass(10);
        let _new = lab.take(OTHER_PEER).unwrap();
        assert_eq!([&mut used, &mut older, &mut newer].map(is_lost), [false, true, false]);
        drop(older);
        assert!(lab.take(OTHER_PEER).is_some(), "the next one");
        assert!(!is_lost(&mut used) && is_lost(&mut newer));
        assert_eq!(lab.closed(), 2);
    }

    #[test]
    fn nothing_makes_room_before_its_time_or_while_it_is_busy() {
        let mut lab = Lab::new(2);
        let (unused, used) = (lab.unused(BUSY_PEER), lab.used(BUSY_PEER));
        lab.pass(9);
        assert!(lab.take(OTHER_PEER).is_none(), "a flood of new connections pushes out nobody");
        unused.busy();
        lab.pass(140);
        assert!(lab.take(OTHER_PEER).is_none(), "the next keep-alive may be under way");
        used.busy();
        lab.pass(1000);
        assert!(lab.take(OTHER_PEER).is_none());
        unused.idle(lab.now);
        lab.pass(150);
        assert!(lab.take(OTHER_PEER).is_some());
    }

    #[test]
    fn an_address_pushes_out_no_call_of_one_that_has_fewer_connections() {
        let mut lab = Lab::new(3);
        let mut of_other = lab.used(OTHER_PEER);
        lab.pass(1);
        let mut of_busy = [lab.used(BUSY_PEER), lab.used(BUSY_PEER)];
        lab.pass(200);
        let third = lab.take(BUSY_PEER).unwrap();
        assert!(!is_lost(&mut of_other), "it has been idle for longest, but has fewest");
        assert_eq!(of_busy.iter_mut().filter_map(|place| is_lost(place).then_some(())).count(), 1);
        drop((of_busy, third));
        let [_first, _second] = [lab.used(BUSY_PEER), lab.used(BUSY_PEER)];
        lab.pass(200);
        assert!(lab.take(OTHER_PEER).is_some());
        assert!(!is_lost(&mut of_other), "it takes the place of one who has more");
    }

    #[tokio::test]
    async fn a_connection_learns_that_its_place_is_lost_and_frees_no_other_by_ending() {
        let mut lab = Lab::new(1);
        let mut first = lab.unused(BUSY_PEER);
        lab.pass(10);
        let _second = lab.unused(OTHER_PEER);
        first.lost().await;
        first.idle(lab.now);
        drop(first);
        assert!(lab.take(BUSY_PEER).is_none());
    }
}
