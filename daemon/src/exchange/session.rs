//! The media session of a call: what was offered and answered, which stream is whose.

use crate::config::Peer;
use crate::engine::codec::Foreign;
use crate::engine::{CallSlot, Engine, EngineError, MediaSource, StreamId, StreamRole};
use crate::pii::Pii;
use crate::sip::agent::Reply;
use crate::sip::message::Request;
use crate::sip::offer_answer::{KeySeed, Leg, MediaPlan, Negotiation, Refusal, SrtpRule, Told};
use crate::sip::siprec::{Bodies, CallerChoice, CallerRule, Succession, choose_caller};
use crate::verdict::Reason;
use crate::wire::multipart::MultipartError;
use crate::wire::rs_metadata::Recording;
use crate::wire::sdp::{Description, SdpError};
use std::net::IpAddr;

/// Why a session is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Not called at the address where media legs are taken.
    #[error("no media leg is taken at this user part")]
    NotHere,
    /// A question to the verification service has the body of a recording session.
    #[error("a question cannot open a recording session")]
    RecordingInQuestion,
    /// The multipart body cannot be split.
    #[error("the body: {0}")]
    Multipart(#[from] MultipartError),
    /// The description cannot be read.
    #[error("the SDP: {0}")]
    Sdp(#[from] SdpError),
    /// A recording session without a description.
    #[error("a recording session needs an SDP offer")]
    NoOffer,
    /// Nothing offered can be heard.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The system gives no randomness for keys.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// No slot or no port is free.
    #[error("{0}")]
    Engine(#[from] EngineError),
}

impl Failure {
    /// Word for metrics and logs.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::NotHere => "not-here",
            Self::RecordingInQuestion => "recording-in-question",
            Self::Multipart(_) => "bad-multipart",
            Self::Sdp(_) => "bad-sdp",
            Self::NoOffer => "no-offer",
            Self::Refused(refusal) => refusal.word(),
            Self::NoRandomness => "no-randomness",
            Self::Engine(EngineError::PoolFull(_)) => "full",
            Self::Engine(_) => "no-port",
        }
    }

    /// The SIP answer that says so.
    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::NotHere => Reply::new(404),
            Self::RecordingInQuestion => Reply::new(403),
            Self::Refused(refusal) => Reply::new(Refusal::STATUS).header("Warning", &refusal.warning()),
            Self::Engine(_) | Self::NoRandomness => Reply::new(503).header("Retry-After", "5"),
            fault => Reply { reason: Some(format!("Bad Request ({fault})")), ..Reply::new(400) },
        }
    }
}

/// An INVITE, and what is known of the way it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    /// The INVITE.
    pub(super) request: &'a Request,
    /// The gateway, as configured.
    pub(super) peer: &'a Peer,
    /// Address that it spoke from.
    pub(super) from: IpAddr,
    /// Address of ours that media arrives at.
    pub(super) local: IpAddr,
    /// The same as the gateway is to see it.
    pub(super) advertised: IpAddr,
}

impl Arrival<'_> {
    /// Whether this is a recording session.
    pub(super) fn is_recording(&self) -> bool {
        bodies(self.request).is_ok_and(|bodies| leg(self.request, &bodies) == Leg::Siprec)
    }

    /// Whether it is addressed to `user`.
    pub(super) fn is_to(&self, user: &str) -> bool {
        is_user(self.request, user)
    }
}

/// One accepted line of media.
#[derive(Clone, Copy, Debug)]
struct Stream {
    m_line: usize,
    id: StreamId,
    port: u16,
}

/// The session of one dialog.
#[derive(Debug)]
pub(super) struct Session {
    slot: CallSlot,
    leg: Leg,
    told: Told,
    streams: Vec<Stream>,
    recording: Option<Recording>,
    /// The peer's rule.
    rule: CallerRule,
    /// What was agreed on last.
    plans: Vec<MediaPlan>,
    caller: Result<CallerChoice, Reason>,
    /// The caller who was known last: when nobody knows who calls now, it may be they again, and not just anybody.
    known: Option<CallerChoice>,
    /// Whether somebody else has become the caller since it was asked.
    replaced: bool,
    /// Whether the caller's line offers a codec that we decode.
    decodable: bool,
    /// The codec of a caller's line that offers none.
    foreign: Option<Foreign>,
    peer: IpAddr,
    srtp: SrtpRule,
}

