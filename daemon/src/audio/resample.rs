//! Rate conversion by a windowed-sinc filter, one phase for each output instant (J. O. Smith, "Digital
//! Audio Resampling"): for recordings, and for capture devices that have no rate of ours.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side of its centre.
const CROSSINGS: f64 = 32.0;
/// Shape of the Kaiser window: side lobes below -90 dB.
const BETA: f64 = 9.0;
/// Cut-off as a share of the lower Nyquist frequency, which leaves the transition band below it.
const CUT_OFF: f64 = 0.945;
/// Samples taken into the filter's memory at once.
const BLOCK: usize = 1024;

/// Converts `pcm` from rate `from` to rate `to` (both in Hz, not 0).
pub(super) fn resample(pcm: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to {
        return pcm.to_vec();
    }
    let mut resampler = Resampler::new(from, to);
    let length = pcm.len() * resampler.up / resampler.down;
    let mut made = Vec::with_capacity(length);
    let mut keep = |sample| {
        if made.len() < length {
            made.push(sample);
        }
    };
    resampler.push(pcm, &mut keep);
    // What lies behind the end is silence.
    let silence = vec![0; resampler.reach];
    resampler.push(&silence, &mut keep);
    made
}

/// Converts the rate of a stream. All its memory is taken at the beginning.
#[derive(Debug)]
pub struct Resampler {
    /// Output samples for each `down` input samples.
    up: usize,
    down: usize,
    /// Input samples that a filter needs on each side of the output instant.
    reach: usize,
    /// The filter for each of the `up` places that an output instant can have between two input samples.
    phases: Vec<Vec<f32>>,
    /// The input from `first` on: what filters still need, and room for a block.
    held: Box<[i16]>,
    /// How many samples are held.
    count: usize,
    /// Place in `held` of the first sample of the next filter, and its phase.
    place: usize,
    phase: usize,
}

impl Resampler {
    /// A converter from rate `from` to rate `to` (both in Hz, not 0) that heard nothing.
    pub fn new(from: u32, to: u32) -> Self {
        let divisor = gcd(from, to);
        let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
        let filter = Filter::new(from, to);
        let phases: Vec<Vec<f32>> = (0..up).map(|phase| filter.taps(phase as f64 / up as f64)).collect();
        let reach = filter.reach as usize;
        let held = vec![0; 2 * reach + BLOCK].into_boxed_slice();
        let mut resampler = Self { up, down, reach, phases, held, count: 0, place: 0, phase: 0 };
        resampler.reset();
        resampler
    }

    /// Forgets and wipes what was heard: what comes next follows on silence.
    pub fn reset(&mut self) {
        self.held.fill(0);
        // The first output instant is that of the first input sample, which has silence before it.
        (self.count, self.place, self.phase) = (self.reach - 1, 0, 0);
    }

    /// Takes samples; `out` gets each output sample whose surroundings are there.
    pub fn push(&mut self, pcm: &[i16], out: &mut impl FnMut(i16)) {
        for block in pcm.chunks(BLOCK) {
            self.held[self.count..self.count + block.len()].copy_from_slice(block);
            self.count += block.len();
            while self.place + 2 * self.reach <= self.count {
                out(filtered(&self.held[self.place..], &self.phases[self.phase]));
                self.phase += self.down;
                self.place += self.phase / self.up;
                self.phase %= self.up;
            }
            let done = self.place.min(self.count);
            self.held.copy_within(done..self.count, 0);
            self.count -= done;
            self.place -= done;
        }
    }
}

/// Low-pass filter in units of input samples.
struct Filter {
    /// Cut-off in cycles per input sample, times two.
    bandwidth: f64,
    /// Input samples on each side of the output instant.
    reach: isize,
}

impl Filter {
    fn new(from: u32, to: u32) -> Self {
        let bandwidth = CUT_OFF * (f64::from(to) / f64::from(from)).min(1.0);
        Self { bandwidth, reach: (CROSSINGS / bandwidth).ceil() as isize }
    }

