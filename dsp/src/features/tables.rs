//! Functions that the compiler evaluates to make the tables.
//!
//! The compiler's own IEEE double arithmetic gives the same bits on every host, and no floating
//! point is left at run time. Each function is good to about 1e-15.

use core::f64::consts::{LN_2, PI, TAU};

/// Cosine, for `x` from 0 to 2 pi.
pub(super) const fn cos(x: f64) -> f64 {
    let x = if x > PI { x - TAU } else { x };
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut n = 1.0;
    while n < 30.0 {
        term *= -x * x / ((2.0 * n - 1.0) * (2.0 * n));
        sum += term;
        n += 1.0;
    }
    sum
}

/// Sine, for `x` from 0 to 2 pi.
pub(super) const fn sin(x: f64) -> f64 {
    let quarter_back = x - PI / 2.0;
    cos(if quarter_back < 0.0 { -quarter_back } else { quarter_back })
}

/// Natural logarithm, for `x` above 0.
pub(super) const fn ln(x: f64) -> f64 {
    let mut mantissa = x;
    let mut exponent = 0.0;
    while mantissa > 1.5 {
        mantissa /= 2.0;
        exponent += 1.0;
    }
    while mantissa < 0.75 {
        mantissa *= 2.0;
        exponent -= 1.0;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)), and |y| <= 1/5 makes the series short.
    let y = (mantissa - 1.0) / (mantissa + 1.0);
    let mut power = y;
    let mut sum = 0.0;
    let mut n = 1.0;
    while n < 30.0 {
        sum += power / n;
        power *= y * y;
        n += 2.0;
    }
    2.0 * sum + exponent * LN_2
}

/// Exponential function, for `x` from -40 to 0.
pub(crate) const fn exp(x: f64) -> f64 {
    let mut rest = x;
    let mut scale = 1.0;
    while rest < -LN_2 {
        rest += LN_2;
        scale /= 2.0;
    }
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut n = 1.0;
    while n < 20.0 {
        term *= rest / n;
        sum += term;
        n += 1.0;
    }
    sum * scale
}

/// Nearest integer of `x` times 2 to the power `bits`.
pub(crate) const fn fixed(x: f64, bits: u32) -> i64 {
    let scaled = x * (1_u64 << bits) as f64;
    if scaled < 0.0 { (scaled - 0.5) as i64 } else { (scaled + 0.5) as i64 }
}

#[cfg(test)]
mod tests {
    extern crate std;

    #[test]
    fn functions_agree_with_the_standard_library() {
        for step in 0..=1000 {
            let part = f64::from(step) / 1000.0;
            let angle = part * core::f64::consts::TAU;
            assert!((super::cos(angle) - angle.cos()).abs() < 4e-15, "cos {angle}");
            assert!((super::sin(angle) - angle.sin()).abs() < 4e-15, "sin {angle}");
            let x = 1e-6 + part * 20.0;
            assert!((super::ln(x) - x.ln()).abs() < 4e-15, "ln {x}");
            assert!((super::exp(-x) / (-x).exp() - 1.0).abs() < 1e-14, "exp -{x}");
        }
    }

    #[test]
    fn fixed_rounds_to_nearest() {
        assert_eq!(super::fixed(0.5, 30), 1 << 29);
        assert_eq!(super::fixed(-1.0, 30), -(1 << 30));
        assert_eq!(super::fixed(0.374, 2), 1);
        assert_eq!(super::fixed(-0.374, 2), -1);
        assert_eq!(super::fixed(0.376, 2), 2);
    }
}
