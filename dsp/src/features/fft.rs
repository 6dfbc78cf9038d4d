//! Power spectrum of a real frame, by a fixed-point radix-4 transform.
//!
//! A real transform of N points is done as a complex one of N/2 (even samples real, odd ones
//! imaginary) and taken apart afterwards. The complex transform is Stockham's: each pass reads
//! one buffer and writes the other in order, so nothing has to be bit-reversed.
//!
//! Ranges: samples below 2^28 make complex values below 2^28.5. A pass adds four values (below
//! 2^30.5, no overflow of 32 bits) and divides by four, so the bound holds from pass to pass and
//! the result is the transform divided by N/2. Each rounding is to half a unit of 2^-28 of full
//! scale.

use super::tables::{cos, fixed, sin};

/// Points of the longest real transform.
pub(super) const MAX_POINTS: usize = 512;
/// Complex values of the longest transform.
const MAX_HALF: usize = MAX_POINTS / 2;

/// Bits dropped from a power: what makes the mel sums fit 64 bits.
pub(super) const POWER_SHIFT: u32 = 15;

/// Complex number, i32 or Q30.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Complex {
    pub(super) re: i32,
    pub(super) im: i32,
}

/// exp(-2 pi i k / 512), Q30, as far as the third leg of a butterfly reaches.
static ROOTS_Q30: [Complex; MAX_POINTS * 3 / 4] = {
    let mut table = [Complex { re: 0, im: 0 }; MAX_POINTS * 3 / 4];
    let mut index = 0;
    while index < table.len() {
        let angle = core::f64::consts::TAU * index as f64 / MAX_POINTS as f64;
        table[index] = Complex { re: fixed(cos(angle), 30) as i32, im: -fixed(sin(angle), 30) as i32 };
        index += 1;
    }
    table
};

/// Power of bins 0 to N/2 - 1 of a real frame of N = 2 * `samples.len()` points (N 256 or 512),
/// given as complex pairs with parts below 2^28; `power` takes N/2 values that add up to less than
/// 2^44 when a fifth of the points are padding (Parseval).
///
/// The power is |X|^2 * 16 / N^2, divided by 2 to the power [`POWER_SHIFT`], where X is the transform.
pub(super) fn power_spectrum(samples: &mut [Complex], power: &mut [u64]) {
    let half = samples.len();
    debug_assert!(matches!(half, 128 | 256) && power.len() == half);
    let mut other = [Complex::default(); MAX_HALF];
    transform(samples, &mut other[..half]);
    split(samples, power);
}

/// Complex transform of `data`, divided by its length, in place; `other` is scratch.
fn transform(data: &mut [Complex], other: &mut [Complex]) {
    let points = data.len();
    // Butterflies of this pass span `length` points of `stride` interleaved transforms.
    let (mut length, mut stride) = (points, 1);
    let (mut from, mut to) = (&mut *data, &mut *other);
    while length > 4 {
        pass4(from, to, length, stride);
        (from, to) = (to, from);
        (length, stride) = (length / 4, stride * 4);
    }
    // After three passes (256 or 128 points) the values lie in `other`: the last pass brings them back.
    match length {
        4 => last_pass4(from, to, stride),
        _ => last_pass2(from, to, stride),
    }
}

/// One radix-4 pass with twiddles: `length` points to a quarter, `stride` to four times.
fn pass4(from: &[Complex], to: &mut [Complex], length: usize, stride: usize) {
    let quarter = from.len() / 4;
    let step = MAX_POINTS / length;
    let legs = from[..quarter]
        .chunks_exact(stride)
        .zip(from[quarter..2 * quarter].chunks_exact(stride))
        .zip(from[2 * quarter..3 * quarter].chunks_exact(stride))
        .zip(from[3 * quarter..].chunks_exact(stride));
    for ((p, (((a, b), c), d)), out) in legs.enumerate().zip(to.chunks_exact_mut(4 * stride)) {
        let roots = [ROOTS_Q30[p * step], ROOTS_Q30[2 * p * step], ROOTS_Q30[3 * p * step]];
        let (out0, rest) = out.split_at_mut(stride);
        let (out1, rest) = rest.split_at_mut(stride);
        let (out2, out3) = rest.split_at_mut(stride);
        for q in 0..stride {
            let [sum0, sum1, sum2, sum3] = butterfly([a[q], b[q], c[q], d[q]]);
            out0[q] = quarter_of(sum0);
            out1[q] = turned_quarter(sum1, roots[0]);
            out2[q] = turned_quarter(sum2, roots[1]);
            out3[q] = turned_quarter(sum3, roots[2]);
        }
    }
}

