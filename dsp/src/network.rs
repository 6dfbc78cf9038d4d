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
mod work;

pub use blob::LayerName;
pub use work::{Part, Work};

use crate::features::{Band, LogMel};
use crate::kernel::{Kernel, Walk};
use crate::sizes::{EMBEDDING, MAX_FRAMES, MIN_FRAMES};
use blob::Blob;
use core::fmt;
use layers::{HEAD_WIDTH, Model, TDNN_TAPS, WIDEST};

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

/// Frames that go through the head together: the scratch of the head is bounded by it, and at most one window more than
/// a frame in fifty is computed twice.
const WINDOW: usize = 1000;
/// Frames before and after a window that its outputs depend on. Even, as positions are.
const HALO: usize = head::REACH + TDNN_TAPS / 2;
const _: () = assert!(WINDOW.is_multiple_of(2) && HALO.is_multiple_of(2));

/// Scratch that [`Network::embed`] needs for up to `frames` frames: 5.6 MB for the head of 10 s and more, and about
/// 1.1 kB a frame.
pub const fn scratch_sizes(frames: usize) -> ScratchSizes {
    let positions = positions(frames);
    let window = min(frames, WINDOW + 2 * HALO);
    ScratchSizes {
        narrow: LINE + max(head::narrow_len(window), dense::narrow_len(positions)),
        wide: LINE + dense::wide_len(positions) + head::wide_len(window),
    }
}

/// Bytes of a line of the processor's cache, as large as its widest register: maps begin at one, because loads that
/// cross lines cost twice.
const LINE: usize = 64;

/// The part of a slice that begins at a line.
fn aligned<T>(slice: &mut [T]) -> &mut [T] {
    let skipped = slice.as_ptr().align_offset(LINE).min(slice.len());
    &mut slice[skipped..]
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
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

/// Stretches of [`Network::embed_with_stretches`].
pub const STRETCHES: usize = 5;

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

    /// Multiplications and additions of an embedding of some frames.
    pub fn work(&self, frames: usize, band: Band) -> Work {
        Work::of(&self.model, frames, band)
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
        self.embed_in_parts(frames, band, scratch, |_| {})
    }

    /// As [`Self::embed`]; `done` is told after each part, for those who measure.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_in_parts(
        &self,
        frames: &[LogMel],
        band: Band,
        scratch: &mut Scratch<'_>,
        mut done: impl FnMut(Part),
    ) -> Result<Embedding, EmbedError> {
        let map = self.map(frames, band, scratch, &mut done)?;
        let embedding = self.pool(map);
        done(Part::Pool);
        Ok(embedding)
    }

    /// As [`Self::embed`]; besides, of each of [`STRETCHES`] equal stretches of the speech an embedding of what was heard
    /// in it, for [`crate::score::voices`].
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_with_stretches(
        &self,
        frames: &[LogMel],
        band: Band,
        scratch: &mut Scratch<'_>,
    ) -> Result<(Embedding, [Embedding; STRETCHES]), EmbedError> {
        let map = self.map(frames, band, scratch, |_| {})?;
        let length = map.len() / WIDEST / STRETCHES * WIDEST;
        let stretch = |index: usize| self.pool(&map[index * length..(index + 1) * length]);
        Ok((self.pool(map), core::array::from_fn(stretch)))
    }

    /// The map `[positions][1024]` behind the last block.
    fn map<'s>(
        &self,
        frames: &[LogMel],
        band: Band,
        scratch: &'s mut Scratch<'_>,
        mut done: impl FnMut(Part),
    ) -> Result<&'s [i16], EmbedError> {
        let sizes = check(frames.len(), scratch)?;
        let narrow = aligned(&mut scratch.narrow[..sizes.narrow]);
        let wide = aligned(&mut scratch.wide[..sizes.wide]);
        let (map, wide) = wide.split_at_mut(dense::wide_len(positions(frames.len())));
        self.run_head(frames, band, WINDOW, (narrow, wide), map);
        done(Part::Head);
        for block in &self.model.blocks {
            dense::run(self.kernel, block, narrow, map);
        }
        done(Part::Blocks);
        Ok(map)
    }

    /// Statistics over positions of the map, and the embedding.
    fn pool(&self, map: &[i16]) -> Embedding {
        self.kernel.vectorised(
            #[inline(always)]
            || pool::run(&self.model, map),
        )
    }

    /// Head and halving, window by window (an even number of frames) so that their scratch is bounded.
    fn run_head(
        &self,
        frames: &[LogMel],
        band: Band,
        window: usize,
        (narrow, wide): (&mut [u8], &mut [i16]),
        map: &mut [i16],
    ) {
        let means = self.kernel.vectorised(
            #[inline(always)]
            || input::means(frames),
        );
        for (index, outputs) in map.chunks_mut(window / 2 * WIDEST).enumerate() {
            let from = (index * window).saturating_sub(HALO);
            let to = frames.len().min((index + 1) * window + HALO);
            let heard = &frames[from..to];
            self.kernel.vectorised(
                #[inline(always)]
                || input::fill(heard, &means, band, wide),
            );
            let rows = head::run(self.kernel, &self.model, (band, heard.len()), narrow, wide);
            self.halve_frames(&rows[(index * window - from) * HEAD_WIDTH..], outputs);
        }
    }

    /// The convolution over time between head and blocks, with its ReLU; `from` begins two frames before the first output.
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

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    /// Where the head's windows meet nothing may show.
    #[test]
    fn windows_change_nothing() {
        let blob = include_bytes!("../model/campplus.vouchnet");
        let network = Network::load(blob).expect("the committed model is whole");
        let frames: std::vec::Vec<LogMel> = (0..331)
            .map(|f: i32| core::array::from_fn(|m| (f * f % 977 * 7 + 31 * m as i32) as i16))
            .collect();
        let head = |band: Band, window: usize| {
            let mut narrow = vec![0x55; head::narrow_len(frames.len())];
            let mut wide = vec![0x55; head::wide_len(frames.len())];
            let mut map = vec![0; dense::wide_len(positions(frames.len()))];
            network.run_head(&frames, band, window, (&mut narrow, &mut wide), &mut map);
            map
        };
        for band in [Band::Narrow, Band::Wide] {
            let whole = head(band, 400);
            for window in [50, 110, 330] {
                assert_eq!(head(band, window), whole, "{band:?}, {window}");
            }
        }
    }
}
