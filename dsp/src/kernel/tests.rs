//! Every kernel that this processor runs against the plain one, over odd sizes and whole ranges; and the plain one
//! against its formula.

extern crate std;

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

/// Bytes that decide everything else of a case, spread over whole ranges by a generator (Numerical Recipes' LCG).
struct Source(u64);

impl Source {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// One of the ends in one case of four.
    fn between(&mut self, low: i32, high: i32) -> i32 {
        match self.next() % 8 {
            0 => low,
            1 => high,
            _ => {
                let span = i64::from(high) - i64::from(low) + 1;
                (i64::from(low) + i64::from(self.next()) % span) as i32
            }
        }
    }

    fn bytes(&mut self, count: usize, low: i32, high: i32) -> Vec<u8> {
        (0..count).map(|_| self.between(low, high) as u8).collect()
    }

    fn halves(&mut self, count: usize) -> Vec<i16> {
        (0..count).map(|_| self.between(i32::from(i16::MIN), i32::from(i16::MAX)) as i16).collect()
    }

    fn words(&mut self, count: usize, limit: i32) -> Vec<[u8; 4]> {
        (0..count).map(|_| self.between(-limit, limit).to_le_bytes()).collect()
    }
}

/// Owned parts of a convolution.
#[derive(Debug, Clone)]
struct Case {
    weights: Vec<u8>,
    bias: Vec<[u8; 4]>,
    multiplier: Vec<[u8; 4]>,
    shift: u32,
    shape: (usize, usize, usize),
    walk: Walk,
    input: Vec<u8>,
    side: Vec<i16>,
}

