//! NEON: 16 outputs at a time, four to a register, with the dot product instruction where the processor has it.
//!
//! Activations are at most 127, so that they are signed bytes as well. With dot products, four inputs of a position are
//! multiplied with the weights of four outputs in one instruction. Without, the products of two groups of inputs are
//! added in 16 bits, which hold them (see [`super`]), and then pairwise in 32. Everything wraps as in
//! [`super::scalar`], so that the results are the same bits.
#![allow(unsafe_code)]

use super::{
    Conv, GROUP, I32s, INPUT_SPAN, INPUT_TAPS, InputConv, LANES, Norm, NormWalk, Requant, SIDE_BITS, TOP,
    Walk,
};
use core::arch::aarch64::*;
use core::arch::asm;

/// Outputs of a register.
const QUAD: usize = 4;
/// Registers of a block of outputs.
const QUADS: usize = LANES / QUAD;
/// Sums of a block of outputs at one position.
type Sums = [int32x4_t; QUADS];

/// How four inputs are multiplied with the weights of a block. NEON itself is part of every AArch64 processor that Rust
/// builds for; a value of [`Dotprod`] proves the rest.
pub(super) trait Multiply: Copy {
    /// Positions whose sums are kept in registers.
    const POSITIONS: usize;

    /// Sums of 16 outputs at P positions.
    ///
    /// # Safety
    /// The processor has NEON.
    unsafe fn sums<const P: usize>(
        self,
        conv: &Conv<'_>,
        walk: &Walk,
        input: &[u8],
        weights: &[u8],
    ) -> [Sums; P];
}

/// Widening multiplications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Widening;

/// Dot products, and the proof that the processor has them: only [`Dotprod::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dotprod(());

impl Dotprod {
    /// Asks the processor. Linux lets programs read the identification registers
    /// (Documentation/arch/arm64/cpu-feature-registers.rst, since 4.11); DP is bits 47 to 44 of `ID_AA64ISAR0_EL1`.
    pub(super) fn detect() -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            let features: u64;
            // SAFETY: reads a register that the kernel answers for.
            unsafe {
                asm!("mrs {}, ID_AA64ISAR0_EL1", out(reg) features, options(nomem, nostack, preserves_flags));
            }
            (features >> 44 & 0xF != 0).then_some(Self(()))
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Adds the products of four inputs, in every quarter of `inputs`, and the weights of four outputs.
    #[inline]
    #[target_feature(enable = "neon")]
    fn dot(self, mut sums: int32x4_t, weights: int8x16_t, inputs: int8x16_t) -> int32x4_t {
        // SAFETY: `self` proves that the processor has the instruction; it touches registers alone.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {sums:v}.4s, {weights:v}.16b, {inputs:v}.16b",
                sums = inout(vreg) sums,
                weights = in(vreg) weights,
                inputs = in(vreg) inputs,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sums
    }
}

impl Multiply for Dotprod {
    const POSITIONS: usize = 4;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sums<const P: usize>(
        self,
        conv: &Conv<'_>,
        walk: &Walk,
        input: &[u8],
        weights: &[u8],
    ) -> [Sums; P] {
        let place = Place::new::<P>(conv, walk, input, weights);
        let mut sums = [[vdupq_n_s32(0); QUADS]; P];
        for tap in 0..conv.taps {
            for group in 0..conv.span / GROUP {
                let weights = place.weights(tap, group);
                for (position, sums) in sums.iter_mut().enumerate() {
                    let inputs = vreinterpretq_s8_s32(vdupq_n_s32(place.inputs(position, tap, group)));
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = self.dot(*sum, weights, inputs);
                    }
                }
            }
        }
        sums
    }
}

impl Multiply for Widening {
    const POSITIONS: usize = 2;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sums<const P: usize>(
        self,
        conv: &Conv<'_>,
        walk: &Walk,
        input: &[u8],
        weights: &[u8],
    ) -> [Sums; P] {
        let place = Place::new::<P>(conv, walk, input, weights);
        // Two sums for each output, side by side.
        let mut halves = [[[vdupq_n_s32(0); 2]; QUADS]; P];
        let groups = conv.span / GROUP;
        for tap in 0..conv.taps {
            for group in (0..groups).step_by(2) {
                let first = place.weights(tap, group);
                let second = (group + 1 < groups).then(|| place.weights(tap, group + 1));
                for (position, halves) in halves.iter_mut().enumerate() {
                    let mut products = multiplied(first, place.inputs(position, tap, group));
                    if let Some(weights) = second {
                        add_multiplied(&mut products, weights, place.inputs(position, tap, group + 1));
                    }
                    for (halves, products) in halves.iter_mut().zip(products) {
                        halves[0] = vpadalq_s16(halves[0], products[0]);
                        halves[1] = vpadalq_s16(halves[1], products[1]);
                    }
                }
            }
        }
        halves.map(|halves| halves.map(|[low, high]| vpaddq_s32(low, high)))
    }
}

