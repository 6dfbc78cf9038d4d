//! A call, as a state machine: what is known of the caller, and what happens next.
//!
//! Sans-I/O: the exchange feeds it claims, progress, embeddings and requests together with the time, and
//! carries out the [`Effect`]s it leaves behind. Every fault ends in `inconclusive` or `error`, never in
//! `authenticated`.

mod enrollment;
pub mod identity;
mod verification;

pub use enrollment::{Enrollment, EnrollmentStep, SEVERAL_VOICES};
pub use verification::Verification;

use crate::ask::AskError;
use crate::decision::{Heard, Judgement, Voice, Voiceprint, Yardstick};
use crate::pii::{Pii, SpeakerId};
use crate::verdict::{Reason, Status};
use jiff::Timestamp;
use std::sync::Arc;

/// What the configuration asks of every call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// What a comparison is held against.
    pub yardstick: Yardstick,
    /// Net speech of a verification, in frames of 10 ms.
    pub verification_frames: u64,
    /// Net speech of an enrollment, in frames of 10 ms.
    pub enrollment_frames: u64,
    /// Whether an enrollment needs a consent reference.
    pub consent_required: bool,
    /// Version of the model that runs; voiceprints of another version are not compared.
    pub model_version: u32,
}

/// What the store says of the claimed speaker.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Nobody said who is calling.
    Unclaimed,
    /// No voiceprint.
    NotEnrolled,
    /// A voiceprint to compare with.
    Enrolled(Arc<Voiceprint>),
    /// The speaker opted out: not one frame is analysed.
    OptedOut,
    /// The record could not be read. It may be an opt-out, so nothing is analysed.
    Unreadable,
}

impl Standing {
    /// Whether the caller's audio may be decoded.
    pub const fn may_be_analysed(&self) -> bool {
        !matches!(self, Self::OptedOut | Self::Unreadable)
    }
}

/// Why an enrollment is refused or given up where the store cannot read what it has of the speaker.
const UNREADABLE: &str = "the speaker's record in the store cannot be read";

/// Work that the exchange carries out for a call.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Switch analysis of the caller's audio on or off; off also forgets what was held.
    Analyse(bool),
    /// Come back when net speech reaches this many frames.
    WakeAt(u64),
    /// Make an embedding of frames `first..first + frames`, and bring it back with `tag`.
    Embed {
        /// Names the job.
        tag: u64,
        /// First frame.
        first: u64,
        /// Number of frames.
        frames: u64,
        /// Whether it is for a voiceprint.
        enrollment: bool,
        /// Whether wideband speech is to be compared as such.
        wide: bool,
    },
    /// Store a voiceprint, durably, and report back with [`Call::stored`].
    Store(Box<NewVoiceprint>),
    /// The verification changed.
    ResultChanged,
    /// The enrollment changed.
    EnrollmentChanged,
}

/// A voiceprint to be stored.
#[derive(Clone, Debug)]
pub struct NewVoiceprint {
    /// Whose it is.
    pub speaker: SpeakerId,
    /// The enrollment speech, once for each band.
    pub voices: Vec<Voice>,
    /// Reference of the consent.
    pub consent: Option<Pii<String>>,
}

/// One call and the decision about its caller.
#[derive(Debug)]
pub struct Call {
    policy: Policy,
    claim: Option<SpeakerId>,
    standing: Standing,
    obstacle: Option<Reason>,
    /// Whether the caller's stream seems to be the agent's.
    suspected: bool,
    heard: Heard,
    /// First frame that belongs to this caller and this evaluation.
    base: u64,
    verification: Verification,
    enrollment: Enrollment,
    /// Whose voiceprint is on its way to the disk.
    storing: Option<SpeakerId>,
    analysed: bool,
    last_tag: u64,
    ended: bool,
    effects: Vec<Effect>,
}