impl Case {
    fn conv(&self) -> Conv<'_> {
        let (taps, span, outputs) = self.shape;
        Conv { weights: &self.weights, requant: self.requant(), taps, span, outputs }
    }

    fn requant(&self) -> Requant<'_> {
        Requant { bias: I32s(&self.bias), multiplier: I32s(&self.multiplier), shift: self.shift }
    }

    fn run(&self, kernel: Kernel, with_side: bool) -> (Vec<u8>, Vec<i16>) {
        let length = self.walk.positions * self.walk.output_step;
        let (mut narrow, mut wide) = (std::vec![0xAA; length], std::vec![0x5555; length]);
        kernel.conv(&self.conv(), &self.walk, &self.input, with_side.then_some(&self.side[..]), &mut narrow);
        kernel.conv_wide(&self.conv(), &self.walk, &self.input, &mut wide);
        (narrow, wide)
    }
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1..4usize, 1..12usize, 1..4usize, 0..31usize);
    let steps = (0..70usize, 0..70usize, 0..20usize);
    // Multipliers of real layers, and any that fits.
    let requant = (1..=32u32, prop_oneof![Just(1 << 14), Just(1 << 24), Just(i32::MAX)]);
    (shape, steps, requant, any::<u64>()).prop_map(|(shape, (tap_step, step, gap), (shift, limit), seed)| {
        let (taps, span, outputs, positions) = (shape.0, GROUP * shape.1, LANES * shape.2, shape.3);
        let mut source = Source(seed);
        let walk = Walk { positions, tap_step, step, output_step: outputs + gap };
        Case {
            weights: source.bytes(taps * span * outputs, -127, 127),
            bias: source.words(outputs, 1 << 30),
            multiplier: source.words(outputs, limit),
            shift,
            shape: (taps, span, outputs),
            walk,
            input: source.bytes(positions * step + taps * tap_step + span, 0, 127),
            side: source.halves(positions * outputs),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_give_the_same_bits(case in case(), with_side in any::<bool>()) {
        let expected = case.run(Kernel::scalar(), with_side);
        for kernel in Kernel::all() {
            prop_assert_eq!(&case.run(kernel, with_side), &expected, "{}", kernel.name());
        }
    }

    #[test]
    fn the_first_convolution_gives_the_same_bits(case in case(), seed in any::<u64>()) {
        let mut source = Source(seed);
        let outputs = case.shape.2;
        let weights: Vec<[u8; 2]> =
            source.halves(INPUT_TAPS * INPUT_SPAN * outputs).into_iter().map(i16::to_le_bytes).collect();
        let walk = Walk { step: case.walk.step % 5, ..case.walk };
        let input = source.halves(walk.positions * walk.step + INPUT_TAPS * walk.tap_step + INPUT_SPAN);
        let conv = InputConv { weights: I16s(&weights), requant: case.requant(), outputs };
        let run = |kernel: Kernel| {
            let mut output = std::vec![0xAA; walk.positions * walk.output_step];
            kernel.conv_input(&conv, &walk, &input, &mut output);
            output
        };
        for kernel in Kernel::all() {
            prop_assert_eq!(run(kernel), run(Kernel::scalar()), "{}", kernel.name());
        }
    }

    #[test]
    fn norms_give_the_same_bits(
        (channels, positions, gaps) in (0..80usize, 0..6usize, (0..9usize, 0..9usize)),
        shift in 0..32u32,
        seed in any::<u64>(),
    ) {
        let mut source = Source(seed);
        let gain: Vec<[u8; 2]> = source.halves(channels).into_iter().map(i16::to_le_bytes).collect();
        let offset = source.words(channels, i32::MAX);
        let walk = NormWalk { channels, positions, step: channels + gaps.0, output_step: channels + gaps.1 };
        let input = source.halves(positions * walk.step);
        let norm = Norm { gain: I16s(&gain), offset: I32s(&offset), shift };
        let run = |kernel: Kernel| {
            let mut output = std::vec![0xAA; positions * walk.output_step];
            kernel.norm(&norm, &walk, &input, &mut output);
            output
        };
        for kernel in Kernel::all() {
            prop_assert_eq!(run(kernel), run(Kernel::scalar()), "{}", kernel.name());
        }
    }

    #[test]
    fn the_plain_kernel_follows_its_formula(case in case(), with_side in any::<bool>()) {
        let (narrow, wide) = case.run(Kernel::scalar(), with_side);
        let (taps, span, outputs) = case.shape;
        for position in 0..case.walk.positions {
            for output in 0..outputs {
                let mut sum = i64::from(case.conv().requant.bias.at(output));
                for index in 0..taps * span {
                    let input = case.input[position * case.walk.step + index / span * case.walk.tap_step + index % span];
                    let block = (output / LANES * (taps * span / GROUP) + index / GROUP) * LANES * GROUP;
                    let weight = case.weights[block + output % LANES * GROUP + index % GROUP] as i8;
                    sum += i64::from(input) * i64::from(weight);
                }
                let product = i128::from(sum) * i128::from(case.conv().requant.multiplier.at(output));
                let exact = product as f64 / 2f64.powi(case.shift as i32);
                if exact.abs() > 2e9 {
                    continue; // no layer has such values: they wrap
                }
                let at = position * case.walk.output_step + output;
                let side = if with_side { f64::from(case.side[position * outputs + output]) } else { 0.0 };
                let expected = if with_side { (exact + side) / 64.0 } else { exact };
                prop_assert!((f64::from(narrow[at]) - expected.clamp(0.0, 127.0)).abs() <= 0.51);
                prop_assert!((f64::from(wide[at]) - exact.clamp(-32768.0, 32767.0)).abs() <= 0.51);
            }
        }
    }
}

/// The case that saturates in 8-bit engines: every product at its end.
#[test]
fn the_ends_of_all_ranges_do_not_saturate() {
    for weight in [-127i8, 127] {
        let outputs = LANES;
        let case = Case {
            weights: std::vec![weight as u8; 1600 * outputs],
            bias: std::vec![[0; 4]; outputs],
            multiplier: std::vec![1i32.to_le_bytes(); outputs],
            shift: 12,
            shape: (1, 1600, outputs),
            walk: Walk { positions: 5, tap_step: 0, step: 0, output_step: outputs },
            input: std::vec![127; 1600],
            side: std::vec![0; 5 * outputs],
        };
        let expected = ((i32::from(weight) * 127 * 1600 + (1 << 11)) >> 12) as i16;
        for kernel in Kernel::all() {
            let (_, wide) = case.run(kernel, false);
            assert_eq!(wide, std::vec![expected; 5 * outputs], "{}", kernel.name());
        }
    }
}

/// A vector and two blocks of weights: the network's longest vector has as many pairs.
fn pair_case(source: &mut Source) -> ([PairBlock<PAIRS>; 2], [[i16; 2]; PAIRS]) {
    let input = source.halves(2 * PAIRS).as_chunks().0.try_into().expect("as many pairs");
    let mut weights = [[[[0; 2]; LANES]; PAIRS]; 2];
    for weight in weights.as_flattened_mut().as_flattened_mut().as_flattened_mut() {
        *weight = source.between(-TOP, TOP) as i16;
    }
    (weights, input)
}

const PAIRS: usize = 60;

proptest! {
    #[test]
    fn pairs_are_multiplied_alike(seed: u64) {
        let (weights, input) = pair_case(&mut Source(seed));
        let mut expected = [[0; LANES]; 2];
        for (block, sums) in expected.iter_mut().enumerate() {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let products = |pair: usize, half: usize| {
                    i32::from(weights[block][pair][lane][half]) * i32::from(input[pair][half])
                };
                *sum = (0..PAIRS).map(|pair| products(pair, 0) + products(pair, 1)).sum();
            }
        }
        for kernel in Kernel::all() {
            let mut sums = [[i32::MIN; LANES]; 2];
            kernel.pairs(&weights, &input, &mut sums);
            prop_assert_eq!(sums, expected, "{}", kernel.name());
        }
    }
}
