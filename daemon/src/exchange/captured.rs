//! Calls on capture devices: calls like all others, except that nothing can be answered to them.

use super::Exchange;
use super::line::{Beginning, Line, Way};
use super::names::Parties;
use crate::ask::AskError;
use crate::call::Call;
use crate::call::identity::CallNames;
use crate::capture::{Calls, Captures, Look};
use crate::clock::Clock;
use crate::config::{Alsa, Peer};
use crate::engine::{Capture, StreamId};
use crate::pii::SpeakerId;
use crate::sip::headers::HeaderChoice;
use crate::verdict::{Reason, Status};
use crate::view::{CaptureView, Source};
use std::sync::PoisonError;

/// The line of a capture device on the exchange: one call after the other.
#[derive(Debug)]
pub struct CaptureLine {
    exchange: Exchange,
    /// The device, as calls name where they come from.
    peer: Peer,
    /// Whose device it is.
    speaker: Option<SpeakerId>,
    call: Option<(String, StreamId)>,
}

impl CaptureLine {
    /// The line of a device, without a call.
    pub fn new(exchange: Exchange, device: &Alsa) -> Self {
        let peer = Peer {
            name: device.name.clone(),
            address: Vec::new(),
            may_claim: false,
            headers: HeaderChoice::NONE,
            ..Peer::default()
        };
        Self { exchange, peer, speaker: device.speaker.clone(), call: None }
    }
}

impl Calls for CaptureLine {
    fn may_listen(&self) -> bool {
        let standing = self.speaker.as_ref().map(|speaker| self.exchange.standing(speaker));
        standing.is_none_or(|standing| standing.may_be_analysed())
    }

    fn begin(&mut self, speaker: Option<SpeakerId>) -> Result<String, AskError> {
        let speaker = speaker.or_else(|| self.speaker.clone());
        let (id, stream) = self.exchange.captured(&self.peer, speaker)?;
        self.call = Some((id.clone(), stream));
        Ok(id)
    }

    fn hear(&mut self, capture: &Capture<'_>) {
        if let Some((_, stream)) = &self.call {
            self.exchange.0.engine.hear_capture(*stream, capture);
        }
    }

    fn look(&mut self) -> Option<Look> {
        let (id, stream) = self.call.as_ref()?;
        let mut floor = self.exchange.floor();
        let line = floor.of_id(id).filter(|line| line.ended.is_none())?;
        let analysed = line.call.is_analysed();
        let progress = self.exchange.0.engine.progress(stream.slot())?;
        Some(Look { speech: progress.net_speech_frames, analysed })
    }

    fn end(&mut self, gone: bool) {
        if let Some((id, _)) = self.call.take() {
            self.exchange.captured_end(&id, gone);
        }
    }
}

impl Exchange {
    /// Makes a call on a capture device; gives its id and the stream that its audio goes to.
    fn captured(&self, peer: &Peer, speaker: Option<SpeakerId>) -> Result<(String, StreamId), AskError> {
        let Ok((slot, stream)) = self.0.engine.open_captured_call(false) else {
            self.0.metrics.calls.refused.count("full");
            let most = self.0.config.limits.max_calls;
            return Err(AskError::Conflict(format!("all {most} calls (limits.max-calls) are in use")));
        };
        // As for a call to us: an opt-out that comes now waits until the call is on the floor.
        let mut floor = self.floor();
        let claim = speaker.map(|speaker| {
            let standing = self.standing(&speaker);
            (speaker, standing)
        });
        let beginning = Beginning {
            sip_call_id: None,
            names: CallNames::default(),
            parties: Parties::default(),
            source: Source::Alsa,
            address: None,
            peer: peer.clone(),
            slot,
            way: Way::Captured,
        };
        let mut line = Line::new(beginning, Call::new(self.0.policy, None, claim), self.now());
        self.carry_out(&mut line);
        self.announce(&line);
        let id = line.id.clone();
        floor.add(line);
        Ok((id, stream))
    }

    /// Ends a call on a capture device. Where that is gone, it is the reason for an answer that is still to come.
    fn captured_end(&self, id: &str, gone: bool) {
        let mut floor = self.floor();
        if let Some(line) = floor.of_id(id) {
            self.hear(line);
            if gone && line.call.status() == Status::Pending && line.call.is_settled() {
                line.call.set_obstacle(Some(Reason::DeviceGone), self.now());
            }
            self.end(line);
        }
        self.clear_away(&mut floor);
    }

    /// Connects the capture devices in place of those before; they count and are asked from now on.
    pub(crate) fn connect(&self, captures: Captures) {
        *self.0.captures.lock().unwrap_or_else(PoisonError::into_inner) = captures;
    }

    /// What time it is for the calls.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The capture devices.
    ///
    /// # Errors
    /// None today.
    pub async fn captures(&self) -> Result<Vec<CaptureView>, AskError> {
        Ok(self.with_captures(Captures::views))
    }

    /// Begins a call on a capture device, of `speaker` or of whose device it is.
    ///
    /// # Errors
    /// [`AskError::NoSuchDevice`], or [`AskError::Conflict`] says why there can be no call now.
    pub async fn start_capture(
        &self,
        device: &str,
        speaker: Option<SpeakerId>,
    ) -> Result<CaptureView, AskError> {
        self.with_captures(|captures| captures.ask_to_start(device, speaker))?.outcome().await
    }

    /// Ends the call on a capture device.
    ///
    /// # Errors
    /// [`AskError::NoSuchDevice`], or [`AskError::Conflict`] where there is no call.
    pub async fn stop_capture(&self, device: &str) -> Result<CaptureView, AskError> {
        self.with_captures(|captures| captures.ask_to_stop(device))?.outcome().await
    }

    pub(super) fn with_captures<T>(&self, with: impl FnOnce(&Captures) -> T) -> T {
        with(&self.0.captures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