/// Products of four inputs and the weights of 16 outputs: two outputs to a register.
#[inline]
#[target_feature(enable = "neon")]
fn multiplied(weights: [int8x16_t; QUADS], inputs: i32) -> [[int16x8_t; 2]; QUADS] {
    let inputs = vreinterpret_s8_s32(vdup_n_s32(inputs));
    weights.map(|weights| [vmull_s8(vget_low_s8(weights), inputs), vmull_s8(vget_high_s8(weights), inputs)])
}

#[inline]
#[target_feature(enable = "neon")]
fn add_multiplied(products: &mut [[int16x8_t; 2]; QUADS], weights: [int8x16_t; QUADS], inputs: i32) {
    let inputs = vreinterpret_s8_s32(vdup_n_s32(inputs));
    for ([low, high], weights) in products.iter_mut().zip(weights) {
        *low = vmlal_s8(*low, vget_low_s8(weights), inputs);
        *high = vmlal_s8(*high, vget_high_s8(weights), inputs);
    }
}

/// Inputs and weights of a block of outputs at some positions, checked once.
#[derive(Clone, Copy)]
struct Place<'a> {
    walk: &'a Walk,
    groups: usize,
    input: &'a [u8],
    weights: &'a [u8],
}

impl<'a> Place<'a> {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new<const P: usize>(conv: &Conv<'_>, walk: &'a Walk, input: &'a [u8], weights: &'a [u8]) -> Self {
        assert!(weights.len() == LANES * conv.taps * conv.span);
        assert!(input.len() >= (P - 1) * walk.step + (conv.taps - 1) * walk.tap_step + conv.span);
        Self { walk, groups: conv.span / GROUP, input, weights }
    }

    /// Weights of four inputs, four outputs to a register.
    #[inline]
    #[target_feature(enable = "neon")]
    fn weights(&self, tap: usize, group: usize) -> [int8x16_t; QUADS] {
        let at = (tap * self.groups + group) * LANES * GROUP;
        // SAFETY: tap and group are below the convolution's, whose weights `new` found to be there.
        let all = unsafe { vld1q_s8_x4(self.weights.as_ptr().add(at).cast()) };
        [all.0, all.1, all.2, all.3]
    }

    /// Four inputs of a position.
    #[inline]
    #[target_feature(enable = "neon")]
    fn inputs(&self, position: usize, tap: usize, group: usize) -> i32 {
        let at = position * self.walk.step + tap * self.walk.tap_step + group * GROUP;
        // SAFETY: position, tap and group are below what `new` found room for.
        unsafe { self.input.as_ptr().add(at).cast::<i32>().read_unaligned() }
    }
}

/// Where the requantised values of 16 outputs at one position go.
trait Sink {
    /// # Safety
    /// The processor has NEON.
    unsafe fn put(&mut self, position: usize, block: usize, values: Sums);
}

/// Sink of 7-bit activations.
struct Narrow<'a> {
    outputs: usize,
    walk: &'a Walk,
    side: Option<&'a [i16]>,
    output: &'a mut [u8],
}

impl Sink for Narrow<'_> {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn put(&mut self, position: usize, block: usize, mut values: Sums) {
        if let Some(side) = self.side {
            let side = side[position * self.outputs + block * LANES..].as_chunks::<QUAD>().0;
            for (value, side) in values.iter_mut().zip(&side[..QUADS]) {
                // SAFETY: the array has four values.
                let side = vmovl_s16(unsafe { vld1_s16(side.as_ptr()) });
                let half = vdupq_n_s32(1 << (SIDE_BITS - 1));
                *value = vshrq_n_s32::<{ SIDE_BITS as i32 }>(vaddq_s32(vaddq_s32(*value, side), half));
            }
        }
        let output = &mut self.output[position * self.walk.output_step + block * LANES..];
        let (low, high) = narrowed(values);
        store_top(low, &mut output[..8]);
        store_top(high, &mut output[8..]);
    }
}

/// Sink of 16-bit values.
struct Wide<'a> {
    walk: &'a Walk,
    output: &'a mut [i16],
}

