//! Tapped calls: what the tap finds becomes calls like all others, except that nothing can be answered to them.

pub(super) mod session;

use super::Exchange;
use super::line::{Beginning, Line, Way};
use super::names::{Parties, call_names};
use super::session::metadata;
use crate::call::identity::CallNames;
use crate::call::{Call, Standing};
use crate::config::Peer;
use crate::pii::{Pii, SpeakerId};
use crate::sip::headers::HeaderChoice;
use crate::sip::message::Request;
use crate::sip::siprec::Bodies;
use crate::tap::{self, CallId, Event, Frame, StreamKey, Tap, TapCounts};
use crate::verdict::Reason;
use crate::view::{CallView, Source, TapView};
use crate::wire::rs_metadata::Recording;
use session::{MediaChange, TappedCall, TappedSession};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

/// A tap and the calls that the exchange has of it: one code for live interfaces and for replays.
#[derive(Debug)]
pub struct Wiretap {
    tap: Tap,
    desk: Desk,
}

/// Where the tap's events go.
#[derive(Debug)]
struct Desk {
    exchange: Exchange,
    /// Who calls, whatever the signalling says.
    speaker: Option<SpeakerId>,
    calls: HashMap<CallId, TappedCall>,
    refused: u64,
}

impl Wiretap {
    /// A tap whose calls go to `exchange`; `speaker` claims all of them, if given.
    pub fn new(exchange: Exchange, speaker: Option<SpeakerId>) -> Self {
        let limits = &exchange.0.config.limits;
        // More than can be analysed: calls that ring, fail, or are given up for want of a slot are followed too.
        let tap = Tap::new(4 * limits.max_calls as usize, limits.media_timeout);
        Self { tap, desk: Desk { exchange, speaker, calls: HashMap::new(), refused: 0 } }
    }

    /// Takes a frame, as it was on the wire at `frame.at`.
    pub fn take(&mut self, frame: &Frame<'_>) {
        let Self { tap, desk } = self;
        tap.take(frame, &mut |event| desk.event(event));
    }

    /// Gives up what has been waited for too long; to be called about once a second.
    pub fn tick(&mut self, at: Duration) {
        let Self { tap, desk } = self;
        tap.tick(at, &mut |event| desk.event(event));
        desk.tick();
    }

    /// Ends all calls: no more frames will come.
    pub fn finish(&mut self) {
        let Self { tap, desk } = self;
        tap.finish(&mut |event| desk.event(event));
    }

    /// What became of the frames.
    pub fn counts(&self) -> TapCounts {
        let mut counts = self.tap.counts();
        counts.refused += self.desk.refused;
        counts
    }
}

impl Desk {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Packet { stream, bytes } => self.packet(stream, bytes),
            Event::Began { call, invite, from } => {
                match self.exchange.overheard(invite, from, self.speaker.as_ref()) {
                    Some(id) => _ = self.calls.insert(call, TappedCall { id, streams: Vec::new() }),
                    None => self.refused += 1,
                }
            }
            Event::Media { call, lines, request } => {
                if let Some(tapped) = self.calls.get_mut(&call) {
                    let change = MediaChange { call, lines, request, speaker: self.speaker.as_ref() };
                    self.exchange.overheard_media(tapped, &change);
                }
            }
            Event::Ended(call) => {
                if let Some(tapped) = self.calls.remove(&call) {
                    self.exchange.overheard_end(&tapped.id);
                }
            }
        }
    }

    fn packet(&mut self, stream: StreamKey, bytes: &[u8]) {
        let Some(call) = self.calls.get(&stream.call) else { return };
        if let Some((_, id)) = call.streams.iter().find(|(key, _)| *key == stream) {
            let Self { exchange, .. } = self;
            exchange.0.engine.hear(*id, bytes, exchange.0.clock.instant());
        }
    }

    /// Lets go of packets that wait for others which will not come.
    fn tick(&mut self) {
        let now = self.exchange.0.clock.instant();
        for (_, stream) in self.calls.values().filter_map(|call| call.streams.first()) {
            self.exchange.0.engine.tick(stream.slot(), now);
        }
    }
}

impl Exchange {
    /// Makes a call of an INVITE between others; gives its id, or nothing where there is no room.
    fn overheard(&self, invite: &Request, from: SocketAddr, speaker: Option<&SpeakerId>) -> Option<String> {
        let peer = self.tapped_peer(from);
        let Ok(slot) = self.0.engine.open_tapped_call(false) else {
            self.0.metrics.calls.refused.count("full");
            return None;
        };
        let recording = recording_of(invite);
        let names = tapped_names(self, &peer, invite, recording.as_ref());
        let session = TappedSession {
            slot,
            peer: peer.clone(),
            recording,
            caller: Err(Reason::CallerUnknown),
            decodable: true,
            foreign: None,
            encrypted: false,
        };
        // As for a call to us: an opt-out that comes now waits until the call is on the floor.
        let mut floor = self.floor();
        // Of a recording session it is known who calls when it is known which stream is the caller's.
        let claims = speaker.is_some() || session.recording.is_none();
        let claim = claims.then(|| self.tapped_claim(None, &peer, invite, speaker)).flatten();
        let beginning = Beginning {
            sip_call_id: Some(invite.call_id().to_owned()),
            names,
            parties: Parties::of_invite(invite),
            source: Source::Tap,
            address: Some(from.ip()),
            peer,
            slot,
            way: Way::Tapped(Box::new(session)),
        };
        // Media follows at once, with whatever stands in its way.
        let mut line = Line::new(beginning, Call::new(self.0.policy, None, claim), self.now());
        self.carry_out(&mut line);
        self.announce(&line);
        let id = line.id.clone();
        floor.add(line);
        Some(id)
    }

