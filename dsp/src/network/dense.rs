//! The dense blocks: every layer reads all channels before it and adds 32.
//!
//! The map is `[positions][1024]` 16-bit values; a position is two feature frames.

use super::context::{Masks, SEGMENT};
use super::layers::{Block, Dense, GROWTH, SQUEEZED, WIDEST};
use crate::kernel::{Conv, I32s, Kernel, Norm, NormWalk, Requant, Walk};

/// Positions that are normalised and multiplied together: their inputs stay in the fastest cache.
const TILE: usize = 24;
/// Largest dilation: zero positions before and after the squeezed map.
const PAD: usize = 2;

/// Bytes of the squeezed map and of one tile.
pub(super) const fn narrow_len(positions: usize) -> usize {
    (positions + 2 * PAD) * SQUEEZED + TILE * WIDEST
}

/// 16-bit values of the map.
pub(super) const fn wide_len(positions: usize) -> usize {
    positions * WIDEST
}

/// Runs one block over the map in place. Its input is the first channels of each position, its output likewise.
pub(super) fn run(kernel: Kernel, block: &Block<'_>, narrow: &mut [u8], map: &mut [i16]) {
    let positions = map.len() / WIDEST;
    let (tile, squeezed) = narrow.split_at_mut(TILE * WIDEST);
    let squeezed = &mut squeezed[..(positions + 2 * PAD) * SQUEEZED];
    squeezed.fill(0);
    let mut channels = block.inputs;
    for layer in &block.layers {
        squeeze(kernel, layer, channels, (&mut *tile, &mut *squeezed), map);
        grow(kernel, layer, block.dilation, squeezed, &mut map[channels..]);
        channels += GROWTH;
    }
    transit(kernel, block, channels, tile, map);
}

/// Norm and 1x1 convolution, tile by tile.
fn squeeze(
    kernel: Kernel,
    layer: &Dense<'_>,
    channels: usize,
    (tile, squeezed): (&mut [u8], &mut [u8]),
    map: &[i16],
) {
    let outputs = squeezed[PAD * SQUEEZED..].chunks_mut(TILE * SQUEEZED);
    for (rows, output) in map.chunks(TILE * WIDEST).zip(outputs) {
        let positions = normalise(kernel, &layer.norm, channels, rows, tile);
        let walk = Walk { positions, tap_step: 0, step: channels, output_step: SQUEEZED };
        kernel.conv(&layer.squeeze, &walk, tile, None, output);
    }
}

/// Local convolution times the context mask, into the next 32 channels (the map begins at them). The mask of a segment
/// is part of its multipliers, so that faint channels are not rounded twice.
fn grow(kernel: Kernel, layer: &Dense<'_>, dilation: usize, squeezed: &[u8], map: &mut [i16]) {
    let positions = squeezed.len() / SQUEEZED - 2 * PAD;
    let heard = &squeezed[PAD * SQUEEZED..][..positions * SQUEEZED];
    let masks = kernel.vectorised(
        #[inline(always)]
        || Masks::new(layer, heard),
    );
    for (segment, rows) in map.chunks_mut(SEGMENT * WIDEST).enumerate() {
        let multiplier = kernel.vectorised(
            #[inline(always)]
            || masks.multipliers(segment),
        );
        let requant = Requant { multiplier: I32s(&multiplier), ..layer.local.requant };
        let conv = Conv { requant, ..layer.local };
        let walk = Walk {
            positions: rows.len().div_ceil(WIDEST),
            tap_step: dilation * SQUEEZED,
            step: SQUEEZED,
            output_step: WIDEST,
        };
        let first = (segment * SEGMENT + PAD - dilation) * SQUEEZED;
        kernel.conv_wide(&conv, &walk, &squeezed[first..], rows);
    }
}

/// Halves the channels: each tile of the map is read whole before its outputs are written over it.
fn transit(kernel: Kernel, block: &Block<'_>, channels: usize, tile: &mut [u8], map: &mut [i16]) {
    for rows in map.chunks_mut(TILE * WIDEST) {
        let positions = normalise(kernel, &block.norm, channels, rows, tile);
        convolve_rows(kernel, &block.transit, positions, tile, rows);
    }
}

fn convolve_rows(kernel: Kernel, conv: &Conv<'_>, positions: usize, tile: &[u8], rows: &mut [i16]) {
    let walk = Walk { positions, tap_step: 0, step: conv.span, output_step: WIDEST };
    kernel.conv_wide(conv, &walk, tile, rows);
}

/// Normalises the first channels of each row into the tile; gives the number of rows.
fn normalise(kernel: Kernel, norm: &Norm<'_>, channels: usize, rows: &[i16], tile: &mut [u8]) -> usize {
    let positions = rows.len() / WIDEST;
    let walk = NormWalk { channels, positions, step: WIDEST, output_step: channels };
    kernel.norm(norm, &walk, rows, tile);
    positions
}
