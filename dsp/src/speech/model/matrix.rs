//! Matrices of 8-bit weights, read by the compiler.

use crate::kernel::{Kernel, LANES, PairBlock};

/// Fraction bits of rows that are not in the file: any that shift by no less than nothing.
const FILLING_BITS: u8 = BIAS_Q as u8;
/// Fraction bits of a bias in the file.
const BIAS_Q: u32 = 12;
/// Largest magnitude that a product has after the shift: what comes after it multiplies by up to 2^15.
const MOST: i32 = (1 << 15) - 1;

/// Weights of 8 bits, each row with its own fraction bits. They lie in 16 bits, two columns of 16 rows together, because
/// that is what processors multiply and add in pairs. Rows are filled up with zeros.
pub(super) struct Matrix<const BLOCKS: usize, const PAIRS: usize> {
    weights: [PairBlock<PAIRS>; BLOCKS],
    fraction_bits: [[u8; LANES]; BLOCKS],
    bias_q12: [[i32; LANES]; BLOCKS],
}

impl<const BLOCKS: usize, const PAIRS: usize> Matrix<BLOCKS, PAIRS> {
    /// The matrix times a vector with `in_q` fraction bits, plus the bias, with `out_q` fraction bits, below 2^15.
    ///
    /// Sums stay below 2^31 while there are at most 128 pairs: 127 * 2^15 * 256 = 2^30.
    #[inline(always)]
    pub(super) fn times(
        &self,
        kernel: Kernel,
        vector: &[[i16; 2]; PAIRS],
        in_q: u32,
        out_q: u32,
    ) -> [[i32; LANES]; BLOCKS] {
        let mut products = [[0; LANES]; BLOCKS];
        kernel.pairs(&self.weights, vector, &mut products);
        for (block, products) in products.iter_mut().enumerate() {
            for (row, product) in products.iter_mut().enumerate() {
                let shift = u32::from(self.fraction_bits[block][row]) + in_q - out_q;
                let rounded = (*product + (1 << shift >> 1)) >> shift;
                let bias = self.bias_q12[block][row] >> (BIAS_Q - out_q);
                *product = (rounded + bias).clamp(-MOST, MOST);
            }
        }
        products
    }
}

/// Reads matrices from the file that `dsp/model/netspeech/export.py` writes.
pub(super) struct Reader {
    bytes: &'static [u8],
    at: usize,
}

impl Reader {
    pub(super) const fn new(bytes: &'static [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next matrix, of so many rows.
    pub(super) const fn matrix<const BLOCKS: usize, const PAIRS: usize>(
        &mut self,
        rows: usize,
    ) -> Matrix<BLOCKS, PAIRS> {
        let mut matrix = Matrix {
            weights: [[[[0; 2]; LANES]; PAIRS]; BLOCKS],
            fraction_bits: [[FILLING_BITS; LANES]; BLOCKS],
            bias_q12: [[0; LANES]; BLOCKS],
        };
        let mut row = 0;
        while row < rows {
            matrix.fraction_bits[row / LANES][row % LANES] = self.byte();
            row += 1;
        }
        row = 0;
        while row < rows {
            let bias = [self.byte(), self.byte(), self.byte(), self.byte()];
            matrix.bias_q12[row / LANES][row % LANES] = i32::from_le_bytes(bias);
            row += 1;
        }
        row = 0;
        while row < rows {
            let mut column = 0;
            while column < 2 * PAIRS {
                let weight = self.byte() as i8 as i16;
                matrix.weights[row / LANES][column / 2][row % LANES][column % 2] = weight;
                column += 1;
            }
            row += 1;
        }
        matrix
    }

    const fn byte(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }
}