impl Call {
    /// A call of which nothing was heard yet, with who calls as far as the gateway says. `obstacle`: why the
    /// caller's audio cannot be judged, if so.
    pub fn new(policy: Policy, obstacle: Option<Reason>, claim: Option<(SpeakerId, Standing)>) -> Self {
        let (claim, standing) =
            claim.map_or((None, Standing::Unclaimed), |(id, standing)| (Some(id), standing));
        let heard = standing.may_be_analysed();
        let mut call = Self {
            policy,
            claim,
            standing,
            obstacle,
            suspected: false,
            heard: Heard::default(),
            base: 0,
            verification: Verification::new(),
            enrollment: Enrollment::new(policy.enrollment_frames),
            storing: None,
            analysed: heard,
            last_tag: 0,
            ended: false,
            effects: vec![Effect::Analyse(heard)],
        };
        call.verify_anew();
        call
    }

    /// Sets who the caller claims to be, with what the store says of that speaker.
    pub fn claim(&mut self, speaker: SpeakerId, standing: Standing, now: Timestamp) {
        if self.claim.as_ref() == Some(&speaker) {
            return;
        }
        self.claim = Some(speaker);
        self.enrollment.abandon("the call's speaker id was changed", &mut self.effects);
        self.set_standing(standing, now);
    }

    /// Somebody else has become the caller: what was claimed, heard and answered before was about another person.
    pub fn replace_caller(&mut self, claim: Option<(SpeakerId, Standing)>, now: Timestamp) {
        let (claim, standing) =
            claim.map_or((None, Standing::Unclaimed), |(id, standing)| (Some(id), standing));
        self.enrollment.abandon("somebody else is the caller now", &mut self.effects);
        self.claim = claim;
        self.analysed = standing.may_be_analysed();
        self.standing = standing;
        self.heard = Heard::default();
        self.base = 0;
        self.effects.push(Effect::Analyse(false));
        if self.analysed {
            self.effects.push(Effect::Analyse(true));
        }
        self.verify_anew();
        self.progressed(self.heard, now);
    }

    /// The speaker was enrolled, opted out, opted in or deleted elsewhere.
    pub fn set_standing(&mut self, standing: Standing, now: Timestamp) {
        let analysed = standing.may_be_analysed();
        match standing {
            Standing::OptedOut => self.enrollment.abandon("the speaker opted out", &mut self.effects),
            Standing::Unreadable => self.enrollment.abandon(UNREADABLE, &mut self.effects),
            _ => {}
        }
        self.standing = standing;
        if self.analysed != analysed {
            // The engine forgets what it held, and counts from zero again.
            self.effects.push(Effect::Analyse(analysed));
            self.analysed = analysed;
            self.heard = Heard::default();
            self.base = 0;
        }
        self.verify_anew();
        self.progressed(self.heard, now);
    }

    /// Says why the caller's audio cannot be judged, or that nothing stands in the way any more.
    pub fn set_obstacle(&mut self, obstacle: Option<Reason>, now: Timestamp) {
        if self.obstacle != obstacle {
            self.obstacle = obstacle;
            self.verify_anew();
            self.progressed(self.heard, now);
        }
    }

    /// Says whether the caller's stream seems to be the agent's. That is a remark on answers and no more, since
    /// whoever calls as several speakers could otherwise switch verification and enrollment off for everybody.
    pub fn suspect(&mut self, suspected: bool) {
        self.suspected = suspected;
    }

    /// Whether the voice asked for under `tag` is still wanted.
    pub fn awaits(&self, tag: u64) -> bool {
        self.verification.awaits(tag) || self.enrollment.awaits(tag)
    }

    /// Takes the newest figures of the caller's stream. Fewer frames than before say that the engine began anew: another
    /// stream is the caller's, or its band changed.
    pub fn progressed(&mut self, heard: Heard, now: Timestamp) {
        if heard.frames < self.heard.frames {
            self.hear_anew();
        }
        self.heard = heard;
        self.verification.mark_speech(heard.frames, now);
        if let Some(first) = self.verification.due(heard.frames, self.policy.verification_frames) {
            let tag = self.embed(first, self.policy.verification_frames, false);
            self.verification.wait_for(tag);
        }
        if let Some(first) = self.enrollment.due(heard.frames) {
            let tag = self.embed(first, self.policy.enrollment_frames, true);
            self.enrollment.wait_for(tag);
        }
        if self.ended {
            self.conclude_at_the_end(now);
        }
    }

    /// The engine failed on this call: nothing more will be heard.
    pub fn failed(&mut self, now: Timestamp) {
        if self.status() == Status::Pending {
            self.verification.conclude(Judgement::bare(Status::Error, Some(Reason::EngineFault)), now);
            self.effects.push(Effect::ResultChanged);
        }
        self.enrollment.abandon("the voice engine failed", &mut self.effects);
    }

