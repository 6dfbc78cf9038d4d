//! Between the calls and the voice engine: progress and embeddings come in, effects are carried out.

use super::Exchange;
use super::line::{Line, Way};
use super::people::{still_enrolled, voices};
use crate::ask::AskError;
use crate::call::{Effect, EnrollmentStep, NewVoiceprint};
use crate::capture::Captures;
use crate::decision::{Heard, Voice, Voiceprint};
use crate::engine::codec::{Codec, Foreign};
use crate::engine::{CallSlot, EmbedJob, EmbedOutcome, Progress};
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;
use vouch_dsp::sizes::FRAMES_PER_SECOND;

/// How often progress is told and old calls are forgotten.
const ROUND: Duration = Duration::from_secs(1);

impl Exchange {
    /// Watches the voice engine for as long as the daemon runs.
    pub async fn watch_media(self) {
        let mut round = tokio::time::interval(ROUND);
        loop {
            tokio::select! {
                slot = self.0.engine.changed() => self.attend(slot),
                _ = round.tick() => self.go_round(),
            }
        }
    }

    /// Takes what the engine has for a call.
    pub(super) fn attend(&self, slot: CallSlot) {
        let mut floor = self.floor();
        if let Some(line) = floor.of_slot(slot) {
            self.hear(line);
            self.carry_out(line);
        }
        self.clear_away(&mut floor);
    }

    /// Looks at every call: progress, silence, and what may be forgotten.
    pub(super) fn go_round(&self) {
        let mut floor = self.floor();
        for line in floor.active_mut() {
            self.hear(line);
            self.carry_out(line);
            self.tell_progress(line);
            self.hang_up_if_silent(line);
        }
        self.clear_away(&mut floor);
        let retention =
            SignedDuration::try_from(self.0.config.retention.calls).unwrap_or(SignedDuration::MAX);
        floor.forget_old(self.now(), retention);
        self.guard().forget_old(self.now());
        drop(floor);
        self.0.metrics.mirror(&self.0.engine.counters());
        self.0.metrics.capture.mirror(&self.with_captures(Captures::counts));
        self.0.metrics.store.speakers.set(self.0.store.count() as i64);
    }

    /// Brings a call what the engine has for it: finished embeddings first, then the newest figures.
    pub(super) fn hear(&self, line: &mut Line) {
        let Some(slot) = line.slot else { return };
        let now = self.now();
        while let Some(outcome) = self.0.engine.take_embedding(slot) {
            let voices = embedded(&outcome);
            self.watch_binding(line, outcome.job.tag, &voices);
            line.call.suspect(self.guard().suspects(line));
            line.call.embedded(outcome.job.tag, voices, now);
        }
        if let Some(progress) = self.0.engine.progress(slot) {
            line.codec = codec(line, &progress).or(line.codec);
            if progress.faulted {
                line.call.failed(now);
            } else if line.ended.is_none() {
                line.call.progressed(heard(&progress), now);
            }
        }
    }

    /// Does what a call wants done.
    pub(super) fn carry_out(&self, line: &mut Line) {
        loop {
            let effects = line.call.take_effects();
            if effects.is_empty() {
                return;
            }
            effects.into_iter().for_each(|effect| self.perform(line, effect));
        }
    }

    fn perform(&self, line: &mut Line, effect: Effect) {
        match effect {
            Effect::ResultChanged => self.tell_result(line),
            Effect::EnrollmentChanged => self.tell_enrollment(line),
            Effect::Store(new) => self.keep(line.id.clone(), *new),
            Effect::Analyse(analysed) => {
                let _ = line.slot.map(|slot| self.0.engine.set_analysed(slot, analysed));
            }
            Effect::WakeAt(frames) => {
                let _ = line.slot.map(|slot| self.0.engine.wake_at(slot, frames));
            }
            Effect::Embed { tag, first, frames, enrollment, wide } => {
                let job = EmbedJob { tag, first, frames, enrollment, wide };
                let asked = line.slot.map(|slot| self.0.engine.embed(slot, job));
                if let None | Some(Err(_)) = asked {
                    let error = asked.and_then(Result::err);
                    tracing::error!(
                        call = line.id,
                        error = error.map(tracing::field::display),
                        "no embedding"
                    );
                    line.call.embedded(tag, Vec::new(), self.now());
                }
            }
        }
    }

