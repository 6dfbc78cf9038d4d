//! The oracle: plain loops, kept simple on purpose and never optimised.

use super::{
    Conv, GROUP, INPUT_SPAN, INPUT_TAPS, InputConv, LANES, Norm, NormWalk, PairBlock, Requant, SIDE_BITS,
    TOP, Walk,
};

/// See [`super::Kernel::conv`].
pub(crate) fn conv(conv: &Conv<'_>, walk: &Walk, input: &[u8], side: Option<&[i16]>, output: &mut [u8]) {
    for position in 0..walk.positions {
        for block in 0..conv.outputs / LANES {
            let sums = sums(conv, walk, &input[position * walk.step..], block);
            for (lane, &sum) in sums.iter().enumerate() {
                let channel = block * LANES + lane;
                let value = requantise(&conv.requant, channel, sum);
                let value = match side {
                    Some(side) => with_side(value, side[position * conv.outputs + channel]),
                    None => value,
                };
                output[position * walk.output_step + channel] = value.clamp(0, TOP) as u8;
            }
        }
    }
}

/// See [`super::Kernel::conv_wide`].
pub(crate) fn conv_wide(conv: &Conv<'_>, walk: &Walk, input: &[u8], output: &mut [i16]) {
    for position in 0..walk.positions {
        for block in 0..conv.outputs / LANES {
            let sums = sums(conv, walk, &input[position * walk.step..], block);
            for (lane, &sum) in sums.iter().enumerate() {
                let channel = block * LANES + lane;
                let value = requantise(&conv.requant, channel, sum);
                output[position * walk.output_step + channel] = saturate(value);
            }
        }
    }
}

/// See [`super::Kernel::conv_input`].
pub(crate) fn conv_input(conv: &InputConv<'_>, walk: &Walk, input: &[i16], output: &mut [u8]) {
    for position in 0..walk.positions {
        for channel in 0..conv.outputs {
            let mut sum = 0i32;
            for tap in 0..INPUT_TAPS {
                for index in 0..INPUT_SPAN {
                    let value = input[position * walk.step + tap * walk.tap_step + index];
                    let weight = conv.weights.at(input_weight(channel, tap * INPUT_SPAN + index));
                    sum = sum.wrapping_add(i32::from(value) * i32::from(weight));
                }
            }
            let value = requantise(&conv.requant, channel, sum);
            output[position * walk.output_step + channel] = value.clamp(0, TOP) as u8;
        }
    }
}

/// See [`super::Kernel::pairs`].
pub(crate) fn pairs<const PAIRS: usize>(
    weights: &[PairBlock<PAIRS>],
    input: &[[i16; 2]; PAIRS],
    output: &mut [[i32; LANES]],
) {
    for (sums, block) in output.iter_mut().zip(weights) {
        *sums = [0; LANES];
        for (weights, [first, second]) in block.iter().zip(input) {
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum +=
                    i32::from(weights[0]) * i32::from(*first) + i32::from(weights[1]) * i32::from(*second);
            }
        }
    }
}

/// See [`super::Kernel::norm`].
pub(crate) fn norm(norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
    norm_from(0, norm, walk, input, output);
}

/// [`norm`] of the channels from `first` on: what is left when a kernel has taken all whole registers.
pub(super) fn norm_from(first: usize, norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
    for position in 0..walk.positions {
        for channel in first..walk.channels {
            let value = input[position * walk.step + channel];
            let value = normalised(value, norm.gain.at(channel), norm.offset.at(channel), norm.shift);
            output[position * walk.output_step + channel] = value.clamp(0, TOP) as u8;
        }
    }
}

/// A batch norm's output before it is clamped.
#[inline(always)]
pub(crate) fn normalised(value: i16, gain: i16, offset: i32, shift: u32) -> i32 {
    (i32::from(value) * i32::from(gain)).wrapping_add(offset) >> shift
}

/// `((sum + bias) * multiplier + half) >> shift`: the low 32 bits, which are all of it for any real layer.
pub(crate) fn requantise(requant: &Requant<'_>, channel: usize, sum: i32) -> i32 {
    let total = i64::from(sum.wrapping_add(requant.bias.at(channel)));
    let product = total * i64::from(requant.multiplier.at(channel));
    ((product + (1 << (requant.shift - 1))) >> requant.shift) as i32
}

/// Nearest 16-bit value.
pub(crate) fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

fn with_side(value: i32, side: i16) -> i32 {
    value.wrapping_add(i32::from(side)).wrapping_add(1 << (SIDE_BITS - 1)) >> SIDE_BITS
}

/// Sums of 16 outputs at one position.
fn sums(conv: &Conv<'_>, walk: &Walk, input: &[u8], block: usize) -> [i32; LANES] {
    let depth = conv.taps * conv.span;
    let weights = &conv.weights[block * LANES * depth..][..LANES * depth];
    let mut sums = [0i32; LANES];
    for (tap, weights) in weights.chunks_exact(LANES * conv.span).enumerate() {
        let span = &input[tap * walk.tap_step..][..conv.span];
        for (inputs, weights) in span.chunks_exact(GROUP).zip(weights.chunks_exact(LANES * GROUP)) {
            for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(GROUP)) {
                for (&input, &weight) in inputs.iter().zip(weights) {
                    *sum += i32::from(input) * i32::from(weight as i8);
                }
            }
        }
    }
    sums
}

/// Index of an input weight in `[outputs / 16][6][16][2]`.
fn input_weight(channel: usize, index: usize) -> usize {
    let pairs = INPUT_TAPS * INPUT_SPAN / 2;
    ((channel / LANES * pairs + index / 2) * LANES + channel % LANES) * 2 + index % 2
}
