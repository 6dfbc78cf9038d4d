//! Integer kernels of the network: one form of convolution for all of it.
//!
//! Activations are unsigned 7 bit (0 to 127), weights signed 8 bit (-127 to 127), sums 32 bit. So the sum of
//! two products, at most 2 * 127 * 127 = 32,258, fits 16 bits: instructions that add such pairs with saturation are
//! exact. The largest convolution (1,600 inputs) sums to at most 25.8 million before its bias.
//!
//! [`scalar`] is the oracle; every other kernel gives the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Outputs whose weights are stored together.
pub(crate) const LANES: usize = 16;
/// Inputs whose weights are stored together.
pub(crate) const GROUP: usize = 4;
/// A side input has this many steps for each step of the output.
pub(crate) const SIDE_BITS: u32 = 6;
/// Largest activation.
pub(crate) const TOP: i32 = 127;

/// Little-endian 32-bit integers inside a model blob, which may lie at any address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct I32s<'m>(pub(crate) &'m [[u8; 4]]);

impl I32s<'_> {
    pub(crate) fn at(&self, index: usize) -> i32 {
        i32::from_le_bytes(self.0[index])
    }
}

/// Little-endian 16-bit integers inside a model blob.
#[derive(Clone, Copy, Debug)]
pub(crate) struct I16s<'m>(pub(crate) &'m [[u8; 2]]);

impl I16s<'_> {
    pub(crate) fn at(&self, index: usize) -> i16 {
        i16::from_le_bytes(self.0[index])
    }
}

/// What turns a sum into an output: `((sum + bias) * multiplier + half) >> shift`, shift 1 to 32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requant<'m> {
    pub(crate) bias: I32s<'m>,
    pub(crate) multiplier: I32s<'m>,
    pub(crate) shift: u32,
}

/// Weights of a convolution that reads `taps` spans of `span` bytes for each output position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv<'m> {
    /// Signed bytes `[outputs / 16][taps * span / 4][16][4]`.
    pub(crate) weights: &'m [u8],
    pub(crate) requant: Requant<'m>,
    pub(crate) taps: usize,
    pub(crate) span: usize,
    pub(crate) outputs: usize,
}

/// Weights of the first convolution: one channel of 16 bits, 3 taps of 4 values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputConv<'m> {
    /// `[outputs / 16][6][16][2]`.
    pub(crate) weights: I16s<'m>,
    pub(crate) requant: Requant<'m>,
    pub(crate) outputs: usize,
}

/// Taps of [`InputConv`], and the values each reads.
pub(crate) const INPUT_TAPS: usize = 3;
/// See [`INPUT_TAPS`].
pub(crate) const INPUT_SPAN: usize = 4;

/// A batch norm before its ReLU: `(x * gain + offset) >> shift`, the half for rounding inside `offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm<'m> {
    pub(crate) gain: I16s<'m>,
    pub(crate) offset: I32s<'m>,
    pub(crate) shift: u32,
}

/// Weights of 16 outputs for inputs of 16 bits: for each pair of inputs, two weights for each output. They are those of 8
/// bits, so that neither a pair of products nor the sum of 256 overflows.
pub(crate) type PairBlock<const PAIRS: usize> = [[[i16; 2]; LANES]; PAIRS];

/// How a convolution walks over its input and output slices, in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// Output positions.
    pub(crate) positions: usize,
    /// From a position's first tap to its next one.
    pub(crate) tap_step: usize,
    /// From a position to the next one in the input.
    pub(crate) step: usize,
    /// From a position to the next one in the output.
    pub(crate) output_step: usize,
}

/// How a batch norm walks over its positions, in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NormWalk {
    /// Channels at each position.
    pub(crate) channels: usize,
    /// Positions.
    pub(crate) positions: usize,
    /// From a position to the next one in the input.
    pub(crate) step: usize,
    /// From a position to the next one in the output.
    pub(crate) output_step: usize,
}

/// The implementation that this processor runs, chosen once at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Kind);

/// A kernel and the proof that the processor runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Widening),
    #[cfg(target_arch = "aarch64")]
    Dotprod(neon::Dotprod),
}

impl Kernel {
    /// The fastest kernel of this processor.
    pub fn detect() -> Self {
        Self::all().next().unwrap_or(Self::scalar())
    }

    /// Every kernel that this processor runs, the fastest first.
    #[cfg(target_arch = "x86_64")]
    pub fn all() -> impl Iterator<Item = Self> {
        let avx512 = avx512::Avx512::detect().map(Kind::Avx512);
        let avx2 = avx2::Avx2::detect().map(Kind::Avx2);
        [avx512, avx2, Some(Kind::Scalar)].into_iter().flatten().map(Self)
    }

