//! The enrollment of a call's speaker, from the agent's request to the stored voiceprint.

use super::Effect;
use crate::pii::Pii;

/// Why speech of more than one person makes no voiceprint: it would let in either of them.
pub const SEVERAL_VOICES: &str =
    "more than one voice was heard in the speech; a voiceprint needs one person alone";

/// How far an enrollment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnrollmentStep {
    /// Nobody asked.
    Idle,
    /// Speech is being collected from this frame on.
    Collecting {
        /// First frame that may be used.
        first: u64,
    },
    /// The embedding is being made.
    Embedding {
        /// Names the job.
        tag: u64,
    },
    /// The voiceprint is on its way to the disk.
    Storing,
    /// The voiceprint is stored.
    Complete {
        /// Its version.
        version: u32,
    },
    /// It failed.
    Failed {
        /// Why, for people.
        problem: String,
    },
}

/// One enrollment at a time.
#[derive(Debug)]
pub struct Enrollment {
    step: EnrollmentStep,
    needed: u64,
    consent: Option<Pii<String>>,
}

impl Enrollment {
    pub(super) fn new(needed: u64) -> Self {
        Self { step: EnrollmentStep::Idle, needed, consent: None }
    }

    /// How far it is.
    pub fn step(&self) -> &EnrollmentStep {
        &self.step
    }

    /// Net speech collected for it, in frames, when the call has given `frames` so far.
    pub fn collected(&self, frames: u64) -> u64 {
        match self.step {
            EnrollmentStep::Idle | EnrollmentStep::Failed { .. } => 0,
            EnrollmentStep::Collecting { first } => frames.saturating_sub(first).min(self.needed),
            _ => self.needed,
        }
    }

    /// Starts collecting; a request for one under way changes nothing.
    pub(super) fn begin(&mut self, consent: Option<Pii<String>>, first: u64, effects: &mut Vec<Effect>) {
        if self.is_under_way() {
            return;
        }
        self.consent = consent;
        self.step = EnrollmentStep::Collecting { first };
        effects.push(Effect::WakeAt(first + self.needed));
        effects.push(Effect::EnrollmentChanged);
    }

    /// The speech that it needs is gone: collects from the first frame of what comes now.
    pub(super) fn collect_anew(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.step, EnrollmentStep::Collecting { .. } | EnrollmentStep::Embedding { .. }) {
            self.step = EnrollmentStep::Collecting { first: 0 };
            effects.push(Effect::WakeAt(self.needed));
        }
    }

    /// First frame of the newest stretch that is long enough, once there is one.
    pub(super) fn due(&self, frames: u64) -> Option<u64> {
        match self.step {
            EnrollmentStep::Collecting { first } if frames >= first + self.needed => {
                Some(frames - self.needed)
            }
            _ => None,
        }
    }

    pub(super) fn wait_for(&mut self, tag: u64) {
        self.step = EnrollmentStep::Embedding { tag };
    }

    pub(super) fn awaits(&self, tag: u64) -> bool {
        self.step == EnrollmentStep::Embedding { tag }
    }

    pub(super) fn is_embedding(&self) -> bool {
        matches!(self.step, EnrollmentStep::Embedding { .. })
    }

    /// The embedding is there; hands over the consent reference that is stored with it.
    pub(super) fn storing(&mut self) -> Option<Pii<String>> {
        self.step = EnrollmentStep::Storing;
        self.consent.take()
    }

    pub(super) fn complete(&mut self, version: u32, effects: &mut Vec<Effect>) {
        self.step = EnrollmentStep::Complete { version };
        effects.push(Effect::EnrollmentChanged);
    }

    pub(super) fn fail(&mut self, problem: String, effects: &mut Vec<Effect>) {
        self.step = EnrollmentStep::Failed { problem };
        effects.push(Effect::EnrollmentChanged);
    }

    /// Gives up one that is under way, but not one that is already on its way to the disk.
    pub(super) fn abandon(&mut self, why: &str, effects: &mut Vec<Effect>) {
        if self.is_under_way() && self.step != EnrollmentStep::Storing {
            self.fail(format!("given up: {why}"), effects);
        }
    }

    /// The call ended: what is still collecting cannot be completed.
    pub(super) fn call_ended(&mut self, frames: u64, effects: &mut Vec<Effect>) {
        if let EnrollmentStep::Collecting { first } = self.step {
            let (have, need) = (frames.saturating_sub(first) as f32 / 100.0, self.needed as f32 / 100.0);
            self.fail(
                format!("the call ended with {have:.1} s of the {need:.0} s net speech needed"),
                effects,
            );
        }
    }

    fn is_under_way(&self) -> bool {
        !matches!(
            self.step,
            EnrollmentStep::Idle | EnrollmentStep::Complete { .. } | EnrollmentStep::Failed { .. }
        )
    }
}