impl Session {
    /// Opens the session that an INVITE offers, at `media_user` if that is set; gives the text of the answer.
    pub(super) fn open(
        engine: &Engine,
        arrival: &Arrival<'_>,
        media_user: Option<&str>,
    ) -> Result<(Self, String), Failure> {
        let request = arrival.request;
        let bodies = bodies(request)?;
        let leg = leg(request, &bodies);
        if leg == Leg::Plain && media_user.is_some_and(|user| !is_user(request, user)) {
            return Err(Failure::NotHere);
        }
        let seed = KeySeed::random().ok_or(Failure::NoRandomness)?;
        // Nothing is analysed until it is known that the caller did not opt out.
        let slot = engine.open_call(false)?;
        let mut session = Self {
            slot,
            leg,
            told: Told::new(session_id(), seed),
            streams: Vec::new(),
            recording: None,
            rule: arrival.peer.caller.clone(),
            plans: Vec::new(),
            caller: Err(Reason::CallerUnknown),
            known: None,
            replaced: false,
            decodable: true,
            foreign: None,
            peer: arrival.from,
            srtp: arrival.peer.srtp,
        };
        match session.negotiate(engine, &bodies, arrival) {
            Ok(answer) => Ok((session, answer)),
            Err(failure) => {
                engine.close_call(slot);
                Err(failure)
            }
        }
    }

    /// Applies a re-INVITE; gives the text of the answer. On failure what was agreed before goes on.
    pub(super) fn change(&mut self, engine: &Engine, arrival: &Arrival<'_>) -> Result<String, Failure> {
        self.peer = arrival.from;
        self.negotiate(engine, &bodies(arrival.request)?, arrival)
    }

    /// Applies an UPDATE (RFC 3311); gives the text of the answer where it brought an offer.
    pub(super) fn update(
        &mut self,
        engine: &Engine,
        arrival: &Arrival<'_>,
    ) -> Result<Option<String>, Failure> {
        let bodies = bodies(arrival.request)?;
        if bodies.sdp.is_some() {
            self.peer = arrival.from;
            return self.negotiate(engine, &bodies, arrival).map(Some);
        }
        self.learn(engine, bodies.metadata.and_then(metadata))?;
        Ok(None)
    }

    /// Applies the answer to an offer of ours, which came with the ACK.
    pub(super) fn answered(&mut self, engine: &Engine, sdp: &[u8]) -> Result<(), Failure> {
        let plans = self.told.accept(&Description::parse(sdp)?, self.srtp)?;
        self.apply(engine, plans)
    }

    /// The slot of the call.
    pub(super) fn slot(&self) -> CallSlot {
        self.slot
    }

    /// Whether this is a recording session.
    pub(super) fn is_recording(&self) -> bool {
        self.leg == Leg::Siprec
    }

    /// Why the caller's audio cannot be judged, if so.
    pub(super) fn obstacle(&self) -> Option<Reason> {
        let undecodable = (!self.decodable).then_some(Reason::UnsupportedCodec);
        self.caller.as_ref().err().copied().or(undecodable)
    }

    /// The codec of a caller's line that offers none that we decode.
    pub(super) fn foreign(&self) -> Option<Foreign> {
        self.foreign
    }

    /// Address of the caller in the metadata; that of the last one known where nobody knows who calls now.
    pub(super) fn caller_aor(&self) -> Option<&Pii<String>> {
        self.known.as_ref()?.aor.as_ref()
    }

    /// Whether somebody else has become the caller since this was asked.
    pub(super) fn take_replaced(&mut self) -> bool {
        std::mem::take(&mut self.replaced)
    }

