//! The layers of CAM++, in the order in which the blob holds them.

use super::ModelError;
use super::blob::{LayerName, Layers, Shape};
use crate::kernel::{Conv, InputConv, Norm};
use crate::sizes::EMBEDDING;
use heapless::Vec;

/// Channels of the head.
pub(super) const HEAD: usize = 32;
/// Frequency rows that leave the head, and bytes of one frame of them.
pub(super) const HEAD_ROWS: usize = 10;
/// See [`HEAD_ROWS`].
pub(super) const HEAD_WIDTH: usize = HEAD_ROWS * HEAD;
/// Channels that enter the first block.
pub(super) const TDNN: usize = 128;
/// Frames that one output of the convolution between head and blocks reads.
pub(super) const TDNN_TAPS: usize = 5;
/// Channels that a dense layer squeezes its input to.
pub(super) const SQUEEZED: usize = 128;
/// Hidden values of the context mask.
pub(super) const HIDDEN: usize = 64;
/// Channels that each dense layer adds.
pub(super) const GROWTH: usize = 32;
/// Most channels of a block's map.
pub(super) const WIDEST: usize = 1024;
/// Channels that are pooled over time.
pub(super) const POOLED: usize = 512;
/// Layers and dilation of each block.
const BLOCKS: [(usize, usize); 3] = [(12, 1), (24, 2), (16, 2)];
/// Layers of the largest block.
const MOST_LAYERS: usize = 24;

/// A residual block of the head.
#[derive(Clone, Debug)]
pub(super) struct Residual<'m> {
    pub(super) first: Conv<'m>,
    pub(super) shortcut: Shortcut<'m>,
    pub(super) second: Conv<'m>,
}

/// How a residual block brings its input to its output.
#[derive(Clone, Debug)]
pub(super) enum Shortcut<'m> {
    /// Frequency halved, through a convolution of one tap.
    Halved(Conv<'m>),
    /// As it is, times a whole gain per channel.
    Same([i16; HEAD]),
}

/// A dense layer: norm, squeeze, local convolution and its context mask.
#[derive(Clone, Debug)]
pub(super) struct Dense<'m> {
    pub(super) norm: Norm<'m>,
    pub(super) squeeze: Conv<'m>,
    pub(super) local: Conv<'m>,
    pub(super) hidden: Conv<'m>,
    pub(super) mask: Conv<'m>,
}

/// A block of dense layers and the layer that halves its channels.
#[derive(Clone, Debug)]
pub(super) struct Block<'m> {
    pub(super) dilation: usize,
    pub(super) inputs: usize,
    pub(super) layers: Vec<Dense<'m>, MOST_LAYERS>,
    pub(super) norm: Norm<'m>,
    pub(super) transit: Conv<'m>,
}

/// All layers.
#[derive(Clone, Debug)]
pub(super) struct Model<'m> {
    pub(super) input: InputConv<'m>,
    pub(super) residuals: [Residual<'m>; 4],
    pub(super) head_out: Conv<'m>,
    pub(super) tdnn: Conv<'m>,
    pub(super) blocks: [Block<'m>; 3],
    pub(super) norm: Norm<'m>,
    pub(super) dense: Conv<'m>,
}

impl<'m> Model<'m> {
    pub(super) fn read(from: &mut Layers<'m>) -> Result<Self, ModelError> {
        let input = from.input(LayerName::new(format_args!("head.input")), HEAD)?;
        let residuals =
            [residual(from, 1, 0)?, residual(from, 1, 1)?, residual(from, 2, 0)?, residual(from, 2, 1)?];
        let head_out = from.conv(LayerName::new(format_args!("head.out")), MAP)?;
        let shape = Shape { taps: 1, span: TDNN_TAPS * HEAD_WIDTH, outputs: TDNN };
        let tdnn = from.conv(LayerName::new(format_args!("tdnn")), shape)?;
        let mut inputs = TDNN;
        let blocks =
            [block(from, 1, &mut inputs)?, block(from, 2, &mut inputs)?, block(from, 3, &mut inputs)?];
        let norm = from.norm(LayerName::new(format_args!("out.norm")), POOLED)?;
        let shape = Shape { taps: 1, span: 2 * POOLED, outputs: EMBEDDING };
        let dense = from.conv(LayerName::new(format_args!("dense")), shape)?;
        Ok(Self { input, residuals, head_out, tdnn, blocks, norm, dense })
    }
}

/// A convolution of 3 rows by 3 frames.
const MAP: Shape = Shape { taps: 3, span: 3 * HEAD, outputs: HEAD };

fn residual<'m>(from: &mut Layers<'m>, stage: usize, place: usize) -> Result<Residual<'m>, ModelError> {
    let name = |part: &str| LayerName::new(format_args!("head.{stage}.{place}.{part}"));
    let first = from.conv(name("first"), MAP)?;
    let shortcut = if place == 0 {
        let shape = Shape { taps: 1, span: HEAD, outputs: HEAD };
        Shortcut::Halved(from.conv(name("shortcut"), shape)?)
    } else {
        let gains = from.side(name("side"), HEAD)?;
        Shortcut::Same(core::array::from_fn(|channel| gains.at(channel)))
    };
    Ok(Residual { first, shortcut, second: from.conv(name("second"), MAP)? })
}

/// Reads block `number`, which gets `channels` and leaves as many as its transit gives.
fn block<'m>(from: &mut Layers<'m>, number: usize, channels: &mut usize) -> Result<Block<'m>, ModelError> {
    let (count, dilation) = BLOCKS[number - 1];
    let inputs = *channels;
    let mut layers = Vec::new();
    for layer in 1..=count {
        let read = dense(from, number, layer, *channels)?;
        layers.push(read).expect("no block has more than MOST_LAYERS layers");
        *channels += GROWTH;
    }
    let norm = from.norm(LayerName::new(format_args!("transit{number}.norm")), *channels)?;
    let shape = Shape { taps: 1, span: *channels, outputs: *channels / 2 };
    let transit = from.conv(LayerName::new(format_args!("transit{number}.conv")), shape)?;
    *channels /= 2;
    Ok(Block { dilation, inputs, layers, norm, transit })
}

fn dense<'m>(
    from: &mut Layers<'m>,
    block: usize,
    layer: usize,
    channels: usize,
) -> Result<Dense<'m>, ModelError> {
    let name = |part: &str| LayerName::new(format_args!("block{block}.{layer}.{part}"));
    let one = |span, outputs| Shape { taps: 1, span, outputs };
    Ok(Dense {
        norm: from.norm(name("norm"), channels)?,
        squeeze: from.conv(name("squeeze"), one(channels, SQUEEZED))?,
        local: from.conv(name("local"), Shape { taps: 3, span: SQUEEZED, outputs: GROWTH })?,
        hidden: from.conv(name("context1"), one(SQUEEZED, HIDDEN))?,
        mask: from.conv(name("context2"), one(HIDDEN, GROWTH))?,
    })
}