    /// Taps for an output instant `fraction` of a sample after the input sample at index `reach - 1`.
    fn taps(&self, fraction: f64) -> Vec<f32> {
        (1 - self.reach..=self.reach)
            .map(|offset| {
                let distance = offset as f64 - fraction;
                let edge = (distance / self.reach as f64).abs().min(1.0);
                let window = bessel_i0(BETA * (1.0 - edge * edge).sqrt()) / bessel_i0(BETA);
                (self.bandwidth * sinc(self.bandwidth * distance) * window) as f32
            })
            .collect()
    }
}

/// Sum of products of a filter and the samples from its first on.
fn filtered(pcm: &[i16], taps: &[f32]) -> i16 {
    let sum: f32 = pcm.iter().zip(taps).map(|(&sample, &tap)| f32::from(sample) * tap).sum();
    sum.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..=40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tone(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
        let step = 2.0 * PI * hz / f64::from(rate);
        (0..samples).map(|n| (10_000.0 * (step * n as f64).sin()).round() as i16).collect()
    }

    /// Largest difference in the middle, away from the edges where silence begins.
    fn worst(one: &[i16], other: &[i16]) -> i32 {
        let middle = one.len() / 4..one.len() * 3 / 4;
        middle.map(|n| (i32::from(one[n]) - i32::from(other[n])).abs()).max().unwrap()
    }

    #[test]
    fn tones_below_the_cut_off_come_out_in_place() {
        for (from, to) in
            [(16_000, 8_000), (8_000, 16_000), (44_100, 16_000), (11_025, 8_000), (48_000, 8_000)]
        {
            for hz in [100.0, 1_000.0, 3_400.0] {
                let made = resample(&tone(hz, from, from as usize / 2), from, to);
                assert!(made.len().abs_diff(to as usize / 2) <= 1);
                let wanted = tone(hz, to, made.len());
                assert!(worst(&made, &wanted) <= 3, "{hz} Hz, {from} to {to}: {}", worst(&made, &wanted));
            }
        }
    }

    #[test]
    fn tones_above_the_new_band_vanish() {
        for hz in [4_200.0, 5_000.0, 7_900.0] {
            let made = resample(&tone(hz, 16_000, 8_000), 16_000, 8_000);
            assert!(worst(&made, &vec![0; made.len()]) <= 2, "{hz} Hz");
        }
    }

    #[test]
    fn a_reset_converter_begins_anew() {
        let pcm = tone(440.0, 48_000, 4_800);
        let mut resampler = Resampler::new(48_000, 16_000);
        let mut convert = || {
            let mut made = Vec::new();
            resampler.push(&pcm, &mut |sample| made.push(sample));
            resampler.reset();
            made
        };
        assert_eq!(convert(), convert());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_stream_in_pieces_gives_what_the_whole_gives(
            pcm in proptest::collection::vec(any::<i16>(), 2_000..4_000),
            piece in 1_usize..1_500,
            from in proptest::sample::select(vec![8_000_u32, 22_050, 44_100, 48_000]),
        ) {
            let mut resampler = Resampler::new(from, 16_000);
            let mut made = Vec::new();
            pcm.chunks(piece).for_each(|piece| resampler.push(piece, &mut |sample| made.push(sample)));
            let whole = resample(&pcm, from, 16_000);
            let reach = resampler.reach * resampler.up / resampler.down + 1;
            prop_assert!(made.len() + reach >= whole.len() && made.len() <= whole.len());
            prop_assert_eq!(&made[..], &whole[..made.len()]);
        }

        #[test]
        fn any_rates_and_lengths_work(
            pcm in proptest::collection::vec(any::<i16>(), 0..600),
            from in proptest::sample::select(vec![8_000u32, 11_025, 16_000, 22_050, 44_100]),
            wide: bool,
        ) {
            let to = if wide { 16_000 } else { 8_000 };
            let made = resample(&pcm, from, to);
            prop_assert_eq!(made.len() as u64, pcm.len() as u64 * u64::from(to) / u64::from(from));
        }
    }
}
