//! Lives of a call: claims, speech, embeddings, requests of agents and changes of the store in any order.
//!
//! The scene plays the exchange, the voice engine and the store. Steps are letters (see `Scene::step`), each followed by
//! its arguments. What must hold after each of them stands in `Scene::watch`.

use crate::choices::Choices;
use jiff::Timestamp;
use std::sync::Arc;
use vouch::call::{Call, Effect, NewVoiceprint, Policy, Standing};
use vouch::decision::{Heard, Judgement, Voice, Voiceprint, Yardstick};
use vouch::pii::{Pii, SpeakerId};
use vouch::verdict::{Reason, Status};
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;
use vouch_dsp::score::Curves;
use vouch_dsp::sizes::EMBEDDING;

const THRESHOLD: f32 = 90.0;
const VERIFICATION: u64 = 100;
const ENROLLMENT: u64 = 300;
/// The version of a voiceprint names its speaker: so many versions each.
const VERSIONS: u32 = 1000;
/// From this version on, within those of a speaker, a voiceprint was made on this call.
const OWN: u32 = 500;

/// Plays a call to its end.
pub fn calls(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut scene = Scene::new(choices.number());
    scene.watch(b'^');
    while let Some(step) = choices.step() {
        scene.step(step, &mut choices);
        scene.watch(step);
    }
    scene.call.end(now());
    scene.ended = true;
    scene.watch(b'x');
    while !scene.jobs.is_empty() {
        scene.embedded(0);
        scene.watch(b'e');
    }
    assert!(scene.call.is_settled(), "an ended call keeps its slot for ever");
    assert!(scene.call.status().is_final(), "an ended call is pending for ever");
}

/// What the store holds of a speaker.
#[derive(Clone)]
enum Record {
    Nothing,
    OptedOut,
    Voiceprint(Arc<Voiceprint>),
}

/// A window of speech that an embedding is made of.
struct Job {
    tag: u64,
    first: u64,
    enrollment: bool,
    /// How often the audio had begun anew when it was asked for.
    era: u32,
}

struct Scene {
    call: Call,
    policy: Policy,
    records: [Record; 3],
    versions: u32,
    frames: u64,
    era: u32,
    analysed: bool,
    ended: bool,
    jobs: Vec<Job>,
    to_store: Vec<NewVoiceprint>,
    /// Where the speech ends that a voiceprint of this call was made of.
    enrolled_until: u64,
    heard_voice: bool,
    before: (u32, Judgement),
}

impl Scene {
    fn new(number: u8) -> Self {
        let policy = Policy {
            yardstick: Yardstick { threshold: THRESHOLD, curves: Curves::shipped() },
            verification_frames: VERIFICATION,
            enrollment_frames: ENROLLMENT,
            consent_required: number & 1 == 1,
            model_version: 1,
        };
        let records =
            [Record::Nothing, Record::OptedOut, Record::Voiceprint(Arc::new(print_of(2, 1, vec![voice(2)])))];
        let claimed = (number & 2 == 2).then(|| usize::from(number >> 2) % 3);
        let claim = claimed.map(|who| (speaker(who), standing(&records[who])));
        let obstacle = (number & 64 == 64).then_some(Reason::MixedStream);
        let call = Call::new(policy, obstacle, claim);
        let before = (0, Judgement::bare(Status::Pending, None));
        Self {
            call,
            policy,
            records,
            versions: 1,
            frames: 0,
            era: 0,
            analysed: true,
            ended: false,
            jobs: Vec::new(),
            to_store: Vec::new(),
            enrolled_until: 0,
            heard_voice: false,
            before,
        }
    }