    /// Stores a voiceprint away from the floor, and brings the call the outcome.
    fn keep(&self, id: String, new: NewVoiceprint) {
        let exchange = self.clone();
        let speaker = new.speaker.clone();
        tokio::spawn(async move {
            let outcome: Result<Arc<Voiceprint>, AskError> = exchange.store(new, Some(&id)).await;
            let now = exchange.now();
            let mut floor = exchange.floor();
            // Asked anew under the lock, as for every call: the voiceprint may have been deleted since.
            let outcome = outcome.and_then(|_| still_enrolled(exchange.standing(&speaker)));
            if let Some(line) = floor.find_mut(&id) {
                line.call.stored(outcome.map_err(|error| error.to_string()), now);
                exchange.carry_out(line);
            }
        });
    }

    fn tell_result(&self, line: &mut Line) {
        let judgement = line.call.verification().judgement();
        tracing::info!(call = line.id, status = %judgement.status, "result");
        if judgement.status.is_final() {
            let metrics = &self.0.metrics.calls;
            metrics.answer(judgement.status, &judgement.reasons, judgement.frames as f32 / 100.0);
        }
        self.publish("result", Some(line.view()), None);
        self.send_result(line);
        self.tell_subscribers(line);
    }

    fn tell_enrollment(&self, line: &Line) {
        let enrollments = &self.0.metrics.calls.enrollments;
        match line.call.enrollment().step() {
            EnrollmentStep::Complete { version } => {
                enrollments.count("complete");
                tracing::info!(call = line.id, version, "enrolled");
            }
            EnrollmentStep::Failed { problem } => {
                enrollments.count("failed");
                tracing::warn!(call = line.id, problem, "enrollment failed");
            }
            _ => {}
        }
        self.publish("enrollment", Some(line.view()), None);
    }

    fn tell_progress(&self, line: &mut Line) {
        let seconds = line.call.heard().frames / FRAMES_PER_SECOND as u64;
        if seconds != line.told_s {
            line.told_s = seconds;
            self.publish("progress", Some(line.view()), None);
        }
    }

    fn hang_up_if_silent(&self, line: &mut Line) {
        let Some(progress) = line.slot.and_then(|slot| self.0.engine.progress(slot)) else { return };
        let silent = progress.last_packet.map_or_else(
            || self.now().duration_since(line.started).unsigned_abs(),
            |last| self.0.clock.instant().saturating_duration_since(last),
        );
        if line.ended.is_none() && silent > self.0.config.limits.media_timeout {
            tracing::warn!(call = line.id, "no packet for too long: the call is over");
            match line.way {
                Way::Answered { .. } => self.hang_up(line),
                Way::Tapped(_) | Way::Captured => self.end(line),
            }
        }
    }

    /// Gives back the slots of calls that are over.
    pub(super) fn clear_away(&self, floor: &mut super::floor::Floor) {
        self.dismiss_subscribers(floor);
        for slot in floor.put_settled_aside() {
            self.0.engine.close_call(slot);
        }
    }
}

fn heard(progress: &Progress) -> Heard {
    let decodable = progress.traffic.packets - progress.traffic.unheard.min(progress.traffic.packets);
    Heard {
        frames: progress.net_speech_frames,
        packets: decodable,
        undecodable: progress.traffic.unsupported,
        unauthentic: progress.traffic.unauthentic,
        quality: progress.quality,
    }
}

/// Name of the codec that the caller's stream uses: one that is not decoded where nothing else was agreed on.
fn codec(line: &Line, progress: &Progress) -> Option<&'static str> {
    let heard = progress.codec.map(Codec::name);
    let foreign = progress.foreign.map(Foreign::name);
    let agreed = match &line.way {
        Way::Answered { session, .. } => session.foreign(),
        Way::Tapped(session) => session.foreign(),
        Way::Captured => None,
    };
    agreed.map(Foreign::name).or(heard).or(foreign)
}

/// What was embedded of the caller's speech; nothing when the engine failed.
fn embedded(outcome: &EmbedOutcome) -> Vec<Voice> {
    match (u32::try_from(outcome.job.frames * 10), &outcome.result) {
        (Ok(net_speech_ms), Ok(made)) => voices(made, net_speech_ms),
        _ => Vec::new(),
    }
}