    fn overheard_media(&self, tapped: &mut TappedCall, change: &MediaChange<'_>) {
        let mut floor = self.floor();
        let Some(line) = floor.of_id(&tapped.id) else { return };
        let Way::Tapped(session) = &mut line.way else { return };
        if let Some(newer) = change.request.and_then(recording_of) {
            match &mut session.recording {
                Some(recording) => recording.update(newer),
                None => session.recording = Some(newer),
            }
        }
        let aor =
            |session: &TappedSession| session.caller.as_ref().ok().and_then(|choice| choice.aor.clone());
        let before = aor(session);
        if session.apply(&self.0.engine, tapped, change).is_err() {
            tracing::warn!(call = line.id, "the voice engine has no room for the call's streams");
            session.caller = Err(Reason::EngineFault);
        }
        let after = aor(session);
        line.call.set_obstacle(session.obstacle(), self.now());
        // Requests within a call need not repeat what the first one claimed; only somebody else in the caller's place
        // makes a new claim.
        let is_somebody_else = before.is_some() && after.is_some() && before != after;
        if let Some(request) = change.request
            && (is_somebody_else || line.call.speaker().is_none())
        {
            self.renew_claim(line, request, change.speaker);
        }
        self.carry_out(line);
    }

    fn overheard_end(&self, id: &str) {
        let mut floor = self.floor();
        if let Some(line) = floor.of_id(id) {
            if let Some(slot) = line.slot {
                // Nothing will come to let the last packets go.
                self.0.engine.tick(slot, self.0.clock.instant() + LAST_PACKETS);
            }
            self.end(line);
        }
        self.clear_away(&mut floor);
    }

    /// Somebody else may have taken the caller's place: then a new claim is judged by new speech.
    fn renew_claim(&self, line: &mut Line, request: &Request, speaker: Option<&SpeakerId>) {
        let Way::Tapped(session) = &line.way else { return };
        let aor = session.caller.as_ref().ok().and_then(|choice| choice.aor.clone());
        let peer = session.peer.clone();
        let Some((claimed, standing)) = self.tapped_claim(aor.as_ref(), &peer, request, speaker) else {
            return;
        };
        if line.call.speaker() != Some(&claimed) {
            let now = self.now();
            self.hear(line);
            line.call.evaluate(true, now);
            line.call.claim(claimed, standing, now);
        }
    }

    /// The gateway that a message came from, as configured; a stranger may claim nothing, and is told nothing either.
    fn tapped_peer(&self, from: SocketAddr) -> Peer {
        let known = self.0.config.peers.iter().find(|peer| peer.is_at(from.ip()));
        let stranger = || Peer {
            name: "tap".to_owned(),
            may_claim: false,
            headers: HeaderChoice::NONE,
            ..Peer::default()
        };
        known.cloned().unwrap_or_else(stranger)
    }

    fn tapped_claim(
        &self,
        caller_aor: Option<&Pii<String>>,
        peer: &Peer,
        request: &Request,
        speaker: Option<&SpeakerId>,
    ) -> Option<(SpeakerId, Standing)> {
        match speaker {
            Some(speaker) => Some((speaker.clone(), self.standing(speaker))),
            None => self.claim(caller_aor, peer, request),
        }
    }

    /// Takes what the voice engine has for calls; whether there was anything.
    pub(crate) fn attend_news(&self) -> bool {
        let news = std::iter::from_fn(|| self.0.engine.news());
        news.map(|slot| self.attend(slot)).count() > 0
    }

    /// Waits until the voice engine has nothing more to do. Only for a replay, whose clock stands still meanwhile.
    pub(crate) async fn settle(&self) {
        self.attend_news();
        while !self.floor().active().iter().all(|line| line.call.is_settled()) {
            let slot = self.0.engine.changed().await;
            self.attend(slot);
        }
    }

    /// Keeps what is known of the tapped interfaces, for the status and the metrics.
    pub(crate) fn note_tap(&self, interfaces: Vec<TapView>, counts: &TapCounts) {
        let dropped = interfaces.iter().map(|interface| interface.dropped).sum();
        self.0.metrics.tap.mirror(counts, dropped);
        *self.0.tap.lock().unwrap_or_else(PoisonError::into_inner) = interfaces;
    }

    /// Looks at every call, as the watch over the media does each second.
    pub(crate) fn look_round(&self) {
        self.go_round();
    }

    /// How many calls go on.
    pub(crate) fn in_progress(&self) -> u64 {
        self.floor().active().iter().filter(|line| line.ended.is_none()).count() as u64
    }

    /// The calls that ended since this was asked last, in the order of their ends; they are forgotten.
    pub(crate) fn take_ended(&self) -> Vec<CallView> {
        let mut floor = self.floor();
        self.clear_away(&mut floor);
        floor.take_ended().iter().map(Line::view).collect()
    }
}

/// Longer than the jitter buffer waits for anything.
const LAST_PACKETS: Duration = Duration::from_secs(1);

fn recording_of(request: &Request) -> Option<Recording> {
    let bodies = Bodies::find(request.content_type()?, &request.body).ok()?;
    bodies.metadata.and_then(metadata)
}

/// All names that a tapped call may be asked for by, that of a call whose place it takes included.
fn tapped_names(
    exchange: &Exchange,
    peer: &Peer,
    invite: &Request,
    recording: Option<&Recording>,
) -> CallNames {
    call_names(&exchange.0.reception.style(peer).prefix, peer, invite, recording).with(tap::replaced(invite))
}
