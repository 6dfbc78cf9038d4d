//! The head of the network: two-dimensional convolutions over frequency and time.
//!
//! A map is `[rows + 2][frames + 2][32]` bytes with a border of zeros, so that a 3x3 convolution at one place reads three
//! spans of 96 bytes. Three maps of the scratch serve all of the head.
//!
//! In the narrow band the upper mel bins are zero, so the upper rows of each map are one column repeated, but for the
//! columns near the ends that the border reaches. Only those are computed; each convolution lets one more row live.

use super::layers::{HEAD, HEAD_ROWS, HEAD_WIDTH, Model, Residual, Shortcut, TDNN_TAPS};
use super::work::weights;
use crate::features::Band;
use crate::kernel::{Conv, INPUT_SPAN, InputConv, Kernel, Walk};
use crate::sizes::MELS;

/// Zero frames before and after the head's output, for the convolution that reads it.
const OUT_PAD: usize = TDNN_TAPS / 2;

/// Convolutions over time in the head: how far a frame reaches to either side.
pub(super) const REACH: usize = 10;

/// Shape of a map; its values live in a slice beside it.
#[derive(Clone, Copy, Debug)]
struct Map {
    rows: usize,
    /// Rows from here on are constant but for [`REACH`] columns at either end.
    live: usize,
    frames: usize,
}

impl Map {
    const fn new(band: Band, frames: usize) -> Self {
        Self { rows: MELS, live: band.mels(), frames }
    }

    const fn bytes(self) -> usize {
        (self.rows + 2) * self.stride()
    }

    const fn stride(self) -> usize {
        (self.frames + 2) * HEAD
    }

    /// Where the values of a row begin, its border left out.
    const fn row(self, row: usize) -> usize {
        (row + 1) * self.stride() + HEAD
    }

    /// Shape after a convolution: the row above the live ones reads one of them.
    const fn convolved(self) -> Self {
        let live = if self.live < self.rows { self.live + 1 } else { self.rows };
        Self { live, ..self }
    }

    /// Shape after a convolution of every second row: row r reads rows 2r - 1 to 2r + 1.
    const fn halved(self) -> Self {
        Self { rows: self.rows / 2, live: self.live / 2 + 1, frames: self.frames }.bounded()
    }

    const fn bounded(self) -> Self {
        let live = if self.live < self.rows { self.live } else { self.rows };
        Self { live, ..self }
    }

    /// First column and number of columns of each stretch of a row that has to be computed.
    fn stretches(self, row: usize) -> impl Iterator<Item = (usize, usize)> {
        let repeats = row >= self.live && self.frames > 2 * REACH + 1;
        let first = if repeats { REACH + 1 } else { self.frames };
        let last = if repeats { REACH } else { 0 };
        [(0, first), (self.frames - last, last)].into_iter().filter(|(_, columns)| *columns > 0)
    }

    /// Columns that have to be computed, over all rows.
    fn columns(self) -> u64 {
        (0..self.rows).flat_map(|row| self.stretches(row)).map(|(_, columns)| columns as u64).sum()
    }

    /// Repeats the column between the stretches of a row.
    fn repeat(self, row: usize, values: &mut [u8]) {
        let stretches = self.stretches(row).count();
        if stretches == 2 {
            let (before, rest) = values[self.row(row) + REACH * HEAD..].split_at_mut(HEAD);
            let between = (self.frames - 2 * REACH - 1) * HEAD;
            rest[..between].chunks_exact_mut(HEAD).for_each(|column| column.copy_from_slice(before));
        }
    }

    fn clear_border(self, values: &mut [u8]) {
        let stride = self.stride();
        let (above, rest) = values[..self.bytes()].split_at_mut(stride);
        let (inner, below) = rest.split_at_mut(self.rows * stride);
        above.fill(0);
        below.fill(0);
        for row in inner.chunks_exact_mut(stride) {
            row[..HEAD].fill(0);
            row[stride - HEAD..].fill(0);
        }
    }

    /// A walk over some columns of a row that reads this map.
    const fn walk(self, positions: usize, output_step: usize) -> Walk {
        Walk { positions, tap_step: self.stride(), step: HEAD, output_step }
    }
}

/// Bytes of the three maps, for `frames` frames.
pub(super) const fn narrow_len(frames: usize) -> usize {
    let full = Map::new(Band::Wide, frames);
    full.bytes() + 2 * full.halved().bytes()
}

/// 16-bit values of the input map and of one side row.
pub(super) const fn wide_len(frames: usize) -> usize {
    (MELS + 2) * input_stride(frames) + frames * HEAD
}

/// Values from one mel bin to the next in the input map: a zero before the frames, and zeros after them so that
/// every span of the first convolution is whole.
pub(super) const fn input_stride(frames: usize) -> usize {
    frames + INPUT_SPAN - 1
}

/// 8-bit multiply-accumulates of the head, without halos.
pub(super) fn work(model: &Model<'_>, band: Band, frames: usize) -> u64 {
    let mut map = Map::new(band, frames).convolved();
    let mut total = 0;
    for residual in &model.residuals {
        let between = match &residual.shortcut {
            Shortcut::Halved(conv) => {
                let halved = map.halved();
                total += halved.convolved().columns() * weights(conv);
                halved
            }
            Shortcut::Same(_) => map.convolved(),
        };
        map = between.convolved();
        total += between.columns() * weights(&residual.first) + map.columns() * weights(&residual.second);
    }
    total + (HEAD_ROWS * frames) as u64 * weights(&model.head_out)
}

