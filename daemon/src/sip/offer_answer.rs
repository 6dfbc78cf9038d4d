//! Offer and answer (RFC 3264), as one that only listens.
//!
//! A plain leg gets one codec, the first of the offer that we decode. A recording session gets the whole offered
//! payload list back, telephone-event included: rtpengine hangs up on an answer that drops one. What we decode is
//! moved to the front of it, so that a client which could send either sends that; where nothing is decoded, the session
//! is taken all the same, since the recording client's call must not suffer. Hold shows in the direction alone, never in the version
//! of `o=`.

mod security;

pub use security::{KeySeed, SrtpRule};

use crate::engine::codec::{Codec, Foreign, Payload, PayloadMap};
use crate::wire::amr::{Packing, Rate};
use crate::wire::sdp::{Crypto, Description, Format, Media, Written, WrittenMedia};
use security::{Keys, security};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

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
    #[error("no offered codec is decoded here; offer {}, in mono", Codec::names().join(", "))]
    NoCodec,
    /// SRTP with keys by DTLS alone.
    #[error("SRTP with keys by DTLS is not supported; offer a=crypto (SDES) or RTP/AVP")]
    Dtls,
    /// SRTP without any keys.
    #[error("SRTP is offered without a=crypto; offer it or RTP/AVP")]
    NoKeys,
    /// SRTP, but with nothing that we can do.
    #[error(
        "no offered a=crypto can be used; offer one key of AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32, \
         AEAD_AES_128_GCM or AEAD_AES_256_GCM"
    )]
    NoSuite,
    /// SRTP, which is switched off for the peer.
    #[error("SRTP is switched off for this peer (srtp = refuse); offer RTP/AVP")]
    SrtpRefused,
    /// RTP in the clear, which the peer must not use.
    #[error("this peer must use SRTP (srtp = require); offer RTP/SAVP with a=crypto")]
    SrtpRequired,
}

impl Refusal {
    /// Status code of the response.
    pub const STATUS: u16 = 488;

    /// Value of the `Warning` header (RFC 3261 section 20.43).
    pub fn warning(self) -> String {
        let code = match self {
            Self::NoAudio => 304,
            Self::NoCodec => 305,
            _ => 302,
        };
        format!("{code} vouch \"{self}\"")
    }

    /// Word for metrics and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoAudio | Self::NoCodec => "no-codec",
            _ => "srtp",
        }
    }
}

/// What a dialog has told the peer about its media; makes the `o=` line of the next answer.
#[derive(Clone, Debug)]
pub struct Told {
    session_id: u64,
    last: Option<Written>,
    keys: Keys,
}

