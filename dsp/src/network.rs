//! The speaker network in integers: feature frames in, embedding out.
//!
//! CAM++ (Wang et al., Interspeech 2023) with 7-bit activations, 8-bit weights and 32-bit sums. Audio flows through
//! `input` (mean normalisation and band mask), `head` (two-dimensional convolutions that bring 80 mel bins
//! to 10 rows), one convolution that halves the frames, `dense` (three blocks of dense layers with their
//! `context` masks) and `pool` (statistics over time, last matrix, unit length).
//! `dsp/model/` makes the blob and holds the float reference.

mod blob;
mod context;
mod crc;
mod dense;
mod head;
mod input;
mod layers;
mod matrix;
mod pool;

pub use blob::LayerName;

use crate::features::{Band, LogMel};
use crate::kernel::{Kernel, Walk};
use crate::sizes::{EMBEDDING, MAX_FRAMES, MIN_FRAMES};
use blob::Blob;
use core::fmt;
use layers::{HEAD_WIDTH, Model, WIDEST};

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
}

/// Working memory of one embedding, lent by the caller. What it held does not matter.
#[derive(Debug)]
pub struct Scratch<'a> {
    /// 8-bit activations.
    pub narrow: &'a mut [u8],
    /// 16-bit activations.
    pub wide: &'a mut [i16],
}

/// Scratch that [`Network::embed`] needs for up to `frames` frames: about 6.3 kB a frame, 19 MB for 30 s.
pub const fn scratch_sizes(frames: usize) -> ScratchSizes {
    let positions = positions(frames);
    ScratchSizes {
        narrow: max(head::narrow_len(frames), dense::narrow_len(positions)),
        wide: max(head::wide_len(frames), dense::wide_len(positions)),
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Positions of the dense blocks: every second frame.
const fn positions(frames: usize) -> usize {
    frames.div_ceil(2)
}

/// Why a model blob is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelError {
    /// Does not begin like a model.
    NotAModel,
    /// Written in another format than this program knows, most likely for a newer one.
    UnknownFormat {
        /// Format version of the blob.
        found: u32,
        /// Format version of this program.
        known: u32,
    },
    /// Shorter than its header says.
    Truncated {
        /// Bytes that should be there.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// Checksum or length differ from the header's.
    Damaged,
    /// This layer is missing or has another shape than the network's.
    Layer(LayerName),
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAModel => f.write_str("not a voice model"),
            Self::UnknownFormat { found, known } => {
                write!(f, "voice model of format {found}, this program reads format {known}")
            }
            Self::Truncated { needed, found } => {
                write!(f, "voice model cut short: {found} of {needed} bytes")
            }
            Self::Damaged => f.write_str("voice model damaged: its checksum differs"),
            Self::Layer(name) => write!(f, "voice model without a fitting layer {name}"),
        }
    }
}

impl core::error::Error for ModelError {}

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

impl fmt::Display for EmbedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFewFrames => "too few frames for an embedding",
            Self::TooManyFrames => "too many frames for one embedding",
            Self::ScratchTooSmall => "too little scratch memory for the embedding",
        })
    }
}

impl core::error::Error for EmbedError {}

/// The network over a parsed model blob, ready to run. Shared between workers by reference.
#[derive(Clone, Debug)]
pub struct Network<'m> {
    model: Model<'m>,
    version: u32,
    kernel: Kernel,
}

impl<'m> Network<'m> {
    /// Checks a model blob (header, version, checksum, layers), reads its tables and takes the fastest kernel of this
    /// processor.
    ///
    /// # Errors
    /// [`ModelError`] names what is wrong with the blob.
    pub fn load(blob: &'m [u8]) -> Result<Self, ModelError> {
        let blob = Blob::check(blob)?;
        let model = Model::read(&mut blob.layers())?;
        Ok(Self { model, version: blob.model_version, kernel: Kernel::detect() })
    }

    /// The same network on another kernel.
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// Name of the kernel that runs the network.
    pub fn kernel_name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Version of the model, stored with every voiceprint.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Makes the embedding of `frames` speech frames of one band. The mean of each mel bin over the frames is subtracted
    /// here; in the narrow band the bins above 3.6 kHz count as their mean.
    ///
    /// # Errors
    /// [`EmbedError`] when there are too few or too many frames or too little scratch.
    pub fn embed(
        &self,
        frames: &[LogMel],
        band: Band,
        scratch: &mut Scratch<'_>,
    ) -> Result<Embedding, EmbedError> {
        let sizes = check(frames.len(), scratch)?;
        let (narrow, wide) = (&mut scratch.narrow[..sizes.narrow], &mut scratch.wide[..sizes.wide]);
        input::fill(frames, band, wide);
        let (from, free) = head::run(self.kernel, &self.model, frames.len(), narrow, wide);
        let map = &mut wide[..dense::wide_len(positions(frames.len()))];
        self.halve_frames(from, map);
        for block in &self.model.blocks {
            dense::run(self.kernel, block, free, map);
        }
        Ok(pool::run(&self.model, map))
    }

    /// The convolution over time between head and blocks, with its ReLU.
    fn halve_frames(&self, from: &[u8], map: &mut [i16]) {
        let conv = &self.model.tdnn;
        let positions = map.len() / WIDEST;
        let walk = Walk { positions, tap_step: 0, step: 2 * HEAD_WIDTH, output_step: WIDEST };
        self.kernel.conv_wide(conv, &walk, from, map);
        for position in map.chunks_exact_mut(WIDEST) {
            for value in &mut position[..conv.outputs] {
                *value = (*value).max(0);
            }
        }
    }
}

fn check(frames: usize, scratch: &Scratch<'_>) -> Result<ScratchSizes, EmbedError> {
    if frames < MIN_FRAMES {
        return Err(EmbedError::TooFewFrames);
    }
    if frames > MAX_FRAMES {
        return Err(EmbedError::TooManyFrames);
    }
    let sizes = scratch_sizes(frames);
    if scratch.narrow.len() < sizes.narrow || scratch.wide.len() < sizes.wide {
        return Err(EmbedError::ScratchTooSmall);
    }
    Ok(sizes)
}
