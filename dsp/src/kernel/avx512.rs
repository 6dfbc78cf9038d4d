//! AVX-512 with VNNI: 32 outputs of 12 positions at a time, 16 outputs to a register.
//!
//! Four inputs of a position are broadcast to all lanes; `vpdpbusd` multiplies them with the weights of 16 outputs and
//! adds the four products to the 32-bit sums, without saturation. Everything wraps as in [`super::scalar`], so
//! that the results are the same bits.
#![allow(unsafe_code)]

use super::x86::Features;
use super::{
    Conv, GROUP, I32s, INPUT_SPAN, INPUT_TAPS, InputConv, LANES, Norm, NormWalk, PairBlock, Requant,
    SIDE_BITS, TOP, Walk,
};
use core::arch::x86_64::*;

/// Positions whose sums are kept in registers: with two blocks of outputs 24 of the 32 registers.
const POSITIONS: usize = 12;
/// Positions of what is left over.
const FEW: usize = 4;
/// Values of a batch norm at a time.
const NORM_LANES: usize = 2 * LANES;

/// Proof that this processor and its operating system have AVX-512 F, BW, VL and VNNI: only [`Avx512::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Asks the processor.
    pub(super) fn detect() -> Option<Self> {
        Features::detect().avx512_vnni.then_some(Self(()))
    }

    /// See [`super::Kernel::vectorised`].
    pub(super) fn vectorised<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        fn run<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: `self` proves that the processor has the instructions.
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
        let mut narrow = Narrow { walk, output };
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe {
            match side {
                Some(side) => {
                    convolve(conv, walk, input, &mut Joined { narrow, outputs: conv.outputs, side });
                }
                None => convolve(conv, walk, input, &mut narrow),
            }
        }
    }

    /// See [`super::Kernel::conv_wide`].
    pub(super) fn conv_wide(self, conv: &Conv<'_>, walk: &Walk, input: &[u8], output: &mut [i16]) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { convolve(conv, walk, input, &mut Wide { walk, output }) }
    }

    /// See [`super::Kernel::conv_input`].
    pub(super) fn conv_input(self, conv: &InputConv<'_>, walk: &Walk, input: &[i16], output: &mut [u8]) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { convolve_input(conv, walk, input, output) }
    }

    /// See [`super::Kernel::pairs`].
    pub(super) fn pairs<const PAIRS: usize>(
        self,
        weights: &[PairBlock<PAIRS>],
        input: &[[i16; 2]; PAIRS],
        output: &mut [[i32; LANES]],
    ) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { multiply_pairs(weights, input, output) }
    }

    /// See [`super::Kernel::norm`].
    pub(super) fn norm(self, norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { normalise(norm, walk, input, output) }
    }
}

/// Where requantised values go.
trait Sink {
    /// What is added to each value beforehand.
    const ADDED: i64;

    /// Takes B blocks of 16 outputs at one position.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW, VL and VNNI.
    unsafe fn put<const B: usize>(&mut self, position: usize, block: usize, values: [__m512i; B]);
}

/// Sink of 7-bit activations.
struct Narrow<'a> {
    walk: &'a Walk,
    output: &'a mut [u8],
}

impl Sink for Narrow<'_> {
    const ADDED: i64 = 0;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn put<const B: usize>(&mut self, position: usize, block: usize, values: [__m512i; B]) {
        store_top(values, &mut self.output[position * self.walk.output_step + block * LANES..]);
    }
}

/// Sink of 7-bit activations with a side input.
struct Joined<'a> {
    narrow: Narrow<'a>,
    outputs: usize,
    side: &'a [i16],
}