    /// Takes the voice that was asked for, once for each band; none when the engine failed.
    pub fn embedded(&mut self, tag: u64, voices: Vec<Voice>, now: Timestamp) {
        if self.verification.awaits(tag) {
            let mut judgement = self.judge(&voices);
            judgement.reasons.extend(self.suspected.then_some(Reason::SwappedStreams));
            self.verification.conclude(judgement, now);
            self.effects.push(Effect::ResultChanged);
        } else if self.enrollment.awaits(tag) {
            self.keep(voices);
        }
    }

    /// Takes the outcome of [`Effect::Store`].
    pub fn stored(&mut self, outcome: Result<Arc<Voiceprint>, String>, now: Timestamp) {
        let whose = self.storing.take();
        let voiceprint = match outcome {
            Ok(voiceprint) => voiceprint,
            Err(problem) => return self.enrollment.fail(problem, &mut self.effects),
        };
        self.enrollment.complete(voiceprint.version, &mut self.effects);
        // The same speech must not vouch for itself: only what comes after it may be verified.
        self.base = self.heard.frames;
        // Meanwhile the call may have got another speaker id, whose voiceprint this is not.
        if whose == self.claim && self.analysed {
            self.standing = Standing::Enrolled(voiceprint);
        }
        if self.status() == Status::Pending {
            self.verify_anew();
            self.progressed(self.heard, now);
        }
    }

    /// An agent asks for a voiceprint of this caller.
    ///
    /// # Errors
    /// [`AskError`] when there is no speaker id, no consent, an opt-out, or audio that cannot be judged.
    pub fn enroll(&mut self, consent: Option<Pii<String>>, now: Timestamp) -> Result<(), AskError> {
        if self.claim.is_none() {
            return Err(AskError::NoSpeakerId);
        }
        match self.standing {
            Standing::OptedOut => return Err(AskError::OptedOut),
            Standing::Unreadable => return Err(AskError::Conflict(UNREADABLE.to_owned())),
            _ => {}
        }
        if self.policy.consent_required && consent.is_none() {
            return Err(AskError::ConsentRequired);
        }
        if let Some(reason) = self.unfit() {
            return Err(AskError::Conflict(reason));
        }
        if self.ended {
            return Err(AskError::Conflict("the call has ended".to_owned()));
        }
        self.enrollment.begin(consent, self.base, &mut self.effects);
        self.progressed(self.heard, now);
        Ok(())
    }

    /// An agent asks for an answer: from the speech at hand, or with `start_new` from speech yet to come.
    pub fn evaluate(&mut self, start_new: bool, now: Timestamp) {
        if self.ended {
            return;
        }
        if start_new {
            self.base = self.heard.frames;
        }
        let enrolled = matches!(self.standing, Standing::Enrolled(_));
        let unanswered = matches!(self.status(), Status::NotEnrolled | Status::Inconclusive | Status::Error);
        if start_new || (enrolled && unanswered) {
            self.verify_anew();
            self.progressed(self.heard, now);
        }
    }