/// The radix-4 pass over the last four points, whose twiddles are all one.
fn last_pass4(from: &[Complex], to: &mut [Complex], stride: usize) {
    for q in 0..stride {
        let sums = butterfly([from[q], from[q + stride], from[q + 2 * stride], from[q + 3 * stride]]);
        for (leg, sum) in sums.into_iter().enumerate() {
            to[q + leg * stride] = quarter_of(sum);
        }
    }
}

/// The radix-2 pass over the last two points.
fn last_pass2(from: &[Complex], to: &mut [Complex], stride: usize) {
    let (first, second) = from.split_at(stride);
    let (sums, differences) = to.split_at_mut(stride);
    for q in 0..stride {
        let (a, b) = (first[q], second[q]);
        sums[q] = Complex { re: (a.re + b.re + 1) >> 1, im: (a.im + b.im + 1) >> 1 };
        differences[q] = Complex { re: (a.re - b.re + 1) >> 1, im: (a.im - b.im + 1) >> 1 };
    }
}

/// Transform of four points, not scaled.
#[inline(always)]
fn butterfly([a, b, c, d]: [Complex; 4]) -> [Complex; 4] {
    let (even, odd) = (add(a, c), add(b, d));
    let (cross, turn) = (sub(a, c), sub(b, d));
    // Minus and plus i times `turn`.
    [
        add(even, odd),
        Complex { re: cross.re + turn.im, im: cross.im - turn.re },
        sub(even, odd),
        Complex { re: cross.re - turn.im, im: cross.im + turn.re },
    ]
}

#[inline(always)]
fn add(a: Complex, b: Complex) -> Complex {
    Complex { re: a.re + b.re, im: a.im + b.im }
}

#[inline(always)]
fn sub(a: Complex, b: Complex) -> Complex {
    Complex { re: a.re - b.re, im: a.im - b.im }
}

#[inline(always)]
fn quarter_of(sum: Complex) -> Complex {
    Complex { re: (sum.re + 2) >> 2, im: (sum.im + 2) >> 2 }
}

/// A sum times a Q30 root, divided by four: the upper half of the 64-bit product.
#[inline(always)]
fn turned_quarter(sum: Complex, root: Complex) -> Complex {
    const HALF: i64 = 1 << 31;
    let (re, im) = product(sum, root);
    Complex { re: ((re + HALF) >> 32) as i32, im: ((im + HALF) >> 32) as i32 }
}

#[inline(always)]
fn product(a: Complex, b: Complex) -> (i64, i64) {
    let (are, aim, bre, bim) = (i64::from(a.re), i64::from(a.im), i64::from(b.re), i64::from(b.im));
    (are * bre - aim * bim, are * bim + aim * bre)
}

/// Takes the spectra of even and odd samples apart and joins them: bins k and N/2 - k come from
/// the same pair. Twice the spectrum (divided by N/2) is below 2^30, its power below 2^60.
fn split(spectrum: &[Complex], power: &mut [u64]) {
    let half = spectrum.len();
    let step = MAX_HALF / half;
    let dc = spectrum[0];
    power[0] = scaled_power(2 * (dc.re + dc.im), 0);
    for k in 1..=half / 2 {
        let (low, high) = (spectrum[k], spectrum[half - k]);
        let even = Complex { re: low.re + high.re, im: low.im - high.im };
        let odd = Complex { re: low.re - high.re, im: low.im + high.im };
        let (re, im) = product(odd, ROOTS_Q30[k * step]);
        let (re, im) = ((re >> 30) as i32, (im >> 30) as i32);
        power[k] = scaled_power(even.re + im, even.im - re);
        power[half - k] = scaled_power(even.re - im, even.im + re);
    }
}

#[inline(always)]
fn scaled_power(re: i32, im: i32) -> u64 {
    let (re, im) = (i64::from(re), i64::from(im));
    ((re * re + im * im) as u64) >> POWER_SHIFT
}
