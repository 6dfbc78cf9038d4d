//! 16-bit saturating arithmetic, as ITU-T and ETSI define their codecs with.

/// Nearest 16-bit value.
pub(super) const fn saturated(value: i32) -> i16 {
    if value > i16::MAX as i32 {
        i16::MAX
    } else if value < i16::MIN as i32 {
        i16::MIN
    } else {
        value as i16
    }
}

/// Product of two Q15 values, cut towards minus infinity; at most one LSB above Q15's range, for -1 times -1.
pub(super) const fn product(a: i16, b: i16) -> i32 {
    (a as i32 * b as i32) >> 15
}

/// Product of two Q15 values, rounded and saturated.
pub(super) const fn rounded_product(a: i16, b: i16) -> i16 {
    saturated((a as i32 * b as i32 + (1 << 14)) >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_saturates() {
        assert_eq!((saturated(40_000), saturated(-40_000), saturated(-5)), (i16::MAX, i16::MIN, -5));
        assert_eq!((product(i16::MIN, i16::MIN), rounded_product(i16::MIN, i16::MIN)), (32_768, i16::MAX));
        assert_eq!((product(-1, 1), rounded_product(-1, 1)), (-1, 0));
    }
}
