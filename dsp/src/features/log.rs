//! Natural logarithm of integers.

use super::tables::{fixed, ln};

/// Fraction bits of the intermediate logarithm.
pub(super) const Q: u32 = 20;
/// ln 2, Q20.
pub(super) const LN2_Q20: i32 = fixed(core::f64::consts::LN_2, Q) as i32;

/// Intervals per octave that are interpolated linearly: error below 1/(8 * 64^2) = 3.1e-5 neper.
/// With the rounding of ln 2, up to 44 times, 6e-5: a sixteenth of the rounding to Q9.
const INTERVALS: usize = 64;

static LN_Q20: [u32; INTERVALS + 1] = {
    let mut table = [0; INTERVALS + 1];
    let mut index = 0;
    while index <= INTERVALS {
        table[index] = fixed(ln(1.0 + index as f64 / INTERVALS as f64), Q) as u32;
        index += 1;
    }
    table
};

/// Natural logarithm of a positive integer, Q20: 0 to 44.4 nepers. Zero gives 0, like one.
pub(crate) fn ln_q20(value: u64) -> i32 {
    let zeros = (value | 1).leading_zeros();
    // The bits below the leading one: 6 choose the interval, 16 more the place in it.
    let below = ((value | 1) << zeros) << 1;
    let index = (below >> 58) as usize;
    let place = (below >> 42) as u32 & 0xffff;
    let (left, right) = (LN_Q20[index], LN_Q20[index + 1]);
    let fraction = left + (((right - left) * place) >> 16);
    LN2_Q20 * (63 - zeros as i32) + fraction as i32
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn logarithm_is_good_to_6e_5_nepers(shift in 0_u32..64, bits in any::<u64>()) {
            let value = (bits >> shift) | 1;
            let error = f64::from(ln_q20(value)) / f64::from(1 << Q) - (value as f64).ln();
            prop_assert!(error.abs() < 6e-5, "ln {value}: {error}");
        }
    }
}
