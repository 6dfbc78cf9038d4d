//! AVX2: 16 outputs of 4 positions at a time, eight outputs to a register.
//!
//! Four inputs of a position are broadcast to all lanes and multiplied with the weights of 16 outputs. `vpmaddubsw` adds
//! pairs with saturation, which cannot happen here (see [`super`]); everything else wraps as in
//! [`super::scalar`], so that the results are the same bits.
#![allow(unsafe_code)]

use super::x86::Features;
use super::{
    Conv, GROUP, I32s, INPUT_SPAN, INPUT_TAPS, InputConv, LANES, Norm, NormWalk, PairBlock, Requant,
    SIDE_BITS, TOP, Walk,
};
use core::arch::x86_64::*;

/// Positions that share one load of the weights: their sums, the weights and the constants fill the registers.
const POSITIONS: usize = 4;

/// Proof that this processor and its operating system have AVX2: only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Asks the processor.
    pub(super) fn detect() -> Option<Self> {
        Features::detect().avx2.then_some(Self(()))
    }

    /// See [`super::Kernel::vectorised`].
    pub(super) fn vectorised<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2")]
        fn run<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { run(work) }
    }

    /// See [`super::Kernel::conv`].
    pub(super) fn conv(
        self,
        conv: &Conv<'_>,
        walk: &Walk,
        input: &[u8],
        side: Option<&[i16]>,
        output: &mut [u8],
    ) {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { convolve(conv, walk, input, &mut Narrow { outputs: conv.outputs, walk, side, output }) }
    }

    /// See [`super::Kernel::conv_wide`].
    pub(super) fn conv_wide(self, conv: &Conv<'_>, walk: &Walk, input: &[u8], output: &mut [i16]) {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { convolve(conv, walk, input, &mut Wide { walk, output }) }
    }

    /// See [`super::Kernel::conv_input`].
    pub(super) fn conv_input(self, conv: &InputConv<'_>, walk: &Walk, input: &[i16], output: &mut [u8]) {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { convolve_input(conv, walk, input, output) }
    }

    /// See [`super::Kernel::pairs`].
    pub(super) fn pairs<const PAIRS: usize>(
        self,
        weights: &[PairBlock<PAIRS>],
        input: &[[i16; 2]; PAIRS],
        output: &mut [[i32; LANES]],
    ) {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { multiply_pairs(weights, input, output) }
    }

    /// See [`super::Kernel::norm`].
    pub(super) fn norm(self, norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { normalise(norm, walk, input, output) }
    }
}

/// Where the requantised values of 16 outputs at one position go.
trait Sink {
    /// `low` and `high` are outputs 0 to 7 and 8 to 15 of the block.
    ///
    /// # Safety
    /// The processor has AVX2.
    unsafe fn put(&mut self, position: usize, block: usize, low: __m256i, high: __m256i);
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
    #[target_feature(enable = "avx2")]
    unsafe fn put(&mut self, position: usize, block: usize, mut low: __m256i, mut high: __m256i) {
        if let Some(side) = self.side {
            let side = load_i16(block_of(&side[position * self.outputs + block * LANES..]));
            low = with_side(low, _mm256_castsi256_si128(side));
            high = with_side(high, _mm256_extracti128_si256::<1>(side));
        }
        let output = &mut self.output[position * self.walk.output_step + block * LANES..];
        store_top(narrowed(low, high), output);
    }
}

/// Sink of 16-bit values.
struct Wide<'a> {
    walk: &'a Walk,
    output: &'a mut [i16],
}

impl Sink for Wide<'_> {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn put(&mut self, position: usize, block: usize, low: __m256i, high: __m256i) {
        let output = &mut self.output[position * self.walk.output_step + block * LANES..];
        store_i16(narrowed(low, high), output);
    }
}

#[target_feature(enable = "avx2")]
fn convolve(conv: &Conv<'_>, walk: &Walk, input: &[u8], sink: &mut impl Sink) {
    let depth = conv.taps * conv.span;
    for block in 0..conv.outputs / LANES {
        let weights = &conv.weights[block * LANES * depth..][..LANES * depth];
        let requant = BlockRequant::new(&conv.requant, block);
        let mut position = 0;
        while position + POSITIONS <= walk.positions {
            let sums = sums::<POSITIONS>(conv, walk, &input[position * walk.step..], weights);
            for (index, [low, high]) in sums.into_iter().enumerate() {
                let (low, high) = requant.apply(low, high);
                // SAFETY: this function runs on AVX2 alone.
                unsafe { sink.put(position + index, block, low, high) };
            }
            position += POSITIONS;
        }
        for position in position..walk.positions {
            let [[low, high]] = sums::<1>(conv, walk, &input[position * walk.step..], weights);
            let (low, high) = requant.apply(low, high);
            // SAFETY: this function runs on AVX2 alone.
            unsafe { sink.put(position, block, low, high) };
        }
    }
}

