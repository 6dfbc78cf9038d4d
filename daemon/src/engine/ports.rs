//! RTP ports: even ones of a range, the one that rested longest first.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// Free RTP ports; each stands for itself and the odd RTCP port above it.
#[derive(Debug)]
pub(super) struct PortPool {
    free: VecDeque<u16>,
}

impl PortPool {
    /// All even ports of `range` whose odd neighbour lies in it too.
    pub(super) fn new(range: RangeInclusive<u16>) -> Self {
        let last = *range.end();
        Self { free: range.filter(|port| port % 2 == 0 && *port < last).collect() }
    }

    /// How many are free.
    pub(super) fn len(&self) -> usize {
        self.free.len()
    }

    /// Takes the port that rested longest, so that late packets of an old call do not meet a new one.
    pub(super) fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Gives a port back.
    pub(super) fn give_back(&mut self, port: u16) {
        self.free.push_back(port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_ports_with_a_neighbour_are_used_and_rest_longest() {
        let mut pool = PortPool::new(39_999..=40_004);
        assert_eq!(pool.len(), 2);
        assert_eq!(pool.take(), Some(40_000));
        pool.give_back(40_000);
        assert_eq!((pool.take(), pool.take(), pool.take()), (Some(40_002), Some(40_000), None));
        assert_eq!(PortPool::new(0..=u16::MAX).len(), 32_768);
    }
}
