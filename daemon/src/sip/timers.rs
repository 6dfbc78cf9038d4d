//! Deadlines by key, the next one first.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// At most one deadline for each key.
#[derive(Debug)]
pub struct Timers<K> {
    queue: BTreeSet<(Instant, K)>,
    deadlines: HashMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Sets the deadline of `key`, or removes it.
    pub fn set(&mut self, key: K, deadline: Option<Instant>) {
        if let Some(old) = self.deadlines.remove(&key) {
            self.queue.remove(&(old, key));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert(key, deadline);
            self.queue.insert((deadline, key));
        }
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the key with the earliest deadline, if it is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.deadlines.remove(&key);
        Some(key)
    }
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { queue: BTreeSet::new(), deadlines: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn keys_come_in_the_order_of_their_deadlines() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut timers = Timers::default();
        timers.set('a', at(5));
        timers.set('b', at(3));
        timers.set('c', at(3));
        timers.set('a', at(1));
        timers.set('c', None);
        timers.set('d', None);
        assert_eq!(timers.next(), at(1));
        assert_eq!(timers.pop_due(start), None);
        assert_eq!(timers.pop_due(start + Duration::from_secs(9)), Some('a'));
        assert_eq!(timers.pop_due(start + Duration::from_secs(9)), Some('b'));
        assert_eq!(timers.pop_due(start + Duration::from_secs(9)), None);
        assert_eq!(timers.next(), None);
    }
}