    fn step(&mut self, step: u8, choices: &mut Choices<'_>) {
        match step {
            b'c' if !self.ended => {
                let who = usize::from(choices.number()) % 3;
                self.call.claim(speaker(who), standing(&self.records[who]), now());
            }
            b'r' if !self.ended => {
                let who = usize::from(choices.number()) % 4;
                let claim = (who < 3).then(|| (speaker(who), standing(&self.records[who])));
                self.call.replace_caller(claim, now());
            }
            b'w' => self.call.suspect(choices.number() & 1 == 1),
            b'o' => self.change(choices, |_| Record::OptedOut),
            b'd' => self.change(choices, |_| Record::Nothing),
            b'g' => self.enrolled_elsewhere(choices),
            b'u' => self.unreadable(),
            b'n' => {
                let consent = (choices.number() & 1 == 1).then(|| Pii::new("form".to_owned()));
                // Refused where it must not be; what was allowed is watched.
                let _ = self.call.enroll(consent, now());
            }
            b'v' => self.call.evaluate(choices.number() & 1 == 1, now()),
            b'p' if !self.ended => self.speak(choices.byte()),
            b'a' if !self.ended => self.begin_anew(),
            b'b' if !self.ended => {
                let obstacle = (choices.number() & 1 == 1).then_some(Reason::CallerUnknown);
                self.call.set_obstacle(obstacle, now());
            }
            b'e' => self.embedded(choices.number()),
            b's' => self.stored(choices.number()),
            b't' => self.call.embedded(choices.byte().into(), Vec::new(), now()),
            b'f' => self.call.failed(now()),
            b'x' => {
                self.call.end(now());
                self.ended = true;
            }
            _ => {}
        }
    }

    /// The store changes, and the call is told where it is about its speaker.
    fn change(&mut self, choices: &mut Choices<'_>, record: impl FnOnce(usize) -> Record) {
        let who = usize::from(choices.number()) % 3;
        self.records[who] = record(who);
        if self.call.speaker() == Some(&speaker(who)) {
            self.call.set_standing(standing(&self.records[who]), now());
        }
    }

    fn enrolled_elsewhere(&mut self, choices: &mut Choices<'_>) {
        self.versions += 1;
        let version = 1 + self.versions % 400;
        self.change(choices, |who| {
            Record::Voiceprint(Arc::new(print_of(who, version, vec![voice([0, 2, 2][who])])))
        });
    }

    fn unreadable(&mut self) {
        if self.call.speaker().is_some() {
            self.call.set_standing(Standing::Unreadable, now());
        }
    }

    fn speak(&mut self, frames: u8) {
        if self.analysed {
            self.frames += u64::from(frames);
        }
        self.tell_progress();
    }

    /// The caller's stream or its codec's band changed: the engine counts from zero again.
    fn begin_anew(&mut self) {
        self.frames = 0;
        self.era += 1;
        self.enrolled_until = 0;
        self.tell_progress();
    }

    fn tell_progress(&mut self) {
        let heard = Heard { frames: self.frames, packets: self.frames, ..Heard::default() };
        self.call.progressed(heard, now());
    }

    /// The engine has done the oldest job.
    fn embedded(&mut self, number: u8) {
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs.remove(0);
        let gone = job.era != self.era || number & 3 == 3;
        let voices: Vec<Voice> = (!gone).then(|| voice(usize::from(number & 3))).into_iter().collect();
        self.heard_voice = !voices.is_empty();
        let was_pending = self.call.status() == Status::Pending;
        self.call.embedded(job.tag, voices, now());
        if !job.enrollment && was_pending && self.call.status() != Status::Pending {
            let version = self.call.verification().judgement().voiceprint_version;
            if self.call.status() == Status::Authenticated && version.is_some_and(|it| it % VERSIONS >= OWN) {
                assert!(job.first >= self.enrolled_until, "speech vouches for itself");
            }
        }
    }

    /// The store has done what was asked first, as the exchange does it: the calls of that speaker hear of it, but not
    /// this one, which gets the outcome.
    fn stored(&mut self, number: u8) {
        if self.to_store.is_empty() {
            return;
        }
        let new = self.to_store.remove(0);
        let Some(who) = (0..3).find(|who| speaker(*who) == new.speaker) else {
            panic!("a speaker of nobody")
        };
        let outcome = match (number & 1, &self.records[who]) {
            (1, _) => Err("the disk is full".to_owned()),
            (_, Record::OptedOut) => Err("opted out".to_owned()),
            _ => {
                self.versions += 1;
                let print = Arc::new(print_of(who, OWN + self.versions % 400, new.voices));
                self.records[who] = Record::Voiceprint(Arc::clone(&print));
                Ok(print)
            }
        };
        if outcome.is_ok() {
            self.enrolled_until = self.frames;
        }
        self.call.stored(outcome, now());
    }

