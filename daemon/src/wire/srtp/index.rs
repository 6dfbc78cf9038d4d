//! Packet indices: the estimate of RFC 3711 appendix A, and the window against replays (section 3.3.2).

/// Indices behind the newest one that are remembered: more than the jitter buffer waits for.
const WINDOW: u64 = u128::BITS as u64;

/// The index nearest to `highest` whose low 16 bits are `sequence`.
pub(super) fn estimate(highest: u64, sequence: u16) -> u64 {
    const HALF: u16 = 1 << 15;
    let (round, low) = (highest >> 16, highest as u16);
    let round = if low < HALF {
        if sequence > low && sequence - low > HALF { round.saturating_sub(1) } else { round }
    } else if sequence < low - HALF {
        round + 1
    } else {
        round
    };
    (round << 16 | u64::from(sequence)) & ((1 << 48) - 1)
}

/// Which indices were seen of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    highest: Option<u64>,
    /// Bit n: the index n below the highest one was seen.
    seen: u128,
}

impl Window {
    /// The highest index seen.
    pub(super) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether `index` was not seen, and is not too old to tell.
    pub(super) fn is_new(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => {
                let age = highest - index;
                age < WINDOW && self.seen >> age & 1 == 0
            }
            _ => true,
        }
    }

    /// Notes an index that [`Self::is_new`].
    pub(super) fn accept(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => self.seen |= 1 << (highest - index).min(WINDOW - 1),
            Some(highest) => {
                self.seen =
                    u32::try_from(index - highest).ok().and_then(|by| self.seen.checked_shl(by)).unwrap_or(0)
                        | 1;
                self.highest = Some(index);
            }
            None => (self.highest, self.seen) = (Some(index), 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_estimate_is_that_of_appendix_a() {
        for (highest, sequence, expected) in [
            (0x0_0005, 7, 0x0_0007),
            (0x0_ffff, 0, 0x1_0000),
            (0x1_0000, 0xffff, 0x0_ffff),
            (0x1_7fff, 0xffff, 0x1_ffff),
            (0x1_7ffe, 0xffff, 0x0_ffff),
            (0x1_8000, 0, 0x1_0000),
            (0x1_8001, 0, 0x2_0000),
            (0x0_0000, 0xffff, 0x0_ffff),
            (0xffff_ffff_ffff, 0, 0),
        ] {
            assert_eq!(estimate(highest, sequence), expected, "{highest:x} {sequence:x}");
        }
    }

    #[test]
    fn each_index_is_new_once_and_old_ones_never() {
        let mut window = Window::default();
        for index in [1000, 1001, 1003, 1002] {
            assert!(window.is_new(index), "{index}");
            window.accept(index);
            assert!(!window.is_new(index), "{index}");
        }
        assert!(window.is_new(1003 - 127) && !window.is_new(1003 - 128));
        window.accept(1003 + 127);
        assert!(!window.is_new(1003) && window.is_new(1004));
        window.accept(1 << 40);
        assert!(window.is_new((1 << 40) - 1) && !window.is_new(1130));
    }

    proptest! {
        #[test]
        fn the_estimate_finds_every_index_nearby(highest in 1_u64 << 17..1 << 47, step in -0x7fff_i64..=0x7fff) {
            let index = highest.checked_add_signed(step).unwrap();
            prop_assert_eq!(estimate(highest, index as u16), index);
        }

        #[test]
        fn nothing_is_taken_twice(indices in proptest::collection::vec(0_u64..400, 0..600)) {
            let mut window = Window::default();
            let mut taken = std::collections::HashSet::new();
            for index in indices {
                if window.is_new(index) {
                    prop_assert!(taken.insert(index));
                    window.accept(index);
                } else {
                    let highest = window.highest().unwrap();
                    prop_assert!(taken.contains(&index) || highest - index >= WINDOW);
                }
            }
        }
    }
}
