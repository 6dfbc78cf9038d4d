//! Questions of gateways about calls: which call is meant, and what is said of one that Vouch does not hear.
//!
//! A call is known by its Call-ID and by what its recording session says of it; see [`Question::seek`] for the
//! order. A question that fits several calls is told so: any of their answers might be about somebody else.

use super::Exchange;
use super::floor::Floor;
use super::names::Parties;
use super::session::{Arrival, Failure};
use crate::call::Standing;
use crate::call::identity::{CallNames, speaker_of_address};
use crate::pii::SpeakerId;
use crate::sip::agent::Reply;
use crate::sip::dialog::DialogId;
use crate::sip::flow::Flow;
use crate::sip::message::Request;
use crate::sip::verification::{Asked, ServiceAnswer, UnknownCall};
use crate::verdict::{Fraud, QualityReport, Reason, Status, Verdict};
use std::time::Duration;

/// What a question says of its call.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    /// Names of the call, the most telling first.
    names: Vec<String>,
    /// Who calls whom.
    parties: Option<(SpeakerId, SpeakerId)>,
}

/// A call that a question may mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    id: &'a str,
    names: &'a CallNames,
    parties: &'a Parties,
    ended: bool,
    age: Duration,
}

/// Which call a question means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// None that is known.
    None,
    /// The one with this id.
    One(String),
    /// Any of several.
    Several,
}

impl Question {
    /// The question that an INVITE asks; `named` is the value of `X-Voice-ID-Call`, where it is believed.
    fn of(invite: &Request, named: Option<&str>) -> Self {
        let session_id = invite.headers.get("Session-ID");
        let names = [Some(invite.call_id()), named, session_id].into_iter().flatten();
        let user = |header: &str| speaker_of_address(invite.headers.get(header)?, false);
        Self { names: names.map(str::to_owned).collect(), parties: user("From").zip(user("To")) }
    }

    /// A question by name.
    pub(super) fn named(name: &str) -> Self {
        Self { names: vec![name.to_owned()], parties: None }
    }

    /// The call that is meant: by its Call-ID, by `X-Voice-ID-Call`, by Session-ID (RFC 7989), or else by caller
    /// and callee of a call in progress that began at most `window` ago. The first of these that fits any call
    /// decides; calls in progress come before those that ended.
    pub(super) fn seek(&self, calls: &[Candidate<'_>], window: Duration) -> Found {
        for name in &self.names {
            let is_it = |call: &&Candidate<'_>| call.id == name || call.names.matches(name);
            match Found::among(calls.iter().filter(is_it)) {
                Found::None => {}
                found => return found,
            }
        }
        let Some((caller, callee)) = &self.parties else { return Found::None };
        Found::among(
            calls.iter().filter(|call| call.parties.are(caller, callee) && !call.ended && call.age <= window),
        )
    }
}

impl Found {
    fn among<'a>(calls: impl Iterator<Item = &'a Candidate<'a>>) -> Self {
        let (ended, live): (Vec<&Candidate<'_>>, Vec<_>) = calls.partition(|call| call.ended);
        match if live.is_empty() { ended.as_slice() } else { live.as_slice() } {
            [] => Self::None,
            [call] => Self::One(call.id.to_owned()),
            _ => Self::Several,
        }
    }
}

impl Exchange {
    /// Answers an INVITE that is a question, at once and finally.
    pub(super) fn asked(&self, dialog: DialogId, arrival: &Arrival<'_>, asked: &Asked) -> Reply {
        let peer = arrival.peer;
        let style = self.0.reception.style(peer);
        let named = style.prefix.call();
        // What a gateway passes on from outside names nothing.
        let named = arrival.request.headers.get(&named).filter(|_| peer.may_claim).map(str::trim);
        let question = Question::of(arrival.request, named);
        let (found, verdict) = self.answer(&mut self.floor(), &question, arrival);
        self.0.metrics.calls.questions.count(verdict.status.as_str());
        tracing::debug!(peer = peer.name, status = %verdict.status, "asked about a call");
        let status = peer.service.status(verdict.status);
        if peer.service.answer == ServiceAnswer::Accept && status < 300 {
            if arrival.is_recording() {
                return self.opened(Err(Failure::RecordingInQuestion), peer);
            }
            let about = (found != Found::None).then_some(&verdict);
            return self.opened(self.open(dialog, arrival, None, about), peer);
        }
        let mut reply = Reply::new(status);
        reply.headers = style.headers(&verdict);
        let in_contact = if peer.service.headers_in_contact { reply.headers.as_slice() } else { &[] };
        if status == 302
            && let Some(contact) = asked.contact(in_contact)
        {
            reply = reply.header("Contact", &contact);
        }
        reply
    }