/// Runs the head over the input map (`[82][input_stride]`, at the start of `wide`). The output lies at the start of the
/// slice that is returned: `[frames + 4][10 rows x 32]`, two zero frames at each end.
pub(super) fn run<'s>(
    kernel: Kernel,
    model: &Model<'_>,
    (band, frames): (Band, usize),
    narrow: &'s mut [u8],
    wide: &mut [i16],
) -> &'s [u8] {
    let input_map = Map::new(band, frames);
    let (large, rest) = narrow.split_at_mut(input_map.bytes());
    let (inner, other) = rest.split_at_mut(input_map.halved().bytes());
    let (input, side) = wide.split_at_mut((MELS + 2) * input_stride(frames));
    let side = &mut side[..frames * HEAD];

    let mut map = input_map.convolved();
    first(kernel, &model.input, map, input, large);
    let mut stage = Stage { kernel, side, inner };
    let (mut from, mut to) = (&mut *large, &mut *other);
    for residual in &model.residuals {
        map = stage.residual(residual, map, from, to);
        core::mem::swap(&mut from, &mut to);
    }
    out(kernel, &model.head_out, map, from, stage.inner);
    inner
}

/// The first convolution, from 16-bit values.
fn first(kernel: Kernel, conv: &InputConv<'_>, map: Map, input: &[i16], output: &mut [u8]) {
    map.clear_border(output);
    let tap_step = input_stride(map.frames);
    for row in 0..map.rows {
        for (column, positions) in map.stretches(row) {
            let walk = Walk { positions, tap_step, step: 1, output_step: HEAD };
            let to = &mut output[map.row(row) + column * HEAD..];
            kernel.conv_input(conv, &walk, &input[row * tap_step + column..], to);
        }
        map.repeat(row, output);
    }
}

/// Scratch of the residual blocks.
struct Stage<'a> {
    kernel: Kernel,
    side: &'a mut [i16],
    inner: &'a mut [u8],
}

impl Stage<'_> {
    /// One residual block; gives the shape of its output.
    fn residual(&mut self, layers: &Residual<'_>, map: Map, input: &[u8], output: &mut [u8]) -> Map {
        let (between, row_step) = match layers.shortcut {
            Shortcut::Halved(_) => (map.halved(), 2),
            Shortcut::Same(_) => (map.convolved(), 1),
        };
        between.clear_border(self.inner);
        for row in 0..between.rows {
            for (column, positions) in between.stretches(row) {
                let spans = &input[row * row_step * map.stride() + column * HEAD..];
                let to = &mut self.inner[between.row(row) + column * HEAD..];
                self.kernel.conv(&layers.first, &map.walk(positions, HEAD), spans, None, to);
            }
            between.repeat(row, self.inner);
        }
        let after = between.convolved();
        after.clear_border(output);
        for row in 0..after.rows {
            for (column, positions) in after.stretches(row) {
                let source = &input[map.row(row * row_step) + column * HEAD..][..positions * HEAD];
                self.shortcut(&layers.shortcut, source);
                let spans = &self.inner[row * between.stride() + column * HEAD..];
                let to = &mut output[after.row(row) + column * HEAD..];
                let walk = between.walk(positions, HEAD);
                self.kernel.conv(&layers.second, &walk, spans, Some(self.side), to);
            }
            after.repeat(row, output);
        }
        after
    }

    /// Brings some columns of a block's input to its side input.
    fn shortcut(&mut self, shortcut: &Shortcut<'_>, source: &[u8]) {
        let walk = Walk { positions: source.len() / HEAD, tap_step: 0, step: HEAD, output_step: HEAD };
        match shortcut {
            Shortcut::Halved(conv) => self.kernel.conv_wide(conv, &walk, source, self.side),
            Shortcut::Same(gains) => {
                let side = &mut *self.side;
                self.kernel.vectorised(
                    #[inline(always)]
                    || amplify(gains, source, side),
                );
            }
        }
    }
}

/// Brings values to the steps of a side input: at most 127 x 258, which fits.
#[inline(always)]
fn amplify(gains: &[i16; HEAD], values: &[u8], side: &mut [i16]) {
    for (from, to) in values.as_chunks::<HEAD>().0.iter().zip(side.as_chunks_mut::<HEAD>().0) {
        for ((&value, to), gain) in from.iter().zip(to).zip(gains) {
            *to = i16::from(value).wrapping_mul(*gain);
        }
    }
}

/// The last convolution halves the rows again and writes them side by side for each frame.
fn out(kernel: Kernel, conv: &Conv<'_>, map: Map, input: &[u8], output: &mut [u8]) {
    let (before, rest) = output.split_at_mut(OUT_PAD * HEAD_WIDTH);
    let (inner, rest) = rest.split_at_mut(map.frames * HEAD_WIDTH);
    before.fill(0);
    rest[..OUT_PAD * HEAD_WIDTH].fill(0);
    for row in 0..HEAD_ROWS {
        let spans = &input[2 * row * map.stride()..];
        kernel.conv(conv, &map.walk(map.frames, HEAD_WIDTH), spans, None, &mut inner[row * HEAD..]);
    }
}
