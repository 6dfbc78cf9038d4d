//! A line of the exchange: one call, what SIP says of it, and how it is shown.

use super::names::{Parties, new_id};
use super::session::Session;
use super::tapped::session::TappedSession;
use crate::call::identity::CallNames;
use crate::call::{Call, EnrollmentStep};
use crate::config::Peer;
use crate::decision::{self, Heard};
use crate::engine::CallSlot;
use crate::sip::dialog::DialogId;
use crate::verdict::{Fraud, QualityReport, Status, Verdict};
use crate::view::{CallView, EnrollmentState, EnrollmentView, Source};
use jiff::Timestamp;
use std::net::IpAddr;

/// Frames per second of net speech.
const FRAMES: f32 = vouch_dsp::sizes::FRAMES_PER_SECOND as f32;

/// What a call has with us.
#[derive(Debug)]
pub(super) enum Way {
    /// A dialog: we were called, and answered.
    Answered {
        /// The dialog.
        dialog: DialogId,
        /// Its media.
        session: Box<Session>,
    },
    /// Nothing: it is only overheard.
    Tapped(Box<TappedSession>),
    /// Nothing: a capture device hears it.
    Captured,
}

/// What a way in says of a call that begins; each field as in [`Line`].
pub(super) struct Beginning {
    pub(super) sip_call_id: Option<String>,
    pub(super) names: CallNames,
    pub(super) parties: Parties,
    pub(super) source: Source,
    pub(super) address: Option<IpAddr>,
    pub(super) peer: Peer,
    pub(super) slot: CallSlot,
    pub(super) way: Way,
}

/// One call on the exchange.
#[derive(Debug)]
pub(super) struct Line {
    /// Name on the socket.
    pub(super) id: String,
    /// Call-ID of the dialog with us, or of the dialog overheard.
    pub(super) sip_call_id: Option<String>,
    /// All names that a query may use for it.
    pub(super) names: CallNames,
    /// Who talks to whom, as its metadata says.
    pub(super) parties: Parties,
    /// How it came in.
    pub(super) source: Source,
    /// Address of the gateway, if it came from one.
    pub(super) address: Option<IpAddr>,
    /// The gateway, as configured, or what stands for it.
    pub(super) peer: Peer,
    /// Its dialog and its media.
    pub(super) way: Way,
    /// Its slot in the voice engine; given back when the call ended and is settled.
    pub(super) slot: Option<CallSlot>,
    /// The decision.
    pub(super) call: Call,
    /// Whether the gateway takes an INFO with the result.
    pub(super) takes_info: bool,
    /// Whether its INVITE was answered; only then anything can be pushed.
    pub(super) answered: bool,
    /// The answer that the gateway was told last.
    pub(super) told: Option<(Status, String)>,
    /// Codec of the caller's stream.
    pub(super) codec: Option<&'static str>,
    /// When it began.
    pub(super) started: Timestamp,
    /// When it ended.
    pub(super) ended: Option<Timestamp>,
    /// Whole seconds of net speech at the last progress event.
    pub(super) told_s: u64,
}

impl Line {
    /// A call that begins now, of which nobody was told yet.
    pub(super) fn new(beginning: Beginning, call: Call, now: Timestamp) -> Self {
        let Beginning { sip_call_id, names, parties, source, address, peer, slot, way } = beginning;
        Self {
            id: new_id(),
            sip_call_id,
            names,
            parties,
            source,
            address,
            peer,
            way,
            slot: Some(slot),
            call,
            takes_info: false,
            answered: false,
            told: None,
            codec: None,
            started: now,
            ended: None,
            told_s: 0,
        }
    }

    /// Its dialog with us, if it has one.
    pub(super) fn dialog(&self) -> Option<DialogId> {
        match self.way {
            Way::Answered { dialog, .. } => Some(dialog),
            Way::Tapped(_) | Way::Captured => None,
        }
    }

    /// The call as the socket shows it.
    pub(super) fn view(&self) -> CallView {
        CallView {
            id: self.id.clone(),
            sip_call_id: self.sip_call_id.clone(),
            source: self.source,
            peer: self.address.map_or_else(|| self.peer.name.clone(), |address| address.to_string()),
            started: self.started.to_string(),
            ended: self.ended.map(|time| time.to_string()),
            speaker_id: self.call.speaker().map(|speaker| speaker.reveal().to_owned()),
            codec: self.codec.map(str::to_owned),
            net_speech_s: self.call.heard().frames as f32 / FRAMES,
            result: self.verdict(),
            enrollment: self.enrollment(),
        }
    }

    /// The answer about its caller.
    pub(super) fn verdict(&self) -> Verdict {
        let verification = self.call.verification();
        let judgement = verification.judgement();
        let comparison = judgement.comparison;
        let (audio_from, audio_to) = verification.audio();
        Verdict {
            status: judgement.status,
            score: comparison.map(|figures| figures.score),
            threshold: self.call.policy().yardstick.threshold,
            llr: comparison.map(|figures| figures.llr),
            far_at_score: comparison.map(|figures| figures.far_at_score),
            result_id: format!("{}-{}", self.id, verification.number()),
            net_speech_s: self.call.collected() as f32 / FRAMES,
            speaker_id: self.call.speaker().map(|speaker| speaker.reveal().to_owned()),
            audio_from: audio_from.map(|time| time.to_string()),
            audio_to: audio_to.map(|time| time.to_string()),
            reasons: judgement.reasons.clone(),
            quality: quality(self.call.heard()),
            voiceprint_version: judgement.voiceprint_version,
            fraud: Fraud { risk: "none".to_owned(), indicators: Vec::new() },
        }
    }

    /// How far its enrollment is.
    pub(super) fn enrollment(&self) -> EnrollmentView {
        let enrollment = self.call.enrollment();
        let (state, voiceprint_version, problem) = match enrollment.step() {
            EnrollmentStep::Idle => (EnrollmentState::None, None, None),
            EnrollmentStep::Complete { version } => (EnrollmentState::Complete, Some(*version), None),
            EnrollmentStep::Failed { problem } => (EnrollmentState::Failed, None, Some(problem.clone())),
            _ => (EnrollmentState::Collecting, None, None),
        };
        EnrollmentView {
            state,
            net_speech_s: enrollment.collected(self.call.heard().frames) as f32 / FRAMES,
            needed_s: self.call.policy().enrollment_frames as f32 / FRAMES,
            voiceprint_version,
            problem,
        }
    }

    /// Whether the call ended and its last answer is there.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some() && self.call.is_settled()
    }

    /// Takes over what changed metadata says of the call.
    pub(super) fn learn(&mut self) {
        let Way::Answered { session, .. } = &self.way else { return };
        if let Some(recording) = session.recording() {
            self.names.learn(recording);
        }
        self.parties = Parties::of(session);
    }

    /// Whether `name` means this call: its name on the socket, its Call-ID, or that of the recorded call.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.id == name || self.names.matches(name)
    }
}

fn quality(heard: &Heard) -> QualityReport {
    let Heard { quality, unauthentic, .. } = heard;
    let spoken = quality.speech_ms > 0;
    QualityReport {
        snr_db: quality.snr_db.map(f32::from),
        loss: decision::loss(quality),
        clipping: f32::from(quality.clipped_permille) / 1000.0,
        level_dbfs: spoken.then(|| f32::from(quality.level_dbfs)),
        unauthentic: *unauthentic,
    }
}
