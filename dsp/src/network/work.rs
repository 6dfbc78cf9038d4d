//! What an embedding costs: multiply-accumulates of its parts, for those who measure.

use super::head;
use super::layers::{Dense, Model};
use super::positions;
use crate::features::Band;
use crate::kernel::Conv;

/// Parts of an embedding, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Mean normalisation, the two-dimensional convolutions and the one that halves the frames.
    Head,
    /// The three dense blocks.
    Blocks,
    /// Statistics and the last matrix.
    Pool,
}

/// 8-bit multiply-accumulates of the large parts; what repeats in the narrow band is not computed and not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Of [`Part::Head`].
    pub head: u64,
    /// Of [`Part::Blocks`].
    pub blocks: u64,
}

impl Work {
    pub(super) fn of(model: &Model<'_>, frames: usize, band: Band) -> Self {
        let positions = positions(frames) as u64;
        let blocks: u64 = model
            .blocks
            .iter()
            .map(|block| block.layers.iter().map(dense).sum::<u64>() + weights(&block.transit))
            .sum();
        let head = head::work(model, band, frames) + weights(&model.tdnn) * positions;
        Self { head, blocks: blocks * positions }
    }
}

/// The context's matrices are used once a second and do not count.
fn dense(layer: &Dense<'_>) -> u64 {
    weights(&layer.squeeze) + weights(&layer.local)
}

/// Multiply-accumulates for one output position.
pub(super) fn weights(conv: &Conv<'_>) -> u64 {
    (conv.taps * conv.span * conv.outputs) as u64
}