impl Sink for Wide<'_> {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn put(&mut self, position: usize, block: usize, values: Sums) {
        let output = &mut self.output[position * self.walk.output_step + block * LANES..][..LANES];
        let (low, high) = narrowed(values);
        // SAFETY: the slice has 16 values.
        unsafe {
            vst1q_s16(output.as_mut_ptr(), low);
            vst1q_s16(output.as_mut_ptr().add(8), high);
        }
    }
}

/// See [`super::Kernel::conv`].
pub(super) fn conv(
    multiply: impl Multiply,
    conv: &Conv<'_>,
    walk: &Walk,
    input: &[u8],
    (side, output): (Option<&[i16]>, &mut [u8]),
) {
    let mut sink = Narrow { outputs: conv.outputs, walk, side, output };
    // SAFETY: NEON is part of every AArch64 processor.
    unsafe { convolve(multiply, conv, walk, input, &mut sink) }
}

/// See [`super::Kernel::conv_wide`].
pub(super) fn conv_wide(
    multiply: impl Multiply,
    conv: &Conv<'_>,
    walk: &Walk,
    input: &[u8],
    output: &mut [i16],
) {
    // SAFETY: NEON is part of every AArch64 processor.
    unsafe { convolve(multiply, conv, walk, input, &mut Wide { walk, output }) }
}