    /// Every kernel that this processor runs, the fastest first.
    #[cfg(target_arch = "aarch64")]
    pub fn all() -> impl Iterator<Item = Self> {
        let dotprod = neon::Dotprod::detect().map(Kind::Dotprod);
        let neon = Kind::Neon(neon::Widening);
        [dotprod, Some(neon), Some(Kind::Scalar)].into_iter().flatten().map(Self)
    }

    /// Every kernel that this processor runs, the fastest first.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn all() -> impl Iterator<Item = Self> {
        core::iter::once(Self(Kind::Scalar))
    }

    /// The plain kernel, the oracle of the others.
    pub const fn scalar() -> Self {
        Self(Kind::Scalar)
    }

    /// Name for logs and figures.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
            #[cfg(target_arch = "aarch64")]
            Kind::Dotprod(_) => "neon-dotprod",
        }
    }

    /// Runs plain code compiled for this kernel's instructions: integer loops come out vectorised and give the same
    /// bits everywhere.
    pub(crate) fn vectorised<R>(self, work: impl FnOnce() -> R) -> R {
        match self.0 {
            Kind::Scalar => work(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(proof) => proof.vectorised(work),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(proof) => proof.vectorised(work),
            // NEON is what everything is compiled for.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) | Kind::Dotprod(_) => work(),
        }
    }

    /// Convolution to 7-bit activations: rounds, adds the side input (positions x outputs, in 1/64 steps) where there
    /// is one, and clamps to 0..=127, which is also the ReLU.
    pub(crate) fn conv(
        self,
        conv: &Conv<'_>,
        walk: &Walk,
        input: &[u8],
        side: Option<&[i16]>,
        output: &mut [u8],
    ) {
        match self.0 {
            Kind::Scalar => scalar::conv(conv, walk, input, side, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(proof) => proof.conv(conv, walk, input, side, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(proof) => proof.conv(conv, walk, input, side, output),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(multiply) => neon::conv(multiply, conv, walk, input, (side, output)),
            #[cfg(target_arch = "aarch64")]
            Kind::Dotprod(multiply) => neon::conv(multiply, conv, walk, input, (side, output)),
        }
    }

    /// Convolution to 16-bit values, saturating.
    pub(crate) fn conv_wide(self, conv: &Conv<'_>, walk: &Walk, input: &[u8], output: &mut [i16]) {
        match self.0 {
            Kind::Scalar => scalar::conv_wide(conv, walk, input, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(proof) => proof.conv_wide(conv, walk, input, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(proof) => proof.conv_wide(conv, walk, input, output),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(multiply) => neon::conv_wide(multiply, conv, walk, input, output),
            #[cfg(target_arch = "aarch64")]
            Kind::Dotprod(multiply) => neon::conv_wide(multiply, conv, walk, input, output),
        }
    }

    /// The first convolution: 16-bit values in, 7-bit activations out.
    pub(crate) fn conv_input(self, conv: &InputConv<'_>, walk: &Walk, input: &[i16], output: &mut [u8]) {
        match self.0 {
            Kind::Scalar => scalar::conv_input(conv, walk, input, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(proof) => proof.conv_input(conv, walk, input, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(proof) => proof.conv_input(conv, walk, input, output),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) | Kind::Dotprod(_) => neon::conv_input(conv, walk, input, output),
        }
    }

    /// Products of a matrix with a vector of 16-bit values, for each block of 16 outputs.
    pub(crate) fn pairs<const PAIRS: usize>(
        self,
        weights: &[PairBlock<PAIRS>],
        input: &[[i16; 2]; PAIRS],
        output: &mut [[i32; LANES]],
    ) {
        match self.0 {
            Kind::Scalar => scalar::pairs(weights, input, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(proof) => proof.pairs(weights, input, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(proof) => proof.pairs(weights, input, output),
            // The compiler finds the widening multiplications itself.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) | Kind::Dotprod(_) => scalar::pairs(weights, input, output),
        }
    }

    /// Batch norm and ReLU: 16-bit values in, 7-bit activations out.
    pub(crate) fn norm(self, norm: &Norm<'_>, walk: &NormWalk, input: &[i16], output: &mut [u8]) {
        match self.0 {
            Kind::Scalar => scalar::norm(norm, walk, input, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(proof) => proof.norm(norm, walk, input, output),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(proof) => proof.norm(norm, walk, input, output),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) | Kind::Dotprod(_) => neon::norm(norm, walk, input, output),
        }
    }
}

#[cfg(test)]
mod tests;
