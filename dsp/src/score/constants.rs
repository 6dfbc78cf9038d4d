//! Placeholder calibration.
use super::calibrate::{Calibration, KNOTS, THRESHOLDS};
use crate::sizes::EMBEDDING;

const NEUTRAL_KNOTS: [(f32, f32); KNOTS] = [
    (-12.0, 0.0),
    (-6.0, 5.0),
    (-3.0, 30.0),
    (0.0, 70.0),
    (3.0, 90.0),
    (5.0, 94.0),
    (7.0, 96.0),
    (9.0, 98.0),
    (14.0, 100.0),
];
const fn far() -> [f32; THRESHOLDS] {
    let mut rates = [0.000_01; THRESHOLDS];
    let mut threshold = 0;
    while threshold < 90 {
        rates[threshold] = 1.0 - threshold as f32 * 0.011;
        threshold += 1;
    }
    rates
}
const NEUTRAL: Calibration = Calibration {
    mean: [0; EMBEDDING],
    slope: 25.0,
    offset: -10.0,
    duration: [0.0; 4],
    knots: NEUTRAL_KNOTS,
    far: far(),
    frr: [0.0; THRESHOLDS],
};
pub(super) static NARROW: Calibration = NEUTRAL;
pub(super) static WIDE: Calibration = NEUTRAL;
