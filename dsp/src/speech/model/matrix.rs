//! Matrices of 8-bit weights, read by the compiler.

/// Fraction bits of a bias in the file.
const BIAS_Q: u32 = 12;
/// Largest magnitude that a product has after the shift: what comes after it multiplies by up to 2^15.
const MOST: i32 = (1 << 15) - 1;

/// Weights of 8 bits, each row with its own fraction bits. They lie in 16 bits, because that is what processors
/// multiply and add in pairs.
pub(super) struct Matrix<const ROWS: usize, const COLUMNS: usize> {
    weights: [[i16; COLUMNS]; ROWS],
    fraction_bits: [u8; ROWS],
    bias_q12: [i32; ROWS],
}

impl<const ROWS: usize, const COLUMNS: usize> Matrix<ROWS, COLUMNS> {
    /// The matrix times a vector with `in_q` fraction bits, plus the bias, with `out_q` fraction bits, below 2^15.
    ///
    /// Sums stay below 2^31 while COLUMNS is at most 258: 127 * 2^15 * 258 = 2^30.
    #[inline(always)]
    pub(super) fn times(&self, vector: &[i16; COLUMNS], in_q: u32, out_q: u32) -> [i32; ROWS] {
        core::array::from_fn(|row| {
            let shift = u32::from(self.fraction_bits[row]) + in_q - out_q;
            let product = (dot(&self.weights[row], vector) + (1 << shift >> 1)) >> shift;
            (product + (self.bias_q12[row] >> (BIAS_Q - out_q))).clamp(-MOST, MOST)
        })
    }
}

#[inline(always)]
fn dot<const COLUMNS: usize>(a: &[i16; COLUMNS], b: &[i16; COLUMNS]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
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

    pub(super) const fn matrix<const ROWS: usize, const COLUMNS: usize>(&mut self) -> Matrix<ROWS, COLUMNS> {
        let mut matrix =
            Matrix { weights: [[0; COLUMNS]; ROWS], fraction_bits: [0; ROWS], bias_q12: [0; ROWS] };
        let mut row = 0;
        while row < ROWS {
            matrix.fraction_bits[row] = self.byte();
            row += 1;
        }
        row = 0;
        while row < ROWS {
            matrix.bias_q12[row] = i32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]);
            row += 1;
        }
        row = 0;
        while row < ROWS {
            let mut column = 0;
            while column < COLUMNS {
                matrix.weights[row][column] = self.byte() as i8 as i16;
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
