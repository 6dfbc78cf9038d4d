//! A single position through a matrix, with inputs wider than 8 bits: the small matrices after a mean.

use crate::kernel::scalar::requantise;
use crate::kernel::{Conv, GROUP, LANES};

/// `output[o] = requantised(sum of input x weights[o])`; sums are 64 bit, so that no input overflows, and saturate
/// before their bias.
#[inline(always)]
pub(super) fn multiply(matrix: &Conv<'_>, input: &[i32], output: &mut [i32]) {
    let depth = matrix.taps * matrix.span;
    let blocks = matrix.weights.chunks_exact(LANES * depth);
    for (block, (weights, output)) in blocks.zip(output.as_chunks_mut::<LANES>().0).enumerate() {
        let mut sums = [0i64; LANES * GROUP];
        for (inputs, weights) in input.as_chunks::<GROUP>().0.iter().zip(weights.as_chunks().0) {
            add_products(inputs, weights, &mut sums);
        }
        for (lane, (output, sums)) in output.iter_mut().zip(sums.as_chunks::<GROUP>().0).enumerate() {
            let sum = sums.iter().sum::<i64>().clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2));
            *output = requantise(&matrix.requant, block * LANES + lane, sum as i32);
        }
    }
}

/// Adds the products of four inputs and the weights of 16 outputs; the inputs are laid beside the weights, so that the
/// loop runs along the memory and vectorises.
#[inline(always)]
fn add_products(inputs: &[i32; GROUP], weights: &[u8; LANES * GROUP], sums: &mut [i64; LANES * GROUP]) {
    let mut beside = [0; LANES * GROUP];
    beside.as_chunks_mut::<GROUP>().0.fill(*inputs);
    for ((sum, &weight), &input) in sums.iter_mut().zip(weights).zip(&beside) {
        *sum += i64::from(input) * i64::from(weight as i8);
    }
}
