//! A desk that answers from a script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use vouch::api::desk::{Ask, Desk};
use vouch::ask::AskError;
use vouch::audio::Recording;
use vouch::events::{EventHub, Subscription};
use vouch::pii::SpeakerId;
use vouch::verdict::{Fraud, QualityReport, Status, Verdict};
use vouch::view::{
    CallView, CaptureState, CaptureView, EnrollmentState, EnrollmentView, Event, Source, SpeakerView,
    StatusView,
};

/// Events that the script's history holds.
pub(crate) const HISTORY: usize = 8;

/// A call of this id is never answered for.
pub(crate) const STUCK: &str = "stuck";
/// A call of this id makes the desk panic.
pub(crate) const BROKEN: &str = "broken";

/// What the desk knows, and what it was asked.
pub(crate) struct Script {
    pub(crate) hub: EventHub,
    pub(crate) calls: Mutex<BTreeMap<String, CallView>>,
    pub(crate) speakers: Mutex<BTreeMap<String, SpeakerView>>,
    pub(crate) asked: Mutex<Vec<String>>,
    /// Answer to every change, unless it is `None`.
    pub(crate) refusal: Mutex<Option<AskError>>,
}

impl Script {
    /// One call `c1`, pending, of speaker `anna`, who is enrolled.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            hub: EventHub::new(HISTORY, 1),
            calls: Mutex::new(BTreeMap::from([("c1".to_owned(), call("c1"))])),
            speakers: Mutex::new(BTreeMap::from([("anna".to_owned(), speaker("anna", "enrolled"))])),
            asked: Mutex::default(),
            refusal: Mutex::default(),
        })
    }

    /// Publishes call `id` as it is now.
    pub(crate) fn publish(&self, kind: &str, id: &str) {
        let call = self.calls.lock().unwrap().get(id).cloned();
        let time = "2026-11-23T22:00:00Z".to_owned();
        self.hub.publish(Event { id: 0, kind: kind.to_owned(), time, call, speaker: None, warning: None });
    }

    /// A call of this id begins.
    pub(crate) fn arrive(&self, id: &str) {
        self.calls.lock().unwrap().insert(id.to_owned(), call(id));
        self.publish("call-started", id);
    }

    /// Changes call `id` and publishes it.
    pub(crate) fn change(&self, kind: &str, id: &str, change: impl FnOnce(&mut CallView)) {
        change(self.calls.lock().unwrap().get_mut(id).unwrap());
        self.publish(kind, id);
    }

    pub(crate) fn was_asked(&self, what: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == what)
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }

    fn find(&self, call: &str) -> Result<CallView, AskError> {
        assert_ne!(call, BROKEN, "as scripted");
        self.calls.lock().unwrap().get(call).cloned().ok_or(AskError::NoSuchCall)
    }

    fn change_allowed(&self) -> Result<(), AskError> {
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn find_speaker(&self, id: &SpeakerId) -> Result<SpeakerView, AskError> {
        self.speakers.lock().unwrap().get(id.reveal()).cloned().ok_or(AskError::NoSuchSpeaker)
    }

    fn set_status(&self, id: &SpeakerId, status: &str) -> Result<SpeakerView, AskError> {
        self.change_allowed()?;
        let view = speaker(id.reveal(), status);
        self.speakers.lock().unwrap().insert(view.id.clone(), view.clone());
        Ok(view)
    }
}

pub(crate) fn call(id: &str) -> CallView {
    CallView {
        id: id.to_owned(),
        sip_call_id: Some(format!("{id}@gateway/7")),
        source: Source::MediaLeg,
        peer: "192.0.2.7:5060".into(),
        started: "2026-11-23T22:00:00Z".into(),
        ended: None,
        speaker_id: Some("anna".into()),
        codec: Some("PCMU".into()),
        net_speech_s: 4.25,
        result: verdict(),
        enrollment: enrollment(EnrollmentState::None),
    }
}

fn verdict() -> Verdict {
    Verdict {
        status: Status::Pending,
        score: None,
        threshold: 90.0,
        llr: None,
        far_at_score: None,
        result_id: "r1".into(),
        net_speech_s: 4.25,
        speaker_id: Some("anna".into()),
        audio_from: None,
        audio_to: None,
        reasons: Vec::new(),
        quality: QualityReport::default(),
        voiceprint_version: Some(3),
        fraud: Fraud { risk: "none".into(), indicators: Vec::new() },
    }
}

fn enrollment(state: EnrollmentState) -> EnrollmentView {
    EnrollmentView { state, net_speech_s: 4.25, needed_s: 30.0, voiceprint_version: None, problem: None }
}

pub(crate) fn speaker(id: &str, status: &str) -> SpeakerView {
    SpeakerView {
        id: id.to_owned(),
        status: status.to_owned(),
        voiceprint_version: Some(3),
        model_version: Some(1),
        enrolled_at: Some("2026-11-20T08:00:00Z".into()),
        net_speech_s: Some(31.5),
        opted_out_at: None,
        consent: Some("form 12".into()),
    }
}

