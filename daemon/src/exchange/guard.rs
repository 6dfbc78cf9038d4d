//! The guard against swapped bindings.
//!
//! A recording client that binds the two streams of its sessions the wrong way round has Vouch judge the agent in the
//! caller's place, and nothing in one call shows it. Over many calls it shows: one voice calls as many speakers. So the
//! guard compares the last voice of each speaker of a gateway with those of the other speakers, and speaks up when
//!
//! - one voice was heard in the calls of [`LEAST_SPEAKERS`] speakers, and
//! - at least half of the speakers share their voice with another one.
//!
//! Two people's speech passes for one voice at most once in 1,000 times ([`SAME_VOICE`]); where people resemble each other in sex,
//! accent and line, say once in 100. The chance that one of eight callers so resembles three others is then 8 x 35 x 0.01^3,
//! one in 3,500, and with more callers half of them must: with 16, eight pairs or more of 120. The agents of a gateway that is
//! bound the wrong way show among [`SPEAKERS`] speakers practically always where 30 take turns, and three times of four where
//! 60 do. Somebody who calls as several speakers,
//! a fraudster or a technician with test calls, has few calls beside those of everybody else.
//!
//! Only voices that verification or enrollment had embedded are looked at. They are kept in memory alone, one a speaker, for
//! [`KEPT_FOR`] at most, and until the speaker opts out or is deleted.

use super::Exchange;
use super::line::{Line, Way};
use crate::config::Peer;
use crate::decision::{self, Voice};
use crate::pii::SpeakerId;
use crate::sip::siprec::CallerRule;
use crate::view::{Event, GatewayWarning, Source};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use vouch_dsp::score::Curves;

/// Speakers of a gateway that are remembered: one bit of a `u64` each.
const SPEAKERS: usize = u64::BITS as usize;
/// Speakers that one voice must call as.
const LEAST_SPEAKERS: u32 = 4;
/// Two stretches of speech are one voice where at most this share of different people is as alike.
const SAME_VOICE: f32 = 0.001;
/// How long a voice is remembered.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Gateways and the voices of their callers.
#[derive(Debug, Default)]
pub(super) struct Guard(BTreeMap<(String, Source), Gateway>);

/// One way in of one gateway.
#[derive(Debug, Default)]
struct Gateway {
    voices: Voices,
    warning: Option<GatewayWarning>,
}

impl Guard {
    /// Takes the voice of a speaker's call; gives the warning that begins or ends with it.
    fn note(&mut self, peer: &Peer, source: Source, heard: Entry, curves: &Curves) -> Option<GatewayWarning> {
        let gateway = self.0.entry((peer.name.clone(), source)).or_default();
        let now = heard.at;
        gateway.voices.forget(|entry| now.duration_since(entry.at) > KEPT_FOR);
        gateway.voices.note(heard, curves);
        let figures = gateway.voices.figures();
        match &mut gateway.warning {
            None if figures.raise_suspicion() => {
                let warning = warning(peer, source, figures, now);
                gateway.warning = Some(warning.clone());
                Some(warning)
            }
            Some(_) if figures.allay_it() => {
                gateway.warning.take().map(|warning| GatewayWarning { standing: false, ..warning })
            }
            Some(warning) => {
                (warning.one_voice, warning.speakers) = (figures.one_voice, figures.speakers);
                None
            }
            None => None,
        }
    }

    /// Whether the caller's stream of this call seems to be the agent's.
    pub(super) fn suspects(&self, line: &Line) -> bool {
        let key = (line.peer.name.clone(), line.source);
        self.0.get(&key).is_some_and(|gateway| gateway.warning.is_some())
    }

    /// The gateways that look wrong.
    pub(super) fn warnings(&self) -> Vec<GatewayWarning> {
        self.0.values().filter_map(|gateway| gateway.warning.clone()).collect()
    }

    /// Forgets the voice of a speaker.
    pub(super) fn forget(&mut self, speaker: &SpeakerId) {
        self.0.values_mut().for_each(|gateway| gateway.voices.forget(|entry| entry.speaker == *speaker));
    }

    /// Forgets the voices that were heard too long ago. A warning stands until new calls show that it need not.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let is_old = |entry: &Entry| now.duration_since(entry.at) > KEPT_FOR;
        self.0.values_mut().for_each(|gateway| gateway.voices.forget(is_old));
    }
}

/// The voice of a speaker's last call.
#[derive(Debug)]
struct Entry {
    speaker: SpeakerId,
    voices: Vec<Voice>,
    at: Timestamp,
    /// Places of the other speakers with this voice, a bit each.
    alike: u64,
}

/// The last voice of each of the last [`SPEAKERS`] speakers.
#[derive(Debug, Default)]
struct Voices(Vec<Option<Entry>>);

/// What the voices of a gateway look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figures {
    /// Speakers remembered.
    speakers: u32,
    /// Of them, those who have their voice in common with another one.
    matched: u32,
    /// Of them, those who have the voice that most have.
    one_voice: u32,
}