impl Sink for Joined<'_> {
    /// The half for rounding the steps of the side input.
    const ADDED: i64 = 1 << (SIDE_BITS - 1);

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn put<const B: usize>(&mut self, position: usize, block: usize, mut values: [__m512i; B]) {
        let side = self.side[position * self.outputs + block * LANES..].as_chunks::<LANES>().0;
        for (value, side) in values.iter_mut().zip(&side[..B]) {
            // SAFETY: the array has 16 values, 32 bytes.
            let side = _mm512_cvtepi16_epi32(unsafe { _mm256_loadu_si256(side.as_ptr().cast()) });
            *value = _mm512_srai_epi32::<{ SIDE_BITS }>(_mm512_add_epi32(*value, side));
        }
        // SAFETY: this function runs on the instructions alone.
        unsafe { self.narrow.put(position, block, values) }
    }
}

/// Sink of 16-bit values.
struct Wide<'a> {
    walk: &'a Walk,
    output: &'a mut [i16],
}

impl Sink for Wide<'_> {
    const ADDED: i64 = 0;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn put<const B: usize>(&mut self, position: usize, block: usize, values: [__m512i; B]) {
        let output = &mut self.output[position * self.walk.output_step + block * LANES..];
        for (value, output) in values.into_iter().zip(output[..B * LANES].chunks_exact_mut(LANES)) {
            // SAFETY: the slice has 16 values, 32 bytes.
            unsafe { _mm256_storeu_si256(output.as_mut_ptr().cast(), _mm512_cvtsepi32_epi16(value)) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn convolve(conv: &Conv<'_>, walk: &Walk, input: &[u8], sink: &mut impl Sink) {
    let blocks = conv.outputs / LANES;
    let mut block = 0;
    while block + 2 <= blocks {
        panel::<2, _>(conv, walk, input, block, sink);
        block += 2;
    }
    if block < blocks {
        panel::<1, _>(conv, walk, input, block, sink);
    }
}

/// All positions of B blocks of outputs.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn panel<const B: usize, S: Sink>(conv: &Conv<'_>, walk: &Walk, input: &[u8], block: usize, sink: &mut S) {
    let depth = conv.taps * conv.span;
    let weights = &conv.weights[block * LANES * depth..][..B * LANES * depth];
    let requants: [BlockRequant; B] =
        core::array::from_fn(|index| BlockRequant::new(&conv.requant, block + index, S::ADDED));
    let bias = core::array::from_fn(|index| requants[index].bias);
    let mut finish = |first: usize, sums: &[[__m512i; B]]| {
        for (index, sums) in sums.iter().enumerate() {
            let values: [__m512i; B] = core::array::from_fn(|offset| requants[offset].apply(sums[offset]));
            // SAFETY: this function runs on the instructions alone.
            unsafe { sink.put(first + index, block, values) };
        }
    };
    let mut position = 0;
    while position + POSITIONS <= walk.positions {
        finish(position, &sums::<POSITIONS, B>(conv, walk, &input[position * walk.step..], (weights, bias)));
        position += POSITIONS;
    }
    while position + FEW <= walk.positions {
        finish(position, &sums::<FEW, B>(conv, walk, &input[position * walk.step..], (weights, bias)));
        position += FEW;
    }
    for position in position..walk.positions {
        finish(position, &sums::<1, B>(conv, walk, &input[position * walk.step..], (weights, bias)));
    }
}

/// Sums, bias included, of B blocks of outputs at P positions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn sums<const P: usize, const B: usize>(
    conv: &Conv<'_>,
    walk: &Walk,
    input: &[u8],
    (weights, bias): (&[u8], [__m512i; B]),
) -> [[__m512i; B]; P] {
    let groups = conv.span / GROUP;
    let depth = conv.taps * conv.span;
    assert!(weights.len() == B * LANES * depth);
    assert!(input.len() >= (P - 1) * walk.step + (conv.taps - 1) * walk.tap_step + conv.span);
    let mut sums = [bias; P];
    for tap in 0..conv.taps {
        for group in 0..groups {
            let at = (tap * groups + group) * LANES * GROUP;
            // SAFETY: block b's weights are `LANES * depth` bytes from `b * LANES * depth` on, of which these are 64;
            // the first assertion holds that many.
            let weights: [__m512i; B] = core::array::from_fn(|b| unsafe {
                _mm512_loadu_si512(weights.as_ptr().add(b * LANES * depth + at).cast())
            });
            for (position, sums) in sums.iter_mut().enumerate() {
                let at = position * walk.step + tap * walk.tap_step + group * GROUP;
                // SAFETY: `at + 4` is at most what the second assertion found there.
                let four = unsafe { input.as_ptr().add(at).cast::<i32>().read_unaligned() };
                let inputs = _mm512_set1_epi32(four);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbusd_epi32(*sum, inputs, weights);
                }
            }
        }
    }
    sums
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn convolve_input(conv: &InputConv<'_>, walk: &Walk, input: &[i16], output: &mut [u8]) {
    const PAIRS: usize = INPUT_TAPS * INPUT_SPAN / 2;
    for block in 0..conv.outputs / LANES {
        let weights = &conv.weights.0[block * PAIRS * 2 * LANES..][..PAIRS * 2 * LANES];
        let weights: [__m512i; PAIRS] =
            core::array::from_fn(|pair| load(weights[pair * 2 * LANES..][..2 * LANES].as_flattened()));
        let requant = BlockRequant::new(&conv.requant, block, 0);
        for position in 0..walk.positions {
            let mut sum = requant.bias;
            for tap in 0..INPUT_TAPS {
                let start = position * walk.step + tap * walk.tap_step;
                let pairs = input[start..start + INPUT_SPAN].as_chunks::<2>().0;
                for (index, &[first, second]) in pairs.iter().enumerate() {
                    let both = _mm512_set1_epi32(i32::from(first as u16) | (i32::from(second) << 16));
                    sum = _mm512_dpwssd_epi32(sum, both, weights[tap * INPUT_SPAN / 2 + index]);
                }
            }
            store_top([requant.apply(sum)], &mut output[position * walk.output_step + block * LANES..]);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn multiply_pairs<const PAIRS: usize>(
    weights: &[PairBlock<PAIRS>],
    input: &[[i16; 2]; PAIRS],
    output: &mut [[i32; LANES]],
) {
    for (sums, block) in output.iter_mut().zip(weights) {
        let mut total = _mm512_setzero_si512();
        for (weights, &[first, second]) in block.iter().zip(input) {
            let inputs = _mm512_set1_epi32(i32::from(first as u16) | (i32::from(second) << 16));
            // SAFETY: there are 16 pairs of 4 bytes.
            let weights = unsafe { _mm512_loadu_si512(weights.as_ptr().cast()) };
            total = _mm512_add_epi32(total, _mm512_madd_epi16(inputs, weights));
        }
        // SAFETY: there are 16 sums of 4 bytes.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), total) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn normalise(norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
    let shift = _mm512_set1_epi32(norm.shift as i32);
    let whole = walk.channels / NORM_LANES * NORM_LANES;
    for at in (0..whole).step_by(NORM_LANES) {
        let gains = load(norm.gain.0[at..at + NORM_LANES].as_flattened());
        let offsets = load_offsets(&norm.offset.0[at..at + NORM_LANES]);
        for position in 0..walk.positions {
            let values = &input[position * walk.step + at..][..NORM_LANES];
            // SAFETY: the slice has 64 bytes.
            let values = unsafe { _mm512_loadu_si512(values.as_ptr().cast()) };
            let (low, high) = (_mm512_mullo_epi16(values, gains), _mm512_mulhi_epi16(values, gains));
            let even = _mm512_add_epi32(_mm512_unpacklo_epi16(low, high), offsets.0);
            let odd = _mm512_add_epi32(_mm512_unpackhi_epi16(low, high), offsets.1);
            let both = _mm512_packs_epi32(_mm512_srav_epi32(even, shift), _mm512_srav_epi32(odd, shift));
            let top = _mm512_set1_epi16(TOP as i16);
            let both = _mm512_min_epi16(_mm512_max_epi16(both, _mm512_setzero_si512()), top);
            let output = &mut output[position * walk.output_step + at..][..NORM_LANES];
            // SAFETY: the slice has 32 bytes.
            unsafe { _mm256_storeu_si256(output.as_mut_ptr().cast(), _mm512_cvtepi16_epi8(both)) };
        }
    }
    super::scalar::norm_from(whole, norm, walk, input, output);
}

/// Bias and multipliers of 16 outputs; what a sink adds is part of the half.
struct BlockRequant {
    bias: __m512i,
    /// Multipliers of the even outputs in the low halves, and of the odd ones likewise.
    even: __m512i,
    odd: __m512i,
    half: __m512i,
    down: __m512i,
    up: __m512i,
}

impl BlockRequant {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn new(requant: &Requant<'_>, block: usize, added: i64) -> Self {
        let values = |values: &I32s<'_>| load(values.0[block * LANES..][..LANES].as_flattened());
        let even = values(&requant.multiplier);
        Self {
            bias: values(&requant.bias),
            even,
            odd: _mm512_srli_epi64::<32>(even),
            half: _mm512_set1_epi64((1 << (requant.shift - 1)) + (added << requant.shift)),
            down: _mm512_set1_epi64(i64::from(requant.shift)),
            up: _mm512_set1_epi64(i64::from(32 - requant.shift)),
        }
    }

    /// 64-bit products of the even and the odd outputs. Of each, 32 bits from bit `shift` (at most 32) on are the result:
    /// the even ones are moved down to the low half, the odd ones up to the high half.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn apply(&self, total: __m512i) -> __m512i {
        const ODD: __mmask16 = 0xAAAA;
        let even = _mm512_mul_epi32(total, self.even);
        let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(total), self.odd);
        let even = _mm512_srlv_epi64(_mm512_add_epi64(even, self.half), self.down);
        let odd = _mm512_sllv_epi64(_mm512_add_epi64(odd, self.half), self.up);
        _mm512_mask_mov_epi32(even, ODD, odd)
    }
}

/// Writes blocks of 16 values clamped to 0..=127.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn store_top<const B: usize>(values: [__m512i; B], output: &mut [u8]) {
    let output = &mut output[..B * LANES];
    if let [low, high] = values[..] {
        // Packing goes by quarters: the dwords of the bytes lie in this order.
        let order = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 13, 9, 5, 1, 12, 8, 4, 0);
        let both = _mm512_packs_epi32(low, high);
        let bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(both, both));
        let bytes = _mm256_min_epu8(_mm512_castsi512_si256(bytes), _mm256_set1_epi8(TOP as i8));
        // SAFETY: the slice has 32 bytes.
        unsafe { _mm256_storeu_si256(output.as_mut_ptr().cast(), bytes) };
        return;
    }
    for (value, output) in values.into_iter().zip(output.chunks_exact_mut(LANES)) {
        let value = _mm512_min_epi32(_mm512_max_epi32(value, _mm512_setzero_si512()), _mm512_set1_epi32(TOP));
        // SAFETY: the slice has 16 bytes.
        unsafe { _mm_storeu_si128(output.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(value)) };
    }
}

/// Offsets of 32 channels, in the order in which unpacking 16-bit values leaves them: the lower halves of all
/// quarters, then the upper halves.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn load_offsets(offsets: &[[u8; 4]]) -> (__m512i, __m512i) {
    let (low, high) = offsets.split_at(LANES);
    let (low, high) = (load(low.as_flattened()), load(high.as_flattened()));
    (_mm512_shuffle_i32x4::<0b10_00_10_00>(low, high), _mm512_shuffle_i32x4::<0b11_01_11_01>(low, high))
}

/// 64 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn load(bytes: &[u8]) -> __m512i {
    let bytes = &bytes[..64];
    // SAFETY: the slice has 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}