impl Told {
    /// Nothing told yet. `session_id` stays with the dialog; below 2^63, since peers read it as a signed
    /// number. Our keys for SRTP are made from `seed`.
    pub const fn new(session_id: u64, seed: KeySeed) -> Self {
        Self { session_id: session_id >> 1, last: None, keys: Keys::new(seed) }
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
    /// `port`, secured where the peer must be.
    pub fn offer(&mut self, address: IpAddr, port: u16, rule: SrtpRule) -> String {
        match &self.last {
            Some(last) => last.to_string(),
            None => {
                let keys = if rule == SrtpRule::Require { self.keys.offer(0) } else { Vec::new() };
                self.tell(address, vec![first_offer(port, keys)])
            }
        }
    }

    /// Reads the answer to [`Told::offer`]: one plan for each line that is in use on both sides.
    ///
    /// # Errors
    /// [`Refusal::NoAudio`] when the answer leaves no line in use, [`Refusal::NoCodec`] when none is
    /// decoded, and that of a line whose keys cannot be used.
    pub fn accept(&self, answer: &Description, rule: SrtpRule) -> Result<Vec<MediaPlan>, Refusal> {
        let ours = self.last.iter().flat_map(|last| &last.media);
        let in_use = ours
            .zip(&answer.media)
            .enumerate()
            .filter(|(_, (ours, theirs))| ours.port != 0 && theirs.is_active_audio());
        let plans = in_use.map(|(m_line, (ours, theirs))| {
            let crypto = security(theirs, rule)?;
            Ok(MediaPlan::of(theirs, m_line, ours.port, crypto))
        });
        let plans: Vec<MediaPlan> = plans.collect::<Result<_, Refusal>>()?;
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
    /// First codec of a line that has none which we decode.
    pub foreign: Option<Foreign>,
    /// Payload type of telephone-events.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise.
    pub comfort_noise: Option<u8>,
    /// Packet time in milliseconds.
    pub ptime_ms: Option<u16>,
    /// Whether the peer sends; otherwise the line is on hold.
    pub sending: bool,
    /// The peer's key, where the line is SRTP.
    pub crypto: Option<Crypto>,
}

impl MediaPlan {
    /// What a description says of line `m_line`, whose RTP arrives at `local_port` and is sent under `crypto`.
    pub fn of(media: &Media, m_line: usize, local_port: u16, crypto: Option<&Crypto>) -> Self {
        let mut payloads = PayloadMap::default();
        for format in &media.payloads {
            payloads.set(format.number, meaning(format));
        }
        let codec = media.payloads.iter().find_map(decoded);
        let foreign = || media.payloads.iter().find_map(|format| Foreign::of(&format.encoding));
        // Those of the audio's own clock before those of another (RFC 4733 section 2.1 wants the same clock).
        let clock_hz = codec.map(Codec::clock_hz);
        let first = |wanted: fn(&Payload) -> bool| {
            let found = media.payloads.iter().filter(|it| wanted(&meaning(it)));
            found.min_by_key(|it| Some(it.clock_rate) != clock_hz).map(|it| it.number)
        };
        Self {
            m_line,
            label: media.label.clone(),
            local_port,
            remote: media.rtp_address(),
            remote_rtcp: media.rtcp_address(),
            payloads,
            codec,
            foreign: if codec.is_none() { foreign() } else { None },
            telephone_event: first(|it| matches!(it, Payload::TelephoneEvent { .. })),
            comfort_noise: first(|it| *it == Payload::ComfortNoise),
            ptime_ms: media.ptime_ms,
            sending: media.direction.sends(),
            crypto: crypto.cloned(),
        }
    }
}

/// An answer, and what it means for the media. Its `Debug` leaves the text out, which may hold keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Text of the description.
    pub sdp: String,
    /// A plan for each line accepted, in the order of the offer.
    pub plans: Vec<MediaPlan>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} bytes, {:?})", self.sdp.len(), self.plans)
    }
}

