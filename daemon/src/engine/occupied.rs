//! Which slots hold a call, and the receivers that sleep until one does.

use super::pool::relock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// One bit for each slot.
#[derive(Debug)]
pub(super) struct Occupied {
    bits: Box<[AtomicU64]>,
    /// Held while a receiver looks before it sleeps, and while it is woken.
    door: Mutex<()>,
    bell: Condvar,
}

impl Occupied {
    /// So many slots, all empty.
    pub(super) fn new(slots: usize) -> Self {
        let bits = (0..slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { bits, door: Mutex::new(()), bell: Condvar::new() }
    }

    /// Notes that slot `index` holds a call, and wakes its receiver.
    pub(super) fn enter(&self, index: u32) {
        self.bits[index as usize / 64].fetch_or(1 << (index % 64), Ordering::Release);
        self.ring();
    }

    /// Notes that slot `index` is empty again.
    pub(super) fn leave(&self, index: u32) {
        self.bits[index as usize / 64].fetch_and(!(1 << (index % 64)), Ordering::Release);
    }

    /// The slots that hold a call.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.bits.iter().zip(0_u32..).flat_map(|(word, place)| {
            let mut bits = word.load(Ordering::Acquire);
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(place * 64 + bit)
            })
        })
    }

    /// Sleeps until `is_due`, which is asked again whenever somebody rings.
    pub(super) fn sleep_until(&self, is_due: impl Fn() -> bool) {
        if is_due() {
            return;
        }
        let mut door = relock(&self.door);
        while !is_due() {
            door = self.bell.wait(door).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes all who sleep.
    pub(super) fn ring(&self) {
        // Under the lock, so that nobody is between a look and the sleep.
        let _door = relock(&self.door);
        self.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_told_in_order_while_they_hold_a_call() {
        let occupied = Occupied::new(130);
        [129, 3, 64, 3].into_iter().for_each(|index| occupied.enter(index));
        assert_eq!(occupied.iter().collect::<Vec<_>>(), [3, 64, 129]);
        occupied.leave(64);
        assert_eq!(occupied.iter().collect::<Vec<_>>(), [3, 129]);
    }

    #[test]
    fn a_sleeper_wakes_for_the_call_it_waits_for() {
        let occupied = Occupied::new(2);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| occupied.sleep_until(|| occupied.iter().any(|index| index == 1)));
            occupied.enter(0);
            occupied.enter(1);
            sleeper.join().unwrap();
        });
    }
}
