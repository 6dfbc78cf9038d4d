//! The head of the network: two-dimensional convolutions over frequency and time.
//!
//! A map is `[rows + 2][frames + 2][32]` bytes with a border of zeros, so that a 3x3 convolution at one place reads three
//! spans of 96 bytes. Three maps of the scratch serve all of the head.

use super::layers::{HEAD, HEAD_ROWS, HEAD_WIDTH, Model, Residual, Shortcut, TDNN_TAPS};
use crate::kernel::{Conv, I16s, INPUT_SPAN, Kernel, Walk};
use crate::sizes::MELS;

/// Zero frames before and after the head's output, for the convolution that reads it.
const OUT_PAD: usize = TDNN_TAPS / 2;

/// Shape of a map; its values live in a slice beside it.
#[derive(Clone, Copy, Debug)]
struct Map {
    rows: usize,
    frames: usize,
}

impl Map {
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

    const fn halved(self) -> Self {
        Self { rows: self.rows / 2, frames: self.frames }
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

    /// A walk over one output row.
    const fn walk(self, output_step: usize) -> Walk {
        Walk { positions: self.frames, tap_step: self.stride(), step: HEAD, output_step }
    }
}

/// Bytes of the three maps, for `frames` frames.
pub(super) const fn narrow_len(frames: usize) -> usize {
    let full = Map { rows: MELS, frames };
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

/// Runs the head over the input map (`[82][input_stride]`, at the start of `wide`). The output lies at the start of the
/// slice that is returned: `[frames + 4][10 rows x 32]`, two zero frames at each end.
pub(super) fn run<'s>(
    kernel: Kernel,
    model: &Model<'_>,
    frames: usize,
    narrow: &'s mut [u8],
    wide: &mut [i16],
) -> (&'s mut [u8], &'s mut [u8]) {
    let mut map = Map { rows: MELS, frames };
    let (large, rest) = narrow.split_at_mut(map.bytes());
    let (inner, other) = rest.split_at_mut(map.halved().bytes());
    let (input, side) = wide.split_at_mut((MELS + 2) * input_stride(frames));
    let side = &mut side[..frames * HEAD];

    map.clear_border(large);
    for row in 0..MELS {
        let walk = Walk { positions: frames, tap_step: input_stride(frames), step: 1, output_step: HEAD };
        kernel.conv_input(
            &model.input,
            &walk,
            &input[row * input_stride(frames)..],
            &mut large[map.row(row)..],
        );
    }
    let mut stage = Stage { kernel, side, inner };
    let (mut from, mut to) = (&mut *large, &mut *other);
    for residual in &model.residuals {
        map = stage.residual(residual, map, from, to);
        core::mem::swap(&mut from, &mut to);
    }
    out(kernel, &model.head_out, map, from, stage.inner);
    (inner, large)
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
        let (after, row_step) = match layers.shortcut {
            Shortcut::Halved(_) => (map.halved(), 2),
            Shortcut::Same(_) => (map, 1),
        };
        after.clear_border(self.inner);
        after.clear_border(output);
        for row in 0..after.rows {
            let spans = &input[row * row_step * map.stride()..];
            let to = &mut self.inner[after.row(row)..];
            self.kernel.conv(&layers.first, &map.walk(HEAD), spans, None, to);
        }
        for row in 0..after.rows {
            let source = &input[map.row(row * row_step)..][..map.frames * HEAD];
            match &layers.shortcut {
                Shortcut::Halved(conv) => self.kernel.conv_wide(conv, &map.walk(HEAD), source, self.side),
                Shortcut::Same(gains) => amplify(gains, source, self.side),
            }
            let spans = &self.inner[row * after.stride()..];
            let to = &mut output[after.row(row)..];
            self.kernel.conv(&layers.second, &after.walk(HEAD), spans, Some(self.side), to);
        }
        after
    }
}

/// Brings a row to the steps of a side input: at most 127 x 258, which fits.
fn amplify(gains: &I16s<'_>, row: &[u8], side: &mut [i16]) {
    for (from, to) in row.chunks_exact(HEAD).zip(side.chunks_exact_mut(HEAD)) {
        for (channel, (&value, to)) in from.iter().zip(to).enumerate() {
            *to = i16::from(value).saturating_mul(gains.at(channel));
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
        kernel.conv(conv, &map.walk(HEAD_WIDTH), spans, None, &mut inner[row * HEAD..]);
    }
}
