//! From a cosine to a log-likelihood ratio, a score and a false-accept rate.

use super::constants;
use crate::features::Band;

/// Whole thresholds, 0 to 100.
pub const THRESHOLDS: usize = 101;

/// Knots of the curve from log-likelihood ratio to score.
pub const KNOTS: usize = 8;

/// Net speech of a test, in seconds, at which the duration term is tabulated.
pub const DURATIONS_S: [f32; 3] = [3.0, 5.0, 10.0];

/// From a cosine to a log-likelihood ratio and from that to a score, in one band.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Log-likelihood ratio per unit of cosine.
    pub slope: f32,
    /// Log-likelihood ratio at cosine 0 before the duration term.
    pub offset: f32,
    /// Log-likelihood ratio added at each of [`DURATIONS_S`]: what keeps the false-accept rate of a threshold the
    /// same when the test is shorter.
    pub duration: [f32; DURATIONS_S.len()],
    /// Log-likelihood ratio and score of each knot, both rising strictly.
    pub knots: [(f32, f32); KNOTS],
    /// False-accept rate expected at each whole threshold.
    pub far: [f32; THRESHOLDS],
    /// False-reject rate expected at each whole threshold.
    pub frr: [f32; THRESHOLDS],
}

/// The curves of both bands: as shipped, or as a site measured them on its own calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// Of telephone audio.
    pub narrow: Curve,
    /// Of wideband audio.
    pub wide: Curve,
}

impl Curves {
    /// Those that the calibration program measured.
    pub fn shipped() -> &'static Self {
        &constants::SHIPPED
    }

    /// The curve of a band.
    pub const fn of(&self, band: Band) -> &Curve {
        match band {
            Band::Narrow => &self.narrow,
            Band::Wide => &self.wide,
        }
    }

    /// The same, to change it.
    pub const fn of_mut(&mut self, band: Band) -> &mut Curve {
        match band {
            Band::Narrow => &mut self.narrow,
            Band::Wide => &mut self.wide,
        }
    }
}

impl Default for Curves {
    fn default() -> Self {
        Self::shipped().clone()
    }
}

impl Curve {
    /// Natural log-likelihood ratio of a cosine that `net_speech_ms` of test speech gave.
    pub fn llr(&self, cosine: f32, net_speech_ms: u32) -> f32 {
        let seconds = net_speech_ms as f32 / 1000.0;
        let knots = DURATIONS_S.iter().copied().zip(self.duration);
        self.slope * cosine + self.offset + interpolate(knots, seconds)
    }

    /// Score, 0 to 100, of a log-likelihood ratio; never falls when the ratio rises.
    /// What is not a number scores 0: it fails every comparison, and would pass for the highest ratio.
    pub fn score(&self, llr: f32) -> f32 {
        if llr.is_nan() {
            return 0.0;
        }
        interpolate(self.knots.into_iter(), llr)
    }

    /// False-accept rate expected at a threshold equal to `score`. Between whole thresholds the chord is
    /// taken, which lies above the true curve wherever that is convex, as the tail is.
    pub fn far_at(&self, score: f32) -> f32 {
        let whole = (score.clamp(0.0, 100.0) as usize).min(THRESHOLDS - 2);
        let part = score.clamp(0.0, 100.0) - whole as f32;
        self.far[whole] + (self.far[whole + 1] - self.far[whole]) * part
    }
}

/// Value at `x` of the line through `knots` (rising in x), constant before the first and after the last.
fn interpolate(mut knots: impl Iterator<Item = (f32, f32)>, x: f32) -> f32 {
    let Some(mut left) = knots.next() else { return 0.0 };
    for right in knots {
        if x < right.0 {
            let part = ((x - left.0) / (right.0 - left.0)).max(0.0);
            return left.1 + (right.1 - left.1) * part;
        }
        left = right;
    }
    left.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BANDS: [Band; 2] = [Band::Narrow, Band::Wide];

    #[test]
    fn shipped_constants_keep_the_promises() {
        for band in BANDS {
            let shipped = Curves::shipped().of(band);
            assert!(shipped.slope > 0.0);
            assert!(shipped.knots.windows(2).all(|k| k[0].0 < k[1].0 && k[0].1 < k[1].1), "{band:?}");
            assert_eq!((shipped.knots[0].1, shipped.knots[KNOTS - 1].1), (0.0, 100.0));
            assert!(shipped.far.windows(2).all(|f| f[0] >= f[1]), "{band:?}");
            assert!(shipped.frr.windows(2).all(|f| f[0] <= f[1]), "{band:?}");
            assert!(shipped.far[90] <= 0.001 && shipped.far[100] > 0.0, "{band:?}");
            assert_eq!((shipped.far[0], shipped.frr[0]), (1.0, 0.0));
        }
    }

    #[test]
    fn interpolation_meets_its_knots_and_stays_flat_outside() {
        let knots = [(1.0, 10.0), (2.0, 20.0), (4.0, 0.0)];
        let at = |x| interpolate(knots.into_iter(), x);
        assert_eq!(
            [at(0.0), at(1.0), at(1.5), at(2.0), at(3.0), at(4.0), at(9.0)],
            [10.0, 10.0, 15.0, 20.0, 10.0, 0.0, 0.0]
        );
    }

    #[test]
    fn what_is_not_a_number_scores_nothing() {
        for band in BANDS {
            assert_eq!(Curves::shipped().of(band).score(f32::NAN), 0.0);
        }
    }

    proptest! {
        #[test]
        fn scores_rise_with_cosine_and_rates_fall(a in -1.0..1.0f32, b in -1.0..1.0f32, ms in 0..40_000u32) {
            let (low, high) = (a.min(b), a.max(b));
            for band in BANDS {
                let shipped = Curves::shipped().of(band);
                let (low, high) = (shipped.llr(low, ms), shipped.llr(high, ms));
                prop_assert!(low <= high);
                let (low, high) = (shipped.score(low), shipped.score(high));
                prop_assert!(0.0 <= low && low <= high && high <= 100.0);
                prop_assert!(shipped.far_at(low) >= shipped.far_at(high));
            }
        }
    }
}