/// An offer that can be answered.
#[derive(Clone, Debug)]
pub struct Negotiation<'a> {
    offer: &'a Description,
    leg: Leg,
    rule: SrtpRule,
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
    pub fn new(offer: &'a Description, leg: Leg, rule: SrtpRule) -> Result<Self, Refusal> {
        let is_decoded = |line: &usize| offer.media[*line].payloads.iter().any(|it| decoded(it).is_some());
        let audio = || offer.media.iter().enumerate().filter(|(_, media)| media.is_active_audio());
        // A line whose formats are no payload types cannot be answered with any.
        let takes = |media: &Media| security(media, rule).is_ok() && !media.payloads.is_empty();
        let mut accepted: Vec<usize> =
            audio().filter(|(_, media)| takes(media)).map(|(line, _)| line).collect();
        if leg == Leg::Plain && !accepted.is_empty() && !accepted.iter().any(is_decoded) {
            return Err(Refusal::NoCodec);
        }
        if leg == Leg::Plain {
            accepted.retain(is_decoded);
            accepted.truncate(1);
        }
        let no_audio_is_fine = leg == Leg::Siprec || offer.media.iter().any(|media| media.kind == "audio");
        let refusals = || audio().filter_map(|(_, media)| security(media, rule).err());
        match audio().next() {
            None if !no_audio_is_fine => Err(Refusal::NoAudio),
            // Of several lines that cannot be taken, one that says what to change.
            Some(_) if accepted.is_empty() => {
                Err(refusals().find(|it| *it != Refusal::NoAudio).unwrap_or(Refusal::NoAudio))
            }
            _ => Ok(Self { offer, leg, rule, accepted }),
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
            lines.push(match port_of(m_line).zip(security(media, self.rule).ok()) {
                Some((port, crypto)) => {
                    plans.push(MediaPlan::of(media, m_line, port, crypto));
                    let ours = crypto.and_then(|theirs| told.keys.answer(m_line, theirs));
                    accepted_line(media, port, self.leg, ours)
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
        // Without a rate it is that of the telephone.
        let clock_khz = u8::try_from(format.clock_rate / 1000).unwrap_or(u8::MAX);
        return Payload::TelephoneEvent { clock_khz: if clock_khz == 0 { 8 } else { clock_khz } };
    }
    if named("CN") {
        return Payload::ComfortNoise;
    }
    match Codec::of(&format.encoding, format.clock_rate, format.channels, format.fmtp.as_deref()) {
        Some(codec) => Payload::Audio(codec),
        None => Foreign::of(&format.encoding).map_or(Payload::Unknown, Payload::Foreign),
    }
}

fn decoded(format: &Format) -> Option<Codec> {
    match meaning(format) {
        Payload::Audio(codec) => Some(codec),
        _ => None,
    }
}

/// The formats of an accepted line: those of a plain leg are the first codec that we decode and the
/// telephone-events of its clock, or of any where none has that; those of a recording session are all, what we decode first.
fn answered_formats(media: &Media, leg: Leg) -> Vec<&Format> {
    let audio = || media.payloads.iter().filter(|it| decoded(it).is_some());
    match leg {
        Leg::Plain => {
            let clock_hz = audio().find_map(decoded).map(Codec::clock_hz);
            let events =
                || media.payloads.iter().filter(|it| matches!(meaning(it), Payload::TelephoneEvent { .. }));
            let has_own = events().any(|it| Some(it.clock_rate) == clock_hz);
            let events = events().filter(|it| !has_own || Some(it.clock_rate) == clock_hz);
            audio().take(1).chain(events).collect()
        }
        Leg::Siprec => audio().chain(media.payloads.iter().filter(|it| decoded(it).is_none())).collect(),
    }
}

fn accepted_line(media: &Media, port: u16, leg: Leg, crypto: Option<String>) -> WrittenMedia {
    let formats = answered_formats(media, leg);
    let mut attributes = Vec::with_capacity(2 * formats.len() + 4);
    attributes.extend(crypto.map(|crypto| ("crypto", Some(crypto))));
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

fn first_offer(port: u16, keys: Vec<String>) -> WrittenMedia {
    let protocol = if keys.is_empty() { "RTP/AVP" } else { "RTP/SAVP" };
    let mut attributes: Vec<_> = keys.into_iter().map(|key| ("crypto", Some(key))).collect();
    let mut formats = Vec::new();
    let offered = OFFERED.iter().filter(|(_, codec)| Codec::decoded().any(|it| it == *codec));
    for (number, codec) in offered {
        formats.push(number.to_string());
        let channels = if *codec == Codec::Opus { "/2" } else { "" };
        let rtpmap = format!("{number} {}/{}{channels}", codec.name(), codec.clock_hz());
        attributes.push(("rtpmap", Some(rtpmap)));
    }
    formats.push("101".to_owned());
    attributes.extend([
        ("rtpmap", Some("101 telephone-event/8000".to_owned())),
        ("fmtp", Some("101 0-15".to_owned())),
        ("recvonly", None),
    ]);
    WrittenMedia {
        kind: "audio".to_owned(),
        port,
        protocol: protocol.to_owned(),
        formats: formats.join(" "),
        attributes,
    }
}

/// What an offer of ours offers, those that this build decodes, by payload type.
const OFFERED: [(u8, Codec); 8] = [
    (0, Codec::Pcmu),
    (8, Codec::Pcma),
    (9, Codec::G722),
    (96, Codec::Opus),
    (97, Codec::Amr(Rate::Wide, Packing::Dense)),
    (98, Codec::Amr(Rate::Narrow, Packing::Dense)),
    (18, Codec::G729),
    (3, Codec::Gsm),
];

#[cfg(test)]
mod tests;