/// Sums of 16 outputs at P positions.
#[inline]
#[target_feature(enable = "avx2")]
fn sums<const P: usize>(conv: &Conv<'_>, walk: &Walk, input: &[u8], weights: &[u8]) -> [[__m256i; 2]; P] {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_si256(); 2]; P];
    let groups = conv.span / GROUP;
    for (tap, weights) in weights.chunks_exact(LANES * conv.span).enumerate() {
        let mut spans = [&[] as &[[u8; GROUP]]; P];
        for (position, span) in spans.iter_mut().enumerate() {
            let start = position * walk.step + tap * walk.tap_step;
            *span = &input[start..start + conv.span].as_chunks().0[..groups];
        }
        for (index, [low, high]) in
            weights.as_chunks::<32>().0.as_chunks::<2>().0[..groups].iter().enumerate()
        {
            let (low, high) = (load(low), load(high));
            for (sums, span) in sums.iter_mut().zip(spans) {
                let inputs = _mm256_set1_epi32(i32::from_le_bytes(span[index]));
                sums[0] = _mm256_add_epi32(sums[0], dot(inputs, low, ones));
                sums[1] = _mm256_add_epi32(sums[1], dot(inputs, high, ones));
            }
        }
    }
    sums
}

/// Sum of four products in each lane.
#[inline]
#[target_feature(enable = "avx2")]
fn dot(inputs: __m256i, weights: __m256i, ones: __m256i) -> __m256i {
    _mm256_madd_epi16(_mm256_maddubs_epi16(inputs, weights), ones)
}

#[target_feature(enable = "avx2")]
fn convolve_input(conv: &InputConv<'_>, walk: &Walk, input: &[i16], output: &mut [u8]) {
    const PAIRS: usize = INPUT_TAPS * INPUT_SPAN / 2;
    for block in 0..conv.outputs / LANES {
        let weights = &conv.weights.0[block * PAIRS * 2 * LANES..][..PAIRS * 2 * LANES];
        let weights = weights.as_chunks::<LANES>().0;
        let requant = BlockRequant::new(&conv.requant, block);
        for position in 0..walk.positions {
            let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
            for tap in 0..INPUT_TAPS {
                let start = position * walk.step + tap * walk.tap_step;
                let pairs = input[start..start + INPUT_SPAN].as_chunks::<2>().0;
                for (index, &[first, second]) in pairs.iter().enumerate() {
                    let both = i32::from(first as u16) | (i32::from(second) << 16);
                    let inputs = _mm256_set1_epi32(both);
                    let at = 2 * (tap * INPUT_SPAN / 2 + index);
                    low = _mm256_add_epi32(low, _mm256_madd_epi16(inputs, load(weights[at].as_flattened())));
                    high = _mm256_add_epi32(
                        high,
                        _mm256_madd_epi16(inputs, load(weights[at + 1].as_flattened())),
                    );
                }
            }
            let (low, high) = requant.apply(low, high);
            store_top(narrowed(low, high), &mut output[position * walk.output_step + block * LANES..]);
        }
    }
}

#[target_feature(enable = "avx2")]
fn multiply_pairs<const PAIRS: usize>(
    weights: &[PairBlock<PAIRS>],
    input: &[[i16; 2]; PAIRS],
    output: &mut [[i32; LANES]],
) {
    for (sums, block) in output.iter_mut().zip(weights) {
        let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (weights, &[first, second]) in block.iter().zip(input) {
            let inputs = _mm256_set1_epi32(i32::from(first as u16) | (i32::from(second) << 16));
            let at = weights.as_ptr();
            // SAFETY: there are 16 pairs of 4 bytes.
            let weights = unsafe { (_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(8).cast())) };
            low = _mm256_add_epi32(low, _mm256_madd_epi16(inputs, weights.0));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(inputs, weights.1));
        }
        let at = sums.as_mut_ptr();
        // SAFETY: there are 16 sums of 4 bytes.
        unsafe {
            _mm256_storeu_si256(at.cast(), low);
            _mm256_storeu_si256(at.add(8).cast(), high);
        }
    }
}

