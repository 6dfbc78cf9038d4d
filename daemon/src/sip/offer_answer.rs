//! Offer and answer (RFC 3264), as one that only listens.
//!
//! A plain leg gets one codec. A recording session gets the whole offered payload list back, telephone-event
//! included: rtpengine hangs up on an answer that drops one. What we decode is moved to the front of it, so
//! that a client which could send either sends that. Hold shows in the direction alone, never in the version
//! of `o=`.

use crate::engine::codec::{Codec, Payload, PayloadMap};
use crate::wire::sdp::{Description, Format, Media, Transport, Written, WrittenMedia};
use std::net::{IpAddr, SocketAddr};

/// The codecs that an answer may choose; how they decode is known to [`crate::engine::codec`].
const DECODED: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];
/// RTP clock of all of them, and of the telephone-events beside them.
const CLOCK_HZ: u32 = 8000;

/// What kind of session is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// One party's audio: the first audio line that we decode.
    Plain,
    /// A recording session: every audio line.
    Siprec,
}

/// Why an offer is refused with 488.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No line of audio over RTP.
    #[error("the offer has no audio over RTP")]
    NoAudio,
    /// Audio, but of codecs that we do not decode.
    #[error("no offered codec is decoded here; offer PCMU or PCMA at 8000 Hz")]
    NoCodec,
    /// Only SRTP.
    #[error("SRTP is not supported; offer RTP/AVP")]
    Srtp,
}

impl Refusal {
    /// Status code of the response.
    pub const STATUS: u16 = 488;

    /// Value of the `Warning` header (RFC 3261 section 20.43).
    pub fn warning(self) -> String {
        let code = match self {
            Self::Srtp => 302,
            Self::NoAudio => 304,
            Self::NoCodec => 305,
        };
        format!("{code} vouch \"{self}\"")
    }
}

/// What a dialog has told the peer about its media; makes the `o=` line of the next answer.
#[derive(Clone, Debug)]
pub struct Told {
    session_id: u64,
    last: Option<Written>,
}

impl Told {
    /// Nothing told yet. `session_id` stays with the dialog; below 2^63, since peers read it as a signed
    /// number.
    pub const fn new(session_id: u64) -> Self {
        Self { session_id: session_id >> 1, last: None }
    }

    /// The description to send: its version grows where it says something new (RFC 3264 section 8).
    fn tell(&mut self, address: IpAddr, media: Vec<WrittenMedia>) -> String {
        let version = match &self.last {
            None => 1,
            Some(last) if last.address == address && last.media == media => last.version,
            Some(last) => last.version + 1,
        };
        self.last.insert(Written { session_id: self.session_id, version, address, media }).to_string()
    }

    /// An offer of ours, for an INVITE that came without one: what was told last, or one audio line on
    /// `port`.
    pub fn offer(&mut self, address: IpAddr, port: u16) -> String {
        match &self.last {
            Some(last) => last.to_string(),
            None => self.tell(address, vec![first_offer(port)]),
        }
    }

    /// Reads the answer to [`Told::offer`]: one plan for each line that is in use on both sides.
    ///
    /// # Errors
    /// [`Refusal::NoAudio`] when the answer leaves no line in use, and [`Refusal::NoCodec`] when none is
    /// decoded.
    pub fn accept(&self, answer: &Description) -> Result<Vec<MediaPlan>, Refusal> {
        let ours = self.last.iter().flat_map(|last| &last.media);
        let plans: Vec<_> = ours
            .zip(&answer.media)
            .enumerate()
            .filter(|(_, (ours, theirs))| ours.port != 0 && theirs.is_active_audio())
            .map(|(m_line, (ours, theirs))| MediaPlan::of(theirs, m_line, ours.port))
            .collect();
        if plans.is_empty() {
            return Err(Refusal::NoAudio);
        }
        if plans.iter().all(|plan| plan.codec.is_none()) { Err(Refusal::NoCodec) } else { Ok(plans) }
    }
}