pub(crate) fn capture(name: &str) -> CaptureView {
    CaptureView {
        name: name.to_owned(),
        device: "hw:1,0".into(),
        channel: 1,
        state: CaptureState::Absent,
        fault: Some("cannot be opened: No such device".into()),
        overruns: 2,
        lost_ms: 1_300,
        ..CaptureView::default()
    }
}

/// An answer that is there already.
fn now<T: Send + 'static>(answer: Result<T, AskError>) -> Ask<'static, T> {
    Box::pin(std::future::ready(answer))
}

impl Desk for Script {
    fn status(&self) -> Ask<'_, StatusView> {
        now(Ok(StatusView {
            version: "1.2.3".into(),
            uptime_s: 3_700,
            calls: 1,
            max_calls: 100,
            speakers: 1,
            model_version: 1,
            kernel: "scalar".into(),
            codecs: vec!["PCMU".into(), "PCMA".into()],
            calibration: "shipped".into(),
            listeners: vec!["udp:127.0.0.1:5060".into()],
            tap: Vec::new(),
            warnings: Vec::new(),
            captures: vec![capture("desk")],
            health: "ready".into(),
        }))
    }

    fn calls(&self) -> Ask<'_, Vec<CallView>> {
        now(Ok(self.calls.lock().unwrap().values().cloned().collect()))
    }

    fn call<'a>(&'a self, call: &'a str) -> Ask<'a, CallView> {
        self.note(format!("call {call}"));
        if call == STUCK { Box::pin(std::future::pending()) } else { now(self.find(call)) }
    }

    fn result<'a>(&'a self, call: &'a str) -> Ask<'a, Verdict> {
        let result = self.find(call).map(|view| view.result);
        self.note(format!("result {call}"));
        now(result)
    }

    fn set_speaker<'a>(&'a self, call: &'a str, speaker: SpeakerId) -> Ask<'a, CallView> {
        self.note(format!("set-speaker {call} {}", speaker.reveal()));
        now(self.change_allowed().and_then(|()| self.find(call)))
    }

    fn enroll<'a>(&'a self, call: &'a str, consent: Option<String>) -> Ask<'a, EnrollmentView> {
        self.note(format!("enroll {call} {consent:?}"));
        let found = self.change_allowed().and_then(|()| self.find(call));
        now(found.map(|_| enrollment(EnrollmentState::Collecting)))
    }

    fn evaluate<'a>(&'a self, call: &'a str, start_new: bool) -> Ask<'a, Verdict> {
        self.note(format!("evaluate {call} {start_new}"));
        now(self.change_allowed().and_then(|()| self.find(call)).map(|view| view.result))
    }

    fn captures(&self) -> Ask<'_, Vec<CaptureView>> {
        now(Ok(vec![capture("desk")]))
    }

    fn start_capture<'a>(&'a self, device: &'a str, speaker: Option<SpeakerId>) -> Ask<'a, CaptureView> {
        self.note(format!("start-capture {device} {:?}", speaker.as_ref().map(SpeakerId::reveal)));
        let found = if device == "desk" { Ok(()) } else { Err(AskError::NoSuchDevice) };
        let (state, call) = (CaptureState::InCall, Some("c2".to_owned()));
        now(found.and_then(|()| self.change_allowed()).map(|()| CaptureView {
            state,
            call,
            ..capture("desk")
        }))
    }

    fn stop_capture<'a>(&'a self, device: &'a str) -> Ask<'a, CaptureView> {
        self.note(format!("stop-capture {device}"));
        now(self.change_allowed().map(|()| capture(device)))
    }

    fn speakers(&self) -> Ask<'_, Vec<SpeakerView>> {
        now(Ok(self.speakers.lock().unwrap().values().cloned().collect()))
    }

    fn speaker(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView> {
        self.note(format!("speaker {}", speaker.reveal()));
        now(self.find_speaker(&speaker))
    }

    fn opt_out(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView> {
        now(self.set_status(&speaker, "opted-out"))
    }

    fn opt_in(&self, speaker: SpeakerId) -> Ask<'_, SpeakerView> {
        now(self.set_status(&speaker, "not-enrolled"))
    }

    fn delete(&self, speaker: SpeakerId) -> Ask<'_, ()> {
        let gone = self.speakers.lock().unwrap().remove(speaker.reveal());
        now(gone.map(|_| ()).ok_or(AskError::NoSuchSpeaker))
    }

    fn enroll_recordings(
        &self,
        speaker: SpeakerId,
        recordings: Vec<Recording>,
        consent: Option<String>,
    ) -> Ask<'_, SpeakerView> {
        let heard: Vec<(usize, u32)> = recordings.iter().map(|r| (r.pcm.len(), r.rate)).collect();
        self.note(format!("enroll-recordings {} {heard:?} {consent:?}", speaker.reveal()));
        now(self.set_status(&speaker, "enrolled"))
    }

    fn events(&self, last: Option<u64>) -> Subscription {
        self.note("events".to_owned());
        self.hub.subscribe(last)
    }
}
