//! The logistic function and the hyperbolic tangent, by table.

use crate::features::{exp, fixed};

/// Entries for -8 to 8.
const ENTRIES: usize = 1024;
/// Bits of a Q12 argument that an entry spans: 1/64.
const STEP_BITS: u32 = 6;
/// Argument of the first entry, Q12.
const LOWEST_Q12: i32 = -8 << 12;

static SIGMOID_Q15: [i16; ENTRIES] = {
    let mut table = [0; ENTRIES];
    let mut index = 0;
    while index < ENTRIES / 2 {
        let growth = exp((index as f64 + 0.5) / 64.0 - 8.0);
        let value = fixed(growth / (1.0 + growth), 15) as i16;
        table[index] = value;
        table[ENTRIES - 1 - index] = i16::MAX - value;
        index += 1;
    }
    table
};

/// Logistic function of a Q12 argument, Q15: 0 to 32767, good to 2^-9.
#[inline(always)]
pub(super) fn sigmoid_q15(argument_q12: i32) -> i32 {
    let index = (argument_q12 - LOWEST_Q12) >> STEP_BITS;
    i32::from(SIGMOID_Q15[index.clamp(0, ENTRIES as i32 - 1) as usize])
}

/// Hyperbolic tangent of a Q12 argument, Q14: -16384 to 16383, good to 2^-7.
#[inline(always)]
pub(super) fn tanh_q14(argument_q12: i32) -> i32 {
    sigmoid_q15(2 * argument_q12) - (1 << 14)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn tables_agree_with_the_functions() {
        for argument in (-60_000..60_000).step_by(37) {
            let x = f64::from(argument) / 4096.0;
            let sigmoid = f64::from(sigmoid_q15(argument)) / 32768.0;
            assert!((sigmoid - 1.0 / (1.0 + (-x).exp())).abs() < 1.0 / 450.0, "sigmoid {x}: {sigmoid}");
            let tanh = f64::from(tanh_q14(argument)) / 16384.0;
            assert!((tanh - x.tanh()).abs() < 1.0 / 110.0, "tanh {x}: {tanh}");
        }
    }
}