    /// Metadata of a recording session.
    pub(super) fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    fn negotiate(
        &mut self,
        engine: &Engine,
        bodies: &Bodies<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<String, Failure> {
        let local = arrival.local;
        let newer = bodies.metadata.and_then(metadata);
        let Some(sdp) = bodies.sdp else {
            let offer = self.offer(engine, arrival)?;
            self.learn(engine, newer)?;
            return Ok(offer);
        };
        let offer = Description::parse(sdp)?;
        let negotiation = Negotiation::new(&offer, self.leg, self.srtp)?;
        let ports = negotiation.accepted().iter().map(|&m_line| self.port(engine, m_line, local));
        let ports: Vec<u16> = ports.collect::<Result<_, _>>()?;
        self.note(newer);
        let answer = negotiation.answer(arrival.advertised, &ports, &mut self.told);
        self.apply(engine, answer.plans)?;
        Ok(answer.sdp)
    }

    /// Takes over what metadata without a description says, and who calls by it (RFC 7866 section 9).
    fn learn(&mut self, engine: &Engine, newer: Option<Recording>) -> Result<(), Failure> {
        let is_new = newer.is_some() && self.leg == Leg::Siprec;
        self.note(newer);
        if is_new { self.choose(engine) } else { Ok(()) }
    }

    fn note(&mut self, newer: Option<Recording>) {
        match (&mut self.recording, newer) {
            (Some(recording), Some(newer)) => recording.update(newer),
            (none @ None, newer) => *none = newer,
            (Some(_), None) => {}
        }
    }

    /// Our own offer, for an INVITE without one.
    fn offer(&mut self, engine: &Engine, arrival: &Arrival<'_>) -> Result<String, Failure> {
        if self.leg == Leg::Siprec && self.streams.is_empty() {
            return Err(Failure::NoOffer);
        }
        let port = self.port(engine, 0, arrival.local)?;
        Ok(self.told.offer(arrival.advertised, port, self.srtp))
    }

    /// Port of a line: the one it has, or a new one.
    fn port(&mut self, engine: &Engine, m_line: usize, local: IpAddr) -> Result<u16, Failure> {
        if let Some(stream) = self.streams.iter().find(|stream| stream.m_line == m_line) {
            return Ok(stream.port);
        }
        let (id, port) = engine.open_stream(self.slot, local, StreamRole::Other)?;
        self.streams.push(Stream { m_line, id, port });
        Ok(port)
    }

    /// Tells the engine what was agreed, and whose streams they are.
    fn apply(&mut self, engine: &Engine, plans: Vec<MediaPlan>) -> Result<(), Failure> {
        self.plans = plans;
        self.choose(engine)?;
        for stream in &self.streams {
            let plan = self.plans.iter().find(|plan| plan.m_line == stream.m_line);
            engine.set_remote(stream.id, source(plan, self.peer))?;
        }
        Ok(())
    }

    /// Chooses the caller, and has the engine hear that stream.
    fn choose(&mut self, engine: &Engine) -> Result<(), Failure> {
        let (plans, known) = (&self.plans, self.known.as_ref());
        let chosen = match self.leg {
            Leg::Plain => plain_caller(plans, known),
            Leg::Siprec => choose_caller(&self.rule, plans, self.recording.as_ref(), known),
        };
        self.caller = match chosen {
            Ok(choice) => Ok(self.succeed(engine, choice)?),
            Err(reason) => Err(reason),
        };
        let caller = self.caller.as_ref().ok().map(|choice| choice.m_line);
        if let Some(plan) = self.plans.iter().find(|plan| Some(plan.m_line) == caller) {
            (self.decodable, self.foreign) = (plan.codec.is_some(), plan.foreign);
        }
        for stream in &self.streams {
            let role = if caller == Some(stream.m_line) { StreamRole::Caller } else { StreamRole::Other };
            engine.set_role(stream.id, role)?;
        }
        Ok(())
    }

    /// The caller who is known from now on. Of somebody else nothing is heard until their claim is known, and what was
    /// heard before is forgotten.
    fn succeed(&mut self, engine: &Engine, choice: CallerChoice) -> Result<CallerChoice, Failure> {
        let choice = match &self.known {
            Some(before) if before.followed_by(&choice) == Succession::Replaced => {
                engine.set_analysed(self.slot, false)?;
                self.replaced = true;
                choice
            }
            Some(before) => CallerChoice {
                participant: choice.participant.or_else(|| before.participant.clone()),
                aor: choice.aor.or_else(|| before.aor.clone()),
                ..choice
            },
            None => choice,
        };
        self.known = Some(choice.clone());
        Ok(choice)
    }
}

/// A plain leg carries the caller alone; a hold takes nothing away from that.
fn plain_caller(plans: &[MediaPlan], earlier: Option<&CallerChoice>) -> Result<CallerChoice, Reason> {
    use crate::sip::siprec::ChosenBy::Earlier;
    let m_line = plans.first().map(|plan| plan.m_line).or(earlier.map(|choice| choice.m_line)).unwrap_or(0);
    Ok(CallerChoice { m_line, participant: None, aor: None, by: Earlier })
}

/// Where a stream's packets come from; a line that is no longer agreed on sends nothing.
fn source(plan: Option<&MediaPlan>, peer: IpAddr) -> MediaSource {
    MediaSource {
        signalled: plan.and_then(|plan| plan.remote),
        peer,
        payloads: plan.map(|plan| plan.payloads.clone()).unwrap_or_default(),
        sending: plan.is_some_and(|plan| plan.sending),
        crypto: plan.and_then(|plan| plan.crypto.clone()),
    }
}

fn bodies(request: &Request) -> Result<Bodies<'_>, Failure> {
    match request.content_type() {
        Some(content_type) if !request.body.is_empty() => Ok(Bodies::find(content_type, &request.body)?),
        _ => Ok(Bodies::default()),
    }
}

/// Metadata that cannot be read is no reason to refuse a call: a rule of the peer may still name the caller's
/// stream, and otherwise the answer says that nobody knows it.
pub(super) fn metadata(bytes: &[u8]) -> Option<Recording> {
    match Recording::parse(bytes) {
        Ok(recording) => Some(recording),
        Err(error) => {
            tracing::warn!(%error, "recording metadata cannot be read");
            None
        }
    }
}

/// A recording session says so by its Require, or at least by what it brings.
fn leg(request: &Request, bodies: &Bodies<'_>) -> Leg {
    let says_so = request.headers.lists_token("Require", "siprec");
    if says_so || bodies.metadata.is_some() { Leg::Siprec } else { Leg::Plain }
}

fn is_user(request: &Request, user: &str) -> bool {
    request.uri.user().is_some_and(|found| found.reveal() == user)
}

/// A number that no other session of this daemon has (RFC 8866 section 5.2 suggests the time).
fn session_id() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |since| u64::try_from(since.as_micros()).unwrap_or(1))
}
