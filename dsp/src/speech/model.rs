//! The small network that tells speech from everything else, in integers.
//!
//! Steps of 20 ms. Three of them go through a dense layer with ReLU, that through a gated recurrent unit (Cho et al.,
//! 2014), and the unit's state says whether the step [`LOOK_AHEAD`] before was speech: what follows a sound tells most
//! about it. How it was trained stands in `dsp/model/netspeech/`.

mod matrix;
mod sigmoid;

use crate::features::NARROW_BINS;
use crate::kernel::{Kernel, LANES};
use matrix::{Matrix, Reader};
use sigmoid::{sigmoid_q15, tanh_q14};

/// Steps between the one that is heard and the one that is judged: 400 ms.
pub(super) const LOOK_AHEAD: usize = 20;
/// Mel bins of a step: those of the telephone band, in either band.
pub(super) const BINS: usize = NARROW_BINS;
/// Steps that the dense layer sees at once.
const SEEN: usize = 3;
/// Values that it sees, filled up with zeros to a multiple of eight.
const SEEN_VALUES: usize = (SEEN * BINS).next_multiple_of(8);
/// Outputs of the dense layer.
const DENSE: usize = 48;
/// Size of the unit's state.
const STATE: usize = 64;
/// Its update has three parts: reset, keep and candidate.
const GATES: usize = 3 * STATE;

/// Level that becomes zero: 14 nepers, Q9.
const CENTRE_Q9: i16 = 14 * 512;

/// Four nepers are one: so Q9 of the level is Q11 of the input.
const INPUT_Q: u32 = 11;
const DENSE_Q: u32 = 10;
const STATE_Q: u32 = 14;

/// What was learnt.
struct Weights {
    dense: Matrix<{ DENSE / LANES }, { SEEN_VALUES / 2 }>,
    input: Matrix<{ GATES / LANES }, { DENSE / 2 }>,
    state: Matrix<{ GATES / LANES }, { STATE / 2 }>,
    verdict: Matrix<1, { STATE / 2 }>,
}

static WEIGHTS: Weights = {
    let mut reader = Reader::new(include_bytes!("../../model/netspeech/netspeech.weights"));
    let weights = Weights {
        dense: reader.matrix(DENSE),
        input: reader.matrix(GATES),
        state: reader.matrix(GATES),
        verdict: reader.matrix(1),
    };
    assert!(reader.is_at_end(), "the weights are of another network");
    weights
};

/// What the network remembers of a stream.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// The last steps, oldest first, Q11.
    seen_q11: [i16; SEEN_VALUES],
    state_q14: [i16; STATE],
    begun: bool,
}

impl Model {
    pub(super) const fn new() -> Self {
        Self { seen_q11: [0; SEEN_VALUES], state_q14: [0; STATE], begun: false }
    }

    /// Hears the next step, log mel energies in Q9; returns the log odds, Q12, that the step [`LOOK_AHEAD`] before
    /// was speech.
    pub(super) fn hear(&mut self, kernel: Kernel, step_q9: &[i16; BINS]) -> i32 {
        let input = step_q9.map(|level| level - CENTRE_Q9);
        if !self.begun {
            self.begun = true;
            self.seen_q11[..SEEN * BINS].chunks_exact_mut(BINS).for_each(|step| step.copy_from_slice(&input));
        }
        self.seen_q11.copy_within(BINS..SEEN * BINS, 0);
        self.seen_q11[(SEEN - 1) * BINS..SEEN * BINS].copy_from_slice(&input);

        kernel.vectorised(
            #[inline(always)]
            || self.step(kernel),
        )
    }

    /// Runs the network on what was seen.
    #[inline(always)]
    fn step(&mut self, kernel: Kernel) -> i32 {
        let dense = WEIGHTS.dense.times(kernel, pairs(&self.seen_q11), INPUT_Q, DENSE_Q);
        let mut dense_q10 = [0; DENSE];
        for (rectified, value) in dense_q10.iter_mut().zip(dense.as_flattened()) {
            // Weights and inputs bound it by 2^15.
            *rectified = (*value).max(0) as i16;
        }
        let by_input = WEIGHTS.input.times(kernel, pairs(&dense_q10), DENSE_Q, 12);
        let by_state = WEIGHTS.state.times(kernel, pairs(&self.state_q14), STATE_Q, 12);
        self.update(gates(&by_input), gates(&by_state));
        WEIGHTS.verdict.times(kernel, pairs(&self.state_q14), STATE_Q, 12)[0][0]
    }

    /// The unit's new state.
    #[inline(always)]
    fn update(&mut self, by_input_q12: &[i32; GATES], by_state_q12: &[i32; GATES]) {
        for (unit, state) in self.state_q14.iter_mut().enumerate() {
            let (keep, candidate) = (STATE + unit, 2 * STATE + unit);
            let reset_q15 = sigmoid_q15(by_input_q12[unit] + by_state_q12[unit]);
            let keep_q15 = sigmoid_q15(by_input_q12[keep] + by_state_q12[keep]);
            let candidate_q14 =
                tanh_q14(by_input_q12[candidate] + product_q15(reset_q15, by_state_q12[candidate]));
            *state = (candidate_q14 + product_q15(keep_q15, i32::from(*state) - candidate_q14)) as i16;
        }
    }
}

/// The rows of all gates, one after the other.
#[inline(always)]
fn gates(blocks: &[[i32; LANES]; GATES / LANES]) -> &[i32; GATES] {
    blocks.as_flattened().first_chunk().expect("as many rows as gates")
}

/// Neighbours together.
#[inline(always)]
fn pairs<const VALUES: usize, const PAIRS: usize>(values: &[i16; VALUES]) -> &[[i16; 2]; PAIRS] {
    values.as_chunks().0.first_chunk().expect("half as many pairs as values")
}

/// A value times a Q15 factor of 0 to 1. Values stay below 2^16 / 2: see [`Matrix::times`].
#[inline(always)]
fn product_q15(factor_q15: i32, value: i32) -> i32 {
    (factor_q15 * value + (1 << 14)) >> 15
}
