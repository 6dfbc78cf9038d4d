//! The media of a tapped call: whose streams they are, and what of them can be heard.

use crate::config::Peer;
use crate::engine::codec::Foreign;
use crate::engine::{CallSlot, Engine, EngineError, StreamId, StreamRole};
use crate::pii::SpeakerId;
use crate::sip::message::Request;
use crate::sip::offer_answer::MediaPlan;
use crate::sip::siprec::{CallerChoice, ChosenBy, choose_caller};
use crate::tap::{CallId, Side, StreamKey, TappedLine};
use crate::verdict::Reason;
use crate::wire::rs_metadata::Recording;

/// A tapped call on the exchange.
#[derive(Debug)]
pub(super) struct TappedCall {
    pub(super) id: String,
    pub(super) streams: Vec<(StreamKey, StreamId)>,
}

/// The media of a tapped call.
#[derive(Debug)]
pub(in crate::exchange) struct TappedSession {
    pub(super) slot: CallSlot,
    pub(super) peer: Peer,
    pub(super) recording: Option<Recording>,
    pub(super) caller: Result<CallerChoice, Reason>,
    pub(super) decodable: bool,
    pub(super) foreign: Option<Foreign>,
    pub(super) encrypted: bool,
}

/// What is new of a call's media.
pub(super) struct MediaChange<'a> {
    pub(super) call: CallId,
    pub(super) lines: &'a [TappedLine],
    pub(super) request: Option<&'a Request>,
    pub(super) speaker: Option<&'a SpeakerId>,
}

impl TappedSession {
    /// The codec of a caller's line that offers none that we decode.
    pub(in crate::exchange) fn foreign(&self) -> Option<Foreign> {
        self.foreign
    }

    /// Why the caller's audio cannot be judged, if so.
    pub(super) fn obstacle(&self) -> Option<Reason> {
        let encrypted = self.encrypted.then_some(Reason::Encrypted);
        let undecodable = (!self.decodable).then_some(Reason::UnsupportedCodec);
        self.caller.as_ref().err().copied().or(encrypted).or(undecodable)
    }

    /// Tells the engine what was agreed, and whose streams they are.
    pub(super) fn apply(
        &mut self,
        engine: &Engine,
        tapped: &mut TappedCall,
        change: &MediaChange<'_>,
    ) -> Result<(), EngineError> {
        let plans: Vec<MediaPlan> = change.lines.iter().map(|line| line.plan.clone()).collect();
        let earlier = self.caller.as_ref().ok();
        let is_recording = self.recording.is_some();
        self.caller = if is_recording {
            choose_caller(&self.peer.caller, &plans, self.recording.as_ref(), earlier)
        } else {
            Ok(plain_caller(&plans, earlier))
        };
        let caller = self.caller.as_ref().ok().map(|choice| choice.m_line);
        for line in change.lines {
            let is_caller = caller == Some(line.plan.m_line);
            if is_caller {
                self.decodable = line.plan.codec.is_some();
                self.foreign = line.plan.foreign;
                self.encrypted = line.encrypted;
            }
            // Of a plain call the first line is followed, both sides of it; of a recording session all lines, on which
            // its client alone sends.
            let sides: &[Side] = match (is_recording, is_caller) {
                (true, _) => &[Side::Caller],
                (false, true) => &[Side::Caller, Side::Callee],
                (false, false) => &[],
            };
            for &side in sides {
                let of_caller = is_caller && side == Side::Caller;
                let role = if of_caller { StreamRole::Caller } else { StreamRole::Other };
                let key = StreamKey { call: change.call, line: line.plan.m_line as u8, side };
                let stream = tapped.stream(engine, self.slot, key, role)?;
                engine.set_role(stream, role)?;
                // What is encrypted under a key that nobody told would decode to noise.
                let sending = line.plan.sending && !line.encrypted;
                let crypto = line.plan.crypto.clone().filter(|_| of_caller);
                engine.set_tapped(stream, line.plan.payloads.clone(), sending, crypto)?;
            }
        }
        Ok(())
    }
}

impl TappedCall {
    /// The engine's stream of a key: the one it has, or a new one.
    fn stream(
        &mut self,
        engine: &Engine,
        slot: CallSlot,
        key: StreamKey,
        role: StreamRole,
    ) -> Result<StreamId, EngineError> {
        if let Some((_, stream)) = self.streams.iter().find(|(known, _)| *known == key) {
            return Ok(*stream);
        }
        let stream = engine.open_tapped_stream(slot, role)?;
        self.streams.push((key, stream));
        Ok(stream)
    }
}

/// Of a plain call the caller's line is the first one; a hold takes nothing away from that.
fn plain_caller(plans: &[MediaPlan], earlier: Option<&CallerChoice>) -> CallerChoice {
    let m_line = earlier.map(|choice| choice.m_line).or(plans.first().map(|plan| plan.m_line)).unwrap_or(0);
    CallerChoice { m_line, participant: None, aor: None, by: ChosenBy::Earlier }
}
