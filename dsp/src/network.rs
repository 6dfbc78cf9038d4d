//! The speaker network in integers: feature frames in, embedding out.

use crate::features::{Band, LogMel};
use crate::sizes::EMBEDDING;
use core::marker::PhantomData;

/// Unit-length speaker embedding, Q15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedding(pub [i16; EMBEDDING]);

/// Elements of each scratch slice that an embedding of some number of frames needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchSizes {
    /// 8-bit activations.
    pub narrow: usize,
    /// 16-bit activations.
    pub wide: usize,
    /// 32-bit accumulators.
    pub sums: usize,
}

/// Working memory of one embedding, lent by the caller.
#[derive(Debug)]
pub struct Scratch<'a> {
    /// 8-bit activations.
    pub narrow: &'a mut [u8],
    /// 16-bit activations.
    pub wide: &'a mut [i16],
    /// 32-bit accumulators.
    pub sums: &'a mut [i32],
}

/// Scratch that [`Network::embed`] needs for up to `frames` frames.
pub const fn scratch_sizes(frames: usize) -> ScratchSizes {
    ScratchSizes { narrow: frames, wide: frames, sums: frames }
}

/// Why a model blob is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelError {
    /// Shorter than its header says.
    Truncated,
}

/// Why no embedding was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbedError {
    /// Fewer frames than [`crate::sizes::MIN_FRAMES`].
    TooFewFrames,
    /// More frames than [`crate::sizes::MAX_FRAMES`].
    TooManyFrames,
    /// Scratch smaller than [`scratch_sizes`] says.
    ScratchTooSmall,
}

/// The network over a parsed model blob, ready to run. Cheap to share between workers.
#[derive(Clone, Debug)]
pub struct Network<'m> {
    blob: PhantomData<&'m [u8]>,
}

impl<'m> Network<'m> {
    /// Checks a model blob (header, version, checksum, layers) and reads its tables.
    ///
    /// # Errors
    /// [`ModelError`] names what is wrong with the blob.
    pub fn load(blob: &'m [u8]) -> Result<Self, ModelError> {
        let _ = blob;
        Err(ModelError::Truncated)
    }

    /// Name of the kernel that runs the network.
    pub fn kernel_name(&self) -> &'static str {
        "scalar"
    }

    /// Version of the model, stored with every voiceprint.
    pub fn version(&self) -> u32 {
        0
    }

    /// Makes the embedding of `frames` speech frames of one band.
    ///
    /// # Errors
    /// [`EmbedError`] when there are too few or too many frames or too little scratch.
    pub fn embed(
        &self,
        frames: &[LogMel],
        band: Band,
        scratch: &mut Scratch<'_>,
    ) -> Result<Embedding, EmbedError> {
        let _ = (frames, band, scratch);
        Err(EmbedError::TooFewFrames)
    }
}

impl core::fmt::Display for ModelError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{self:?}")
    }
}
impl core::error::Error for ModelError {}