#[target_feature(enable = "avx2")]
fn normalise(norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
    let shift = _mm_cvtsi32_si128(norm.shift as i32);
    let whole = walk.channels / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        let gains = load(norm.gain.0[at..at + LANES].as_flattened());
        let offsets = load_offsets(&norm.offset.0[at..at + LANES]);
        for position in 0..walk.positions {
            let values = load_i16(block_of(&input[position * walk.step + at..]));
            let (low, high) = (_mm256_mullo_epi16(values, gains), _mm256_mulhi_epi16(values, gains));
            // Outputs 0-3 and 8-11, then 4-7 and 12-15: the order in which packing puts them right again.
            let even = _mm256_add_epi32(_mm256_unpacklo_epi16(low, high), offsets.0);
            let odd = _mm256_add_epi32(_mm256_unpackhi_epi16(low, high), offsets.1);
            let (even, odd) = (_mm256_sra_epi32(even, shift), _mm256_sra_epi32(odd, shift));
            store_top(_mm256_packs_epi32(even, odd), &mut output[position * walk.output_step + at..]);
        }
    }
    super::scalar::norm_from(whole, norm, walk, input, output);
}

/// Bias and multipliers of 16 outputs.
struct BlockRequant {
    bias: [__m256i; 2],
    multiplier: [__m256i; 2],
    shift: __m128i,
    half: __m256i,
}

impl BlockRequant {
    #[target_feature(enable = "avx2")]
    fn new(requant: &Requant<'_>, block: usize) -> Self {
        let pair = |values: &I32s<'_>| {
            let (low, high) = values.0[block * LANES..][..LANES].split_at(LANES / 2);
            [load(low.as_flattened()), load(high.as_flattened())]
        };
        Self {
            bias: pair(&requant.bias),
            multiplier: pair(&requant.multiplier),
            shift: _mm_cvtsi32_si128(requant.shift as i32),
            half: _mm256_set1_epi64x(1 << (requant.shift - 1)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn apply(&self, low: __m256i, high: __m256i) -> (__m256i, __m256i) {
        (self.half(0, low), self.half(1, high))
    }

    /// 64-bit products of the even and the odd lanes. The shift is at most 32, so that the low 32 bits are those of an
    /// arithmetic shift.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn half(&self, which: usize, sums: __m256i) -> __m256i {
        let total = _mm256_add_epi32(sums, self.bias[which]);
        let multiplier = self.multiplier[which];
        let even = _mm256_mul_epi32(total, multiplier);
        let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(total), _mm256_srli_epi64::<32>(multiplier));
        let even = _mm256_srl_epi64(_mm256_add_epi64(even, self.half), self.shift);
        let odd = _mm256_srl_epi64(_mm256_add_epi64(odd, self.half), self.shift);
        _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd))
    }
}

/// Adds 8 side values and leaves their steps.
#[inline]
#[target_feature(enable = "avx2")]
fn with_side(values: __m256i, side: __m128i) -> __m256i {
    let half = _mm256_set1_epi32(1 << (SIDE_BITS - 1));
    let total = _mm256_add_epi32(_mm256_add_epi32(values, _mm256_cvtepi16_epi32(side)), half);
    _mm256_srai_epi32::<{ SIDE_BITS as i32 }>(total)
}

/// 16 values saturated to 16 bits, in order.
#[inline]
#[target_feature(enable = "avx2")]
fn narrowed(low: __m256i, high: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high))
}

/// Writes 16 values clamped to 0..=127.
#[inline]
#[target_feature(enable = "avx2")]
fn store_top(values: __m256i, output: &mut [u8]) {
    let bytes = _mm_packus_epi16(_mm256_castsi256_si128(values), _mm256_extracti128_si256::<1>(values));
    let bytes = _mm_min_epu8(bytes, _mm_set1_epi8(TOP as i8));
    let output: &mut [u8] = &mut output[..LANES];
    // SAFETY: the slice has 16 bytes.
    unsafe { _mm_storeu_si128(output.as_mut_ptr().cast(), bytes) };
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_i16(values: __m256i, output: &mut [i16]) {
    let output: &mut [i16] = &mut output[..LANES];
    // SAFETY: the slice has 16 values, 32 bytes.
    unsafe { _mm256_storeu_si256(output.as_mut_ptr().cast(), values) };
}

fn block_of(values: &[i16]) -> &[i16; LANES] {
    values.first_chunk().expect("slices reach to the end of the walk")
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_i16(values: &[i16; LANES]) -> __m256i {
    // SAFETY: the array has 32 bytes.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

/// Offsets 0-3 and 8-11, then 4-7 and 12-15.
#[inline]
#[target_feature(enable = "avx2")]
fn load_offsets(offsets: &[[u8; 4]]) -> (__m256i, __m256i) {
    let (low, high) = offsets.split_at(LANES / 2);
    let (low, high) = (load(low.as_flattened()), load(high.as_flattened()));
    (_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
}

/// 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8]) -> __m256i {
    let bytes: &[u8] = &bytes[..32];
    // SAFETY: the slice has 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