/// What is agreed about one line of media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// Which `m=` line, from 0.
    pub m_line: usize,
    /// `a=label` of the line.
    pub label: Option<String>,
    /// Port on which we receive its RTP.
    pub local_port: u16,
    /// Where its RTP is expected from; `None` where the offer names no usable address (`0.0.0.0`, a host
    /// name).
    pub remote: Option<SocketAddr>,
    /// Where its RTCP is expected from.
    pub remote_rtcp: Option<SocketAddr>,
    /// What each payload type carries.
    pub payloads: PayloadMap,
    /// First codec of the line that we decode; `None` when it has none.
    pub codec: Option<Codec>,
    /// Payload type of telephone-events.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise.
    pub comfort_noise: Option<u8>,
    /// Packet time in milliseconds.
    pub ptime_ms: Option<u16>,
    /// Whether the peer sends; otherwise the line is on hold.
    pub sending: bool,
}

impl MediaPlan {
    /// What a description says of line `m_line`, whose RTP arrives at `local_port`.
    pub fn of(media: &Media, m_line: usize, local_port: u16) -> Self {
        let mut payloads = PayloadMap::default();
        for format in &media.payloads {
            payloads.set(format.number, meaning(format));
        }
        // Events of the audio's own clock before those of another (RFC 4733 section 2.1 wants the same
        // clock).
        let first = |wanted: Payload| {
            let found = media.payloads.iter().filter(|it| meaning(it) == wanted);
            found.min_by_key(|it| it.clock_rate != CLOCK_HZ).map(|it| it.number)
        };
        Self {
            m_line,
            label: media.label.clone(),
            local_port,
            remote: media.rtp_address(),
            remote_rtcp: media.rtcp_address(),
            payloads,
            codec: media.payloads.iter().find_map(decoded),
            telephone_event: first(Payload::TelephoneEvent),
            comfort_noise: first(Payload::ComfortNoise),
            ptime_ms: media.ptime_ms,
            sending: media.direction.sends(),
        }
    }
}

/// An answer, and what it means for the media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Text of the description.
    pub sdp: String,
    /// A plan for each line accepted, in the order of the offer.
    pub plans: Vec<MediaPlan>,
}

/// An offer that can be answered.
#[derive(Clone, Debug)]
pub struct Negotiation<'a> {
    offer: &'a Description,
    leg: Leg,
    accepted: Vec<usize>,
}

impl<'a> Negotiation<'a> {
    /// Decides which lines of an offer to accept.
    ///
    /// A recording session may offer no audio yet, and a leg may take its audio away; both are answered
    /// without a plan.
    ///
    /// # Errors
    /// [`Refusal`] when nothing offered can be heard.
    pub fn new(offer: &'a Description, leg: Leg) -> Result<Self, Refusal> {
        let is_decoded = |line: &usize| offer.media[*line].payloads.iter().any(|it| decoded(it).is_some());
        let audio = || offer.media.iter().enumerate().filter(|(_, media)| media.is_active_audio());
        let over =
            |wanted| audio().filter(move |(_, media)| media.transport() == wanted).map(|(line, _)| line);
        let mut accepted: Vec<usize> = over(Transport::Rtp).collect();
        let any_decoded = accepted.iter().any(is_decoded);
        if leg == Leg::Plain {
            accepted.retain(is_decoded);
            accepted.truncate(1);
        }
        if any_decoded {
            return Ok(Self { offer, leg, accepted });
        }
        let no_audio_is_fine = leg == Leg::Siprec || offer.media.iter().any(|media| media.kind == "audio");
        match audio().next() {
            None if no_audio_is_fine => Ok(Self { offer, leg, accepted }),
            None => Err(Refusal::NoAudio),
            Some(_) if over(Transport::Rtp).next().is_some() => Err(Refusal::NoCodec),
            Some(_) if over(Transport::Srtp).next().is_some() => Err(Refusal::Srtp),
            Some(_) => Err(Refusal::NoAudio),
        }
    }

    /// The `m=` lines that want a port each.
    pub fn accepted(&self) -> &[usize] {
        &self.accepted
    }