    fn watch(&mut self, step: u8) {
        let mut told = false;
        loop {
            let effects = self.call.take_effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                told |= matches!(effect, Effect::ResultChanged);
                self.carry_out(effect);
            }
        }
        let opted_out = self.speaker_index().is_some_and(|who| matches!(self.records[who], Record::OptedOut));
        if opted_out {
            let status = self.call.status();
            assert!(matches!(status, Status::OptedOut | Status::Error), "an opt-out is not obeyed: {status}");
            assert!(!self.analysed, "an opted-out caller is analysed");
        }
        self.watch_result(step, told);
    }

    fn watch_result(&mut self, step: u8, told: bool) {
        let verification = self.call.verification();
        let now = (verification.number(), verification.judgement().clone());
        let (before, judgement) = (&self.before, &now.1);
        assert!(now.0 >= before.0, "result numbers go back");
        if now != *before {
            assert!(told, "a result changed and nobody was told");
            assert!(now.0 > before.0 || before.1.status == Status::Pending, "a final answer changed");
        }
        if judgement.status == Status::Authenticated {
            let score = judgement.comparison.as_ref().map(|figures| figures.score);
            assert!(score.is_some_and(|score| score >= THRESHOLD), "authenticated at {score:?}");
            let owner = judgement.voiceprint_version.map(|version| version / VERSIONS);
            assert_eq!(
                owner.map(|owner| owner as usize),
                self.speaker_index(),
                "another speaker's voiceprint"
            );
            let new = now.0 > before.0 || before.1.status != Status::Authenticated;
            assert!(!new || (step == b'e' && self.heard_voice), "authenticated without a voice");
        }
        let counted = self.call.collected();
        assert!(
            counted <= self.frames.max(judgement.frames),
            "{counted} frames of speech in {}",
            self.frames
        );
        self.before = now;
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Analyse(analysed) => {
                if self.analysed && !analysed {
                    self.begin_era();
                }
                self.analysed = analysed;
            }
            Effect::Embed { tag, first, frames, enrollment, .. } => {
                assert!(self.analysed, "an embedding of somebody who is not analysed");
                assert!(first + frames <= self.frames, "an embedding of speech that nobody heard");
                assert_eq!(frames, if enrollment { ENROLLMENT } else { VERIFICATION });
                self.jobs.push(Job { tag, first, enrollment, era: self.era });
            }
            Effect::Store(new) => {
                assert!(!self.policy.consent_required || new.consent.is_some(), "stored without consent");
                assert_eq!(self.call.speaker(), Some(&new.speaker), "stored under another name");
                self.to_store.push(*new);
            }
            Effect::WakeAt(_) | Effect::ResultChanged | Effect::EnrollmentChanged => {}
        }
    }

    /// The engine forgot what it held.
    fn begin_era(&mut self) {
        (self.frames, self.enrolled_until) = (0, 0);
        self.era += 1;
    }

    fn speaker_index(&self) -> Option<usize> {
        let claim = self.call.speaker()?;
        (0..3).find(|who| speaker(*who) == *claim)
    }
}

fn standing(record: &Record) -> Standing {
    match record {
        Record::Nothing => Standing::NotEnrolled,
        Record::OptedOut => Standing::OptedOut,
        Record::Voiceprint(print) => Standing::Enrolled(Arc::clone(print)),
    }
}

fn speaker(who: usize) -> SpeakerId {
    match SpeakerId::new(["1001", "1002", "1003"][who]) {
        Ok(speaker) => speaker,
        Err(error) => panic!("{error}"),
    }
}

fn print_of(who: usize, version: u32, voices: Vec<Voice>) -> Voiceprint {
    Voiceprint { version: who as u32 * VERSIONS + version, model_version: 1, voices }
}

/// Voices as far apart as embeddings can be; number 1 is none at all.
fn voice(number: usize) -> Voice {
    let mut values = [0; EMBEDDING];
    if number != 1 {
        values[number] = i16::MAX;
    }
    Voice {
        embedding: Pii::new(Embedding(values)),
        band: Band::Narrow,
        net_speech_ms: 10_000,
        several: false,
    }
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}
