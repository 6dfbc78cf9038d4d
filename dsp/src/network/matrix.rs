//! A single position through a matrix, with inputs wider than 8 bits: the small matrices after a mean.

use crate::kernel::scalar::requantise;
use crate::kernel::{Conv, GROUP, LANES};

/// `output[o] = requantised(sum of input x weights[o])`; sums are 64 bit, so that no input overflows, and saturate
/// before their bias.
pub(super) fn multiply(matrix: &Conv<'_>, input: &[i32], output: &mut [i32]) {
    let depth = matrix.taps * matrix.span;
    let blocks = matrix.weights.chunks_exact(LANES * depth);
    for (block, (weights, output)) in blocks.zip(output.chunks_exact_mut(LANES)).enumerate() {
        let mut sums = [0i64; LANES];
        for (inputs, weights) in input.chunks_exact(GROUP).zip(weights.chunks_exact(LANES * GROUP)) {
            for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(GROUP)) {
                for (&input, &weight) in inputs.iter().zip(weights) {
                    *sum += i64::from(input) * i64::from(weight as i8);
                }
            }
        }
        for (lane, (output, sum)) in output.iter_mut().zip(sums).enumerate() {
            let sum = sum.clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2)) as i32;
            *output = requantise(&matrix.requant, block * LANES + lane, sum);
        }
    }
}
