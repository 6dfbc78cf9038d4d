//! The small network that tells speech from everything else, in integers.
//!
//! Steps of 20 ms. Three of them go through a dense layer with ReLU, that through a gated recurrent unit (Cho et al.,
//! 2014), and the unit's state says whether the step [`LOOK_AHEAD`] before was speech: what follows a sound tells most
//! about it. How it was trained stands in `dsp/model/netspeech/`.

mod matrix;
mod sigmoid;

use crate::features::NARROW_BINS;
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
    dense: Matrix<DENSE, SEEN_VALUES>,
    input: Matrix<GATES, DENSE>,
    state: Matrix<GATES, STATE>,
    verdict: Matrix<1, STATE>,
}

static WEIGHTS: Weights = {
    let mut reader = Reader::new(include_bytes!("../../model/netspeech/netspeech.weights"));
    let weights = Weights {
        dense: reader.matrix(),
        input: reader.matrix(),
        state: reader.matrix(),
        verdict: reader.matrix(),
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
    pub(super) fn hear(&mut self, step_q9: &[i16; BINS]) -> i32 {
        let input = step_q9.map(|level| level - CENTRE_Q9);
        if !self.begun {
            self.begun = true;
            self.seen_q11[..SEEN * BINS].chunks_exact_mut(BINS).for_each(|step| step.copy_from_slice(&input));
        }
        self.seen_q11.copy_within(BINS..SEEN * BINS, 0);
        self.seen_q11[(SEEN - 1) * BINS..SEEN * BINS].copy_from_slice(&input);

        let dense_q10 = WEIGHTS.dense.times(&self.seen_q11, INPUT_Q, DENSE_Q).map(rectified);
        let by_input_q12 = WEIGHTS.input.times(&dense_q10, DENSE_Q, 12);
        let by_state_q12 = WEIGHTS.state.times(&self.state_q14, STATE_Q, 12);
        for (unit, state) in self.state_q14.iter_mut().enumerate() {
            let (keep, candidate) = (STATE + unit, 2 * STATE + unit);
            let reset_q15 = sigmoid_q15(by_input_q12[unit] + by_state_q12[unit]);
            let keep_q15 = sigmoid_q15(by_input_q12[keep] + by_state_q12[keep]);
            let candidate_q14 =
                tanh_q14(by_input_q12[candidate] + product_q15(reset_q15, by_state_q12[candidate]));
            *state = (candidate_q14 + product_q15(keep_q15, i32::from(*state) - candidate_q14)) as i16;
        }
        let [verdict_q12] = WEIGHTS.verdict.times(&self.state_q14, STATE_Q, 12);
        verdict_q12
    }
}

/// ReLU. Weights and inputs bound the value far below 2^15, but no weights have to be trusted for it.
fn rectified(value: i32) -> i16 {
    value.clamp(0, i32::from(i16::MAX)) as i16
}

/// A value times a Q15 factor of 0 to 1. Values stay below 2^16 / 2: see [`Matrix::times`].
fn product_q15(factor_q15: i32, value: i32) -> i32 {
    (factor_q15 * value + (1 << 14)) >> 15
}