impl Voices {
    /// Puts the voice in the place of the speaker's earlier one, in a free one, or in that of the oldest.
    fn note(&mut self, heard: Entry, curves: &Curves) {
        self.forget(|entry| entry.speaker == heard.speaker);
        let place = self.free_place();
        let bit = 1 << place;
        let mut alike = 0;
        for (other, entry) in self.0.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
            let comparison = decision::likeness(&entry.voices, &heard.voices, curves);
            if comparison.is_some_and(|figures| figures.far_at_score <= SAME_VOICE) {
                entry.alike |= bit;
                alike |= 1 << other;
            }
        }
        self.0[place] = Some(Entry { alike, ..heard });
    }

    /// A place that is free, or is made so.
    fn free_place(&mut self) -> usize {
        if self.0.len() < SPEAKERS {
            self.0.push(None);
        }
        let at = |place: &usize| self.0[*place].as_ref().map(|entry| entry.at);
        // `None`, a free place, is less than any time.
        let place = (0..self.0.len()).min_by_key(at).unwrap_or(0);
        self.clear(place);
        place
    }

    fn forget(&mut self, is_over: impl Fn(&Entry) -> bool) {
        for place in 0..self.0.len() {
            if self.0[place].as_ref().is_some_and(&is_over) {
                self.clear(place);
            }
        }
    }

    fn clear(&mut self, place: usize) {
        self.0[place] = None;
        self.0.iter_mut().flatten().for_each(|entry| entry.alike &= !(1 << place));
    }

    fn figures(&self) -> Figures {
        let entries = || self.0.iter().flatten();
        Figures {
            speakers: entries().count() as u32,
            matched: entries().filter(|entry| entry.alike != 0).count() as u32,
            one_voice: entries().map(|entry| 1 + entry.alike.count_ones()).max().unwrap_or(0),
        }
    }
}

impl Figures {
    fn raise_suspicion(self) -> bool {
        self.one_voice >= LEAST_SPEAKERS && 2 * self.matched >= self.speakers
    }

    /// Later than it was raised, so that it does not come and go.
    fn allay_it(self) -> bool {
        self.speakers >= LEAST_SPEAKERS
            && (self.one_voice < LEAST_SPEAKERS || 4 * self.matched < self.speakers)
    }
}

fn warning(peer: &Peer, source: Source, figures: Figures, now: Timestamp) -> GatewayWarning {
    GatewayWarning {
        peer: peer.name.clone(),
        source,
        standing: true,
        one_voice: figures.one_voice,
        speakers: figures.speakers,
        since: now.to_string(),
        remedy: remedy(peer, source),
    }
}

/// What to do about streams that are swapped.
fn remedy(peer: &Peer, source: Source) -> String {
    let setting = match (source, &peer.caller) {
        (Source::Siprec, CallerRule::Auto) => "caller = \"swapped\"",
        (Source::Siprec, CallerRule::Swapped) => "caller = \"auto\"",
        (Source::Siprec, CallerRule::First) => "caller = \"second\"",
        (Source::Siprec, CallerRule::Second) => "caller = \"first\"",
        (Source::Siprec, CallerRule::Label(_)) => "caller to the label of the other stream",
        _ => return "if it is the agent's, have the gateway send the caller's audio".to_owned(),
    };
    format!("if it is the agent's, set {setting} for this peer, and delete the voiceprints made on its calls")
}

impl Exchange {
    /// The guard. It stays whole when a panic interrupts it, so poison is no reason to stop.
    pub(super) fn guard(&self) -> MutexGuard<'_, Guard> {
        self.0.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the guard a voice that was embedded for a call. A tap takes the side that calls, and nothing is bound.
    pub(super) fn watch_binding(&self, line: &Line, tag: u64, voices: &[Voice]) {
        let is_bound = matches!(line.way, Way::Answered { .. });
        let is_good = !voices.is_empty() && !decision::is_too_poor(&line.call.heard().quality);
        let Some(speaker) = line.call.speaker() else { return };
        if !is_bound || !is_good || !line.call.awaits(tag) {
            return;
        }
        let (speaker, at) = (speaker.clone(), self.now());
        let heard = Entry { speaker, voices: voices.to_vec(), at, alike: 0 };
        let mut guard = self.guard();
        let news = guard.note(&line.peer, line.source, heard, self.0.policy.yardstick.curves);
        self.0.metrics.calls.swapped_gateways.set(guard.warnings().len() as i64);
        drop(guard);
        if let Some(warning) = news {
            self.warn(warning);
        }
    }

    fn warn(&self, warning: GatewayWarning) {
        let GatewayWarning { peer, standing, one_voice, speakers, remedy, .. } = &warning;
        if *standing {
            tracing::warn!(peer, one_voice, speakers, "one voice calls as several speakers: {remedy}");
        } else {
            tracing::info!(peer, "no longer one voice for several speakers");
        }
        let (kind, time) = ("warning".to_owned(), self.now().to_string());
        let warning = Some(warning);
        self.0.events.publish(Event { id: 0, kind, time, call: None, speaker: None, warning });
    }
}

#[cfg(test)]
mod tests;