    /// Answers an OPTIONS: a question about the call that it names or is within, or whether anybody is there.
    pub(super) fn polled(&self, request: &Request, dialog: Option<DialogId>, flow: Flow) -> Reply {
        let Some(peer) = self.0.config.peers.iter().find(|peer| peer.is_at(flow.remote.ip())) else {
            return Reply::new(403);
        };
        let arrival = self.arrival(request, flow, peer);
        let style = self.0.reception.style(peer);
        let mut floor = self.floor();
        let name = request.headers.get(&style.prefix.call()).map(|name| name.trim().to_owned());
        let within = dialog.and_then(|dialog| floor.of_dialog(dialog)).map(|line| line.id.clone());
        let Some(name) = name.or(within) else {
            return Reply::new(if dialog.is_some() { 481 } else { 200 });
        };
        let (found, verdict) = self.answer(&mut floor, &Question::named(&name), &arrival);
        let headers = style.headers(&verdict);
        match found {
            Found::None => Reply { headers, reason: Some("No Such Call".to_owned()), ..Reply::new(404) },
            _ => Reply { headers, ..Reply::new(200) },
        }
    }

    /// The answer to a question, and which call it is about.
    fn answer(&self, floor: &mut Floor, question: &Question, arrival: &Arrival<'_>) -> (Found, Verdict) {
        let found = self.seek(floor, question);
        let threshold = self.0.policy.yardstick.threshold;
        let line = match &found {
            Found::One(id) => floor.find_mut(id),
            _ => None,
        };
        let verdict = match line {
            Some(line) => {
                self.hear(line);
                self.carry_out(line);
                line.verdict()
            }
            None if found == Found::Several => {
                bare((Status::Inconclusive, Some(Reason::AmbiguousCall)), None, threshold)
            }
            None => {
                let (speaker, standing) = self
                    .claim(None, arrival.peer, arrival.request)
                    .map_or((None, None), |(id, standing)| (Some(id), Some(standing)));
                bare(unheard(arrival.peer.service.unknown, standing.as_ref()), speaker.as_ref(), threshold)
            }
        };
        (found, verdict)
    }

    /// The call that a question means.
    pub(super) fn seek(&self, floor: &Floor, question: &Question) -> Found {
        let now = self.now();
        let calls: Vec<Candidate<'_>> = floor
            .all()
            .map(|line| Candidate {
                id: &line.id,
                names: &line.names,
                parties: &line.parties,
                ended: line.ended.is_some(),
                age: now.duration_since(line.started).unsigned_abs(),
            })
            .collect();
        question.seek(&calls, self.0.config.sip.verify_window)
    }
}

/// What is said of a call that is not heard: before its recording begins, what the store says of the claimed
/// speaker is what the recording will say, too; a voiceprint alone says nothing about this caller.
fn unheard(rule: UnknownCall, standing: Option<&Standing>) -> (Status, Option<Reason>) {
    match (rule, standing) {
        (UnknownCall::Inconclusive, _) => (Status::Inconclusive, Some(Reason::UnknownCall)),
        (_, Some(Standing::OptedOut)) => (Status::OptedOut, None),
        (_, Some(Standing::NotEnrolled)) => (Status::NotEnrolled, None),
        (_, Some(Standing::Unreadable)) => (Status::Error, Some(Reason::StoreFault)),
        _ => (Status::Pending, None),
    }
}

/// An answer without a call.
fn bare((status, reason): (Status, Option<Reason>), speaker: Option<&SpeakerId>, threshold: f32) -> Verdict {
    Verdict {
        status,
        score: None,
        threshold,
        llr: None,
        far_at_score: None,
        result_id: String::new(),
        net_speech_s: 0.0,
        speaker_id: speaker.map(|speaker| speaker.reveal().to_owned()),
        audio_from: None,
        audio_to: None,
        reasons: reason.into_iter().collect(),
        quality: QualityReport::default(),
        voiceprint_version: None,
        fraud: Fraud::default(),
    }
}

#[cfg(test)]
mod tests;