#[inline]
#[target_feature(enable = "neon")]
fn convolve<M: Multiply>(multiply: M, conv: &Conv<'_>, walk: &Walk, input: &[u8], sink: &mut impl Sink) {
    let depth = conv.taps * conv.span;
    for block in 0..conv.outputs / LANES {
        let weights = &conv.weights[block * LANES * depth..][..LANES * depth];
        let requant = BlockRequant::new(&conv.requant, block);
        let mut position = 0;
        // Two or four: a constant of a trait cannot be the length of an array.
        while position + M::POSITIONS <= walk.positions {
            let input = &input[position * walk.step..];
            if M::POSITIONS == 4 {
                // SAFETY: this function runs on NEON alone.
                let sums = unsafe { multiply.sums::<4>(conv, walk, input, weights) };
                put(position, block, sums, (&requant, sink));
            } else {
                // SAFETY: this function runs on NEON alone.
                let sums = unsafe { multiply.sums::<2>(conv, walk, input, weights) };
                put(position, block, sums, (&requant, sink));
            }
            position += M::POSITIONS;
        }
        for position in position..walk.positions {
            let input = &input[position * walk.step..];
            // SAFETY: this function runs on NEON alone.
            let sums = unsafe { multiply.sums::<1>(conv, walk, input, weights) };
            put(position, block, sums, (&requant, sink));
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn put<const P: usize>(
    first: usize,
    block: usize,
    sums: [Sums; P],
    (requant, sink): (&BlockRequant, &mut impl Sink),
) {
    for (index, sums) in sums.into_iter().enumerate() {
        let values = requant.apply(sums);
        // SAFETY: this function runs on NEON alone.
        unsafe { sink.put(first + index, block, values) }
    }
}

/// See [`super::Kernel::conv_input`].
pub(super) fn conv_input(conv: &InputConv<'_>, walk: &Walk, input: &[i16], output: &mut [u8]) {
    // SAFETY: NEON is part of every AArch64 processor.
    unsafe { convolve_input(conv, walk, input, output) }
}

/// See [`super::Kernel::norm`].
pub(super) fn norm(norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
    // SAFETY: NEON is part of every AArch64 processor.
    unsafe { normalise(norm, walk, input, output) }
}

#[target_feature(enable = "neon")]
fn convolve_input(conv: &InputConv<'_>, walk: &Walk, input: &[i16], output: &mut [u8]) {
    const PAIRS: usize = INPUT_TAPS * INPUT_SPAN / 2;
    for block in 0..conv.outputs / LANES {
        let weights = &conv.weights.0[block * PAIRS * 2 * LANES..][..PAIRS * 2 * LANES];
        let requant = BlockRequant::new(&conv.requant, block);
        let mut sink = Narrow { outputs: conv.outputs, walk, side: None, output: &mut *output };
        for position in 0..walk.positions {
            let mut sums = [vdupq_n_s32(0); QUADS];
            for tap in 0..INPUT_TAPS {
                let start = position * walk.step + tap * walk.tap_step;
                let pairs = input[start..start + INPUT_SPAN].as_chunks::<2>().0;
                for (index, pair) in pairs.iter().enumerate() {
                    let at = (tap * INPUT_SPAN / 2 + index) * 2 * LANES;
                    add_pair(&mut sums, &weights[at..at + 2 * LANES], *pair);
                }
            }
            let values = requant.apply(sums);
            // SAFETY: this function runs on NEON alone.
            unsafe { sink.put(position, block, values) }
        }
    }
}

/// Adds two 16-bit inputs times their weights, which lie in pairs.
#[inline]
#[target_feature(enable = "neon")]
fn add_pair(sums: &mut Sums, weights: &[[u8; 2]], [first, second]: [i16; 2]) {
    let (low, high) = weights[..2 * LANES].split_at(LANES);
    for (sums, weights) in sums.chunks_exact_mut(2).zip([low, high]) {
        // SAFETY: each half has 16 values of 16 bits.
        let int16x8x2_t(even, odd) = unsafe { vld2q_s16(weights.as_ptr().cast()) };
        sums[0] = vmlal_n_s16(vmlal_n_s16(sums[0], vget_low_s16(even), first), vget_low_s16(odd), second);
        sums[1] = vmlal_n_s16(vmlal_n_s16(sums[1], vget_high_s16(even), first), vget_high_s16(odd), second);
    }
}

#[target_feature(enable = "neon")]
fn normalise(norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
    const WIDTH: usize = 8;
    let down = vdupq_n_s32(-(norm.shift as i32));
    let whole = walk.channels / WIDTH * WIDTH;
    for at in (0..whole).step_by(WIDTH) {
        // SAFETY: the slice has eight values of 16 bits.
        let gains = unsafe { vld1q_s16(norm.gain.0[at..at + WIDTH].as_ptr().cast()) };
        let offsets = [at, at + QUAD].map(|at| load(&norm.offset.0[at..]));
        for position in 0..walk.positions {
            let values = &input[position * walk.step + at..][..WIDTH];
            // SAFETY: the slice has eight values.
            let values = unsafe { vld1q_s16(values.as_ptr()) };
            let low = vmull_s16(vget_low_s16(values), vget_low_s16(gains));
            let high = vmull_high_s16(values, gains);
            let low = vshlq_s32(vaddq_s32(low, offsets[0]), down);
            let high = vshlq_s32(vaddq_s32(high, offsets[1]), down);
            let both = vqmovn_high_s32(vqmovn_s32(low), high);
            store_top(both, &mut output[position * walk.output_step + at..][..WIDTH]);
        }
    }
    super::scalar::norm_from(whole, norm, walk, input, output);
}

/// Bias and multipliers of 16 outputs.
struct BlockRequant {
    bias: Sums,
    multiplier: Sums,
    half: int64x2_t,
    down: int64x2_t,
}

impl BlockRequant {
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(requant: &Requant<'_>, block: usize) -> Self {
        let quads =
            |values: &I32s<'_>| core::array::from_fn(|quad| load(&values.0[block * LANES + quad * QUAD..]));
        Self {
            bias: quads(&requant.bias),
            multiplier: quads(&requant.multiplier),
            half: vdupq_n_s64(1 << (requant.shift - 1)),
            down: vdupq_n_s64(-i64::from(requant.shift)),
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn apply(&self, sums: Sums) -> Sums {
        core::array::from_fn(|quad| {
            let total = vaddq_s32(sums[quad], self.bias[quad]);
            let multiplier = self.multiplier[quad];
            let low = vmull_s32(vget_low_s32(total), vget_low_s32(multiplier));
            let high = vmull_high_s32(total, multiplier);
            let low = vshlq_s64(vaddq_s64(low, self.half), self.down);
            let high = vshlq_s64(vaddq_s64(high, self.half), self.down);
            vmovn_high_s64(vmovn_s64(low), high)
        })
    }
}

/// 16 values saturated to 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn narrowed(values: Sums) -> (int16x8_t, int16x8_t) {
    let pair = |low, high| vqmovn_high_s32(vqmovn_s32(low), high);
    (pair(values[0], values[1]), pair(values[2], values[3]))
}

/// Writes eight values clamped to 0..=127.
#[inline]
#[target_feature(enable = "neon")]
fn store_top(values: int16x8_t, output: &mut [u8]) {
    let bytes = vmin_u8(vqmovun_s16(values), vdup_n_u8(TOP as u8));
    let output = &mut output[..8];
    // SAFETY: the slice has eight bytes.
    unsafe { vst1_u8(output.as_mut_ptr(), bytes) };
}

/// Four integers of a blob.
#[inline]
#[target_feature(enable = "neon")]
fn load(values: &[[u8; 4]]) -> int32x4_t {
    let values = values[..QUAD].as_flattened();
    // SAFETY: the slice has 16 bytes; the cast is of the pointer alone, and the load takes any address.
    unsafe { vreinterpretq_s32_u8(vld1q_u8(values.as_ptr())) }
}