    /// The call ended. An embedding still under way is waited for; see [`Call::is_settled`].
    pub fn end(&mut self, now: Timestamp) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.enrollment.call_ended(self.heard.frames, &mut self.effects);
        self.conclude_at_the_end(now);
    }

    /// Whether the caller's audio is decoded.
    pub const fn is_analysed(&self) -> bool {
        self.analysed
    }

    /// Whether nothing is under way any more, so that an ended call may let go of its audio.
    pub fn is_settled(&self) -> bool {
        !self.verification.is_embedding() && !self.enrollment.is_embedding()
    }

    /// Takes the work that has come up, oldest first.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Where the verification stands.
    pub fn status(&self) -> Status {
        self.verification.judgement().status
    }

    /// Claimed identity.
    pub fn speaker(&self) -> Option<&SpeakerId> {
        self.claim.as_ref()
    }

    /// The verification and its answer.
    pub fn verification(&self) -> &Verification {
        &self.verification
    }

    /// The enrollment and how far it is.
    pub fn enrollment(&self) -> &Enrollment {
        &self.enrollment
    }

    /// Newest figures of the caller's stream.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// The policy the call is held to.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Net speech of the current evaluation, in frames; an answer keeps the figure it rests on.
    pub fn collected(&self) -> u64 {
        if self.status().is_final() {
            self.verification.judgement().frames
        } else {
            self.heard.frames.saturating_sub(self.base)
        }
    }

    /// Nothing more will be heard: an answer that waits for speech is given without it.
    fn conclude_at_the_end(&mut self, now: Timestamp) {
        if self.status() == Status::Pending && !self.verification.is_embedding() {
            let judgement = Judgement::without_enough_speech(&self.heard, self.collected());
            self.verification.conclude(judgement, now);
            self.effects.push(Effect::ResultChanged);
        }
    }

    /// The engine counts from zero again, and holds nothing of what was counted before.
    fn hear_anew(&mut self) {
        self.heard = Heard::default();
        self.base = 0;
        self.enrollment.collect_anew(&mut self.effects);
        if self.status() == Status::Pending {
            self.verify_anew();
        }
    }

    fn embed(&mut self, first: u64, frames: u64, enrollment: bool) -> u64 {
        self.last_tag += 1;
        let wide = matches!(&self.standing, Standing::Enrolled(voiceprint) if voiceprint.has_wideband());
        self.effects.push(Effect::Embed { tag: self.last_tag, first, frames, enrollment, wide });
        self.last_tag
    }

    /// Opens a new result: at once final, or pending until there is enough speech.
    fn verify_anew(&mut self) {
        // Speech older than one verification is not needed and may be gone from the ring.
        let newest = self.heard.frames.saturating_sub(self.policy.verification_frames);
        let first = self.base.max(newest);
        let judgement = match &self.standing {
            Standing::Unclaimed => Judgement::bare(Status::NotEnrolled, Some(Reason::NoSpeakerId)),
            Standing::NotEnrolled => Judgement::bare(Status::NotEnrolled, None),
            Standing::OptedOut => Judgement::bare(Status::OptedOut, None),
            Standing::Unreadable => Judgement::bare(Status::Error, Some(Reason::StoreFault)),
            Standing::Enrolled(voiceprint) => match self.obstacle_for(voiceprint) {
                Some(reason) => Judgement::bare(Status::Inconclusive, Some(reason)),
                None => Judgement::bare(Status::Pending, None),
            },
        };
        if judgement.status == Status::Pending {
            self.effects.push(Effect::WakeAt(first + self.policy.verification_frames));
        }
        self.verification.open(judgement, first);
        self.effects.push(Effect::ResultChanged);
    }

    /// Why no voiceprint may be made of the caller's audio, if so.
    fn unfit(&self) -> Option<String> {
        Some(format!("the caller's audio cannot be used: {}", self.obstacle?.as_str()))
    }

    fn obstacle_for(&self, voiceprint: &Voiceprint) -> Option<Reason> {
        let foreign = voiceprint.model_version != self.policy.model_version;
        self.obstacle.or(foreign.then_some(Reason::ModelMismatch))
    }

    fn judge(&self, voices: &[Voice]) -> Judgement {
        match &self.standing {
            Standing::Enrolled(voiceprint) if !voices.is_empty() => {
                Judgement::of(voiceprint, voices, &self.heard, self.policy.yardstick)
            }
            _ => Judgement::bare(Status::Error, Some(Reason::EngineFault)),
        }
    }

    fn keep(&mut self, voices: Vec<Voice>) {
        if let Some(problem) = self.unfit() {
            return self.enrollment.fail(problem, &mut self.effects);
        }
        match self.claim.clone() {
            Some(_) if voices.iter().any(|voice| voice.several) => {
                self.enrollment.fail(SEVERAL_VOICES.to_owned(), &mut self.effects);
            }
            Some(speaker) if !voices.is_empty() => {
                let consent = self.enrollment.storing();
                self.storing = Some(speaker.clone());
                let new = NewVoiceprint { speaker, voices, consent };
                self.effects.push(Effect::Store(Box::new(new)));
            }
            _ => self.enrollment.fail("the voice engine failed".to_owned(), &mut self.effects),
        }
    }
}

#[cfg(test)]
mod tests;