    /// Writes the answer. `ports` belong to [`Negotiation::accepted`] in its order; lines that are left
    /// without a port are refused.
    pub fn answer(&self, address: IpAddr, ports: &[u16], told: &mut Told) -> Answer {
        let port_of = |line: usize| {
            let at = self.accepted.iter().position(|accepted| *accepted == line)?;
            ports.get(at).copied().filter(|&port| port != 0)
        };
        let mut plans = Vec::with_capacity(self.accepted.len());
        let mut lines = Vec::with_capacity(self.offer.media.len());
        for (m_line, media) in self.offer.media.iter().enumerate() {
            lines.push(match port_of(m_line) {
                Some(port) => {
                    plans.push(MediaPlan::of(media, m_line, port));
                    accepted_line(media, port, self.leg)
                }
                None => refused_line(media),
            });
        }
        Answer { sdp: told.tell(address, lines), plans }
    }
}

/// What a payload type of an offer carries.
fn meaning(format: &Format) -> Payload {
    let named = |name: &str| format.encoding.eq_ignore_ascii_case(name);
    if named("telephone-event") {
        return Payload::TelephoneEvent;
    }
    if named("CN") {
        return Payload::ComfortNoise;
    }
    // A rate of 0 is an rtpmap that names none, which can only mean the codec's own.
    let fits = matches!(format.clock_rate, 0 | CLOCK_HZ) && format.channels == 1;
    DECODED.into_iter().find(|codec| fits && named(codec.name())).map_or(Payload::Unknown, Payload::Audio)
}

fn decoded(format: &Format) -> Option<Codec> {
    match meaning(format) {
        Payload::Audio(codec) => Some(codec),
        _ => None,
    }
}

/// The formats of an accepted line: those of a plain leg are the first codec that we decode and the
/// telephone-events of its clock; those of a recording session are all, what we decode first.
fn answered_formats(media: &Media, leg: Leg) -> Vec<&Format> {
    let audio = || media.payloads.iter().filter(|it| decoded(it).is_some());
    match leg {
        Leg::Plain => {
            let is_event = |it: &&Format| meaning(it) == Payload::TelephoneEvent && it.clock_rate == CLOCK_HZ;
            audio().take(1).chain(media.payloads.iter().filter(is_event)).collect()
        }
        Leg::Siprec => audio().chain(media.payloads.iter().filter(|it| decoded(it).is_none())).collect(),
    }
}

fn accepted_line(media: &Media, port: u16, leg: Leg) -> WrittenMedia {
    let formats = answered_formats(media, leg);
    let mut attributes = Vec::with_capacity(2 * formats.len() + 3);
    for format in &formats {
        let numbered = |value: &str| Some(format!("{} {value}", format.number));
        match &format.rtpmap {
            Some(rtpmap) => attributes.push(("rtpmap", numbered(rtpmap))),
            None if format.encoding.is_empty() => {}
            None => {
                let rtpmap = format!("{}/{}", format.encoding, format.clock_rate);
                attributes.push(("rtpmap", numbered(&rtpmap)));
            }
        }
        attributes.extend(format.fmtp.as_deref().map(|fmtp| ("fmtp", numbered(fmtp))));
    }
    attributes.extend(media.ptime_ms.map(|ms| ("ptime", Some(ms.to_string()))));
    attributes.extend(media.label.clone().map(|label| ("label", Some(label))));
    attributes.push((if media.direction.sends() { "recvonly" } else { "inactive" }, None));
    WrittenMedia {
        kind: media.kind.clone(),
        port,
        protocol: media.protocol.clone(),
        formats: formats.iter().map(|format| format.number.to_string()).collect::<Vec<_>>().join(" "),
        attributes,
    }
}

/// A line refused keeps its formats (RFC 3264 section 6).
fn refused_line(media: &Media) -> WrittenMedia {
    WrittenMedia {
        kind: media.kind.clone(),
        port: 0,
        protocol: media.protocol.clone(),
        formats: media.formats.join(" "),
        attributes: Vec::new(),
    }
}

fn first_offer(port: u16) -> WrittenMedia {
    let attribute = |name, value: &str| (name, Some(value.to_owned()));
    WrittenMedia {
        kind: "audio".to_owned(),
        port,
        protocol: "RTP/AVP".to_owned(),
        formats: "0 8 101".to_owned(),
        attributes: vec![
            attribute("rtpmap", "0 PCMU/8000"),
            attribute("rtpmap", "8 PCMA/8000"),
            attribute("rtpmap", "101 telephone-event/8000"),
            attribute("fmtp", "101 0-15"),
            ("recvonly", None),
        ],
    }
}

#[cfg(test)]
mod tests;
