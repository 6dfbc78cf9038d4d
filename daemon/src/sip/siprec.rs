//! Recording sessions (RFC 7866): what an INVITE carries, and which of its lines is the caller's.
//!
//! Nothing in the SDP says who called: labels and the order of lines mean something else in every make. What
//! may be believed, in this order: the administrator's rule for the peer; a vendor's flag (`callingParty`,
//! Oracle); the From header of the recorded call (`callData`, Sonus); who was the caller so far; and the
//! convention that the first participant called. The line then follows from participant, stream and label. Who
//! comes to a caller's line when the caller has left succeeds them.
//! Where the chain breaks the call is not scored, for the wrong guess would judge the agent.

use crate::call::identity::speaker_of_address;
use crate::pii::{Pii, SpeakerId};
use crate::sip::offer_answer::MediaPlan;
use crate::verdict::Reason;
use crate::wire::multipart::{self, MultipartError};
use crate::wire::rs_metadata::{Participant, Recording};
use std::fmt;
use std::str::FromStr;

/// The parts of a body that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bodies<'a> {
    /// Session description.
    pub sdp: Option<&'a [u8]>,
    /// Recording metadata.
    pub metadata: Option<&'a [u8]>,
}

impl<'a> Bodies<'a> {
    /// Finds description and metadata in a body: multipart of any kind and order, or one of them alone.
    /// Metadata is known by its type (RFC 7865, RFC 9806, with or without `+xml`) or its disposition.
    ///
    /// # Errors
    /// [`MultipartError`] for a multipart body that cannot be split.
    pub fn find(content_type: &str, body: &'a [u8]) -> Result<Self, MultipartError> {
        let media_type = multipart::media_type(content_type);
        let mut found = Self::default();
        if !media_type.starts_with("multipart/") {
            found.take(&media_type, false, body);
            return Ok(found);
        }
        for part in multipart::parts(content_type, body)? {
            let is_session = part.disposition().is_some_and(|it| it == "recording-session");
            found.take(&part.media_type(), is_session, part.body);
        }
        Ok(found)
    }

    /// Keeps the first body of each kind.
    fn take(&mut self, media_type: &str, is_recording_session: bool, body: &'a [u8]) {
        let is_metadata = matches!(media_type, "application/rs-metadata+xml" | "application/rs-metadata");
        if media_type == "application/sdp" {
            self.sdp = self.sdp.or(Some(body));
        } else if is_metadata || is_recording_session {
            self.metadata = self.metadata.or(Some(body));
        }
    }
}

/// How the caller's line is chosen for a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CallerRule {
    /// By what the metadata says.
    #[default]
    Auto,
    /// By what the metadata says, but the streams belong to the other party: for clients that bind them
    /// crosswise.
    Swapped,
    /// The first audio line.
    First,
    /// The second audio line.
    Second,
    /// The line with this label.
    Label(String),
}

/// The text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say which line is the caller's; use auto, swapped, first, second or label:N")]
pub struct UnknownRule(String);

impl FromStr for CallerRule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, UnknownRule> {
        match text {
            "auto" => Ok(Self::Auto),
            "swapped" => Ok(Self::Swapped),
            "first" => Ok(Self::First),
            "second" => Ok(Self::Second),
            _ => match text.strip_prefix("label:").map(str::trim) {
                Some(label) if !label.is_empty() => Ok(Self::Label(label.to_owned())),
                _ => Err(UnknownRule(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for CallerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Swapped => f.write_str("swapped"),
            Self::First => f.write_str("first"),
            Self::Second => f.write_str("second"),
            Self::Label(label) => write!(f, "label:{label}"),
        }
    }
}

/// What made a participant the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// The rule of the peer.
    PeerRule,
    /// The vendor's flag `callingParty`.
    CallingParty,
    /// From header of the recorded call.
    FromHeader,
    /// The caller so far.
    Earlier,
    /// Who has the line of the caller so far, who left.
    Successor,
    /// The first participant of the metadata.
    FirstParticipant,
}

/// The caller of a recording session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerChoice {
    /// The `m=` line with the caller's audio.
    pub m_line: usize,
    /// Id of the caller in the metadata.
    pub participant: Option<String>,
    /// Address of the caller in the metadata.
    pub aor: Option<Pii<String>>,
    /// Why this one.
    pub by: ChosenBy,
}

/// What a later choice means for the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// The same person calls.
    Same,
    /// Somebody else does: nothing that was heard or claimed before holds.
    Replaced,
}

impl CallerChoice {
    /// Whether `next` is the same person: one with the same user part, or the same id where one of them has no name.
    pub fn followed_by(&self, next: &Self) -> Succession {
        let is_same = match (user(self.aor.as_ref()), user(next.aor.as_ref())) {
            (Some(before), Some(after)) => before == after,
            _ => match (&self.participant, &next.participant) {
                (Some(before), Some(after)) => before == after,
                _ => self.m_line == next.m_line,
            },
        };
        if is_same { Succession::Same } else { Succession::Replaced }
    }
}

/// Chooses the caller's line among the accepted `lines`.
///
/// `earlier` is the choice that held until now: a hold or a transfer changes the metadata, and not who
/// called.
///
/// # Errors
/// [`Reason::MixedStream`] when caller and agent share the line, or may; [`Reason::CallerUnknown`] when
/// nothing says which line it is.
pub fn choose_caller(
    rule: &CallerRule,
    lines: &[MediaPlan],
    recording: Option<&Recording>,
    earlier: Option<&CallerChoice>,
) -> Result<CallerChoice, Reason> {
    let nothing = Recording::default();
    let scene = Scene { lines, recording: recording.unwrap_or(&nothing) };
    let line = match rule {
        CallerRule::Auto => return scene.by_metadata(earlier, false),
        CallerRule::Swapped => return scene.by_metadata(earlier, true),
        CallerRule::First => lines.first(),
        CallerRule::Second => lines.get(1),
        CallerRule::Label(label) => lines.iter().find(|line| line.label.as_deref() == Some(label)),
    };
    scene.by_line(line.ok_or(Reason::CallerUnknown)?, earlier)
}

/// What is known of a recording session.
#[derive(Clone, Copy)]
struct Scene<'a> {
    lines: &'a [MediaPlan],
    recording: &'a Recording,
}

impl<'a> Scene<'a> {
    /// The choice for a line that the administrator names.
    fn by_line(self, line: &MediaPlan, earlier: Option<&CallerChoice>) -> Result<CallerChoice, Reason> {
        self.refuse_mixed(line)?;
        let sender = self.senders(line).next();
        // Without an association the line is known and the participant is not: the conventions still name
        // one.
        let participant =
            sender.or_else(|| self.caller(earlier, false).ok().map(|(participant, _)| participant));
        Ok(choice(line.m_line, participant, ChosenBy::PeerRule))
    }

    fn by_metadata(self, earlier: Option<&CallerChoice>, swapped: bool) -> Result<CallerChoice, Reason> {
        if self.present().all(|participant| participant.sends.is_none()) {
            return self.without_associations(earlier);
        }
        let (caller, by) = self.caller(earlier, swapped)?;
        let sender = if swapped { self.other_sender(caller)? } else { caller };
        let Some(line) = self.line_of(sender) else { return self.as_before(caller, earlier) };
        self.refuse_mixed(line)?;
        // A single line is the caller's alone only where somebody else sends elsewhere.
        if self.lines.len() == 1 && !self.somebody_sends_elsewhere(line) {
            return Err(Reason::MixedStream);
        }
        Ok(choice(line.m_line, Some(caller), by))
    }

    /// Without any association nothing joins participants to lines: a hold leaves the choice as it was.
    fn without_associations(self, earlier: Option<&CallerChoice>) -> Result<CallerChoice, Reason> {
        let Some(earlier) = earlier.filter(|earlier| self.has_line(earlier)) else {
            return Err(if self.lines.len() == 1 { Reason::MixedStream } else { Reason::CallerUnknown });
        };
        Ok(CallerChoice { by: ChosenBy::Earlier, ..earlier.clone() })
    }

    /// The line so far, for a caller who has none in the metadata now, unless it has become somebody else's.
    fn as_before(self, caller: &Participant, earlier: Option<&CallerChoice>) -> Result<CallerChoice, Reason> {
        let earlier = earlier.filter(|earlier| is_same(caller, earlier)).ok_or(Reason::CallerUnknown)?;
        let line =
            self.lines.iter().find(|line| line.m_line == earlier.m_line).ok_or(Reason::CallerUnknown)?;
        if self.senders(line).next().is_some() {
            return Err(Reason::CallerUnknown);
        }
        Ok(choice(line.m_line, Some(caller), ChosenBy::Earlier))
    }

    /// The participants who have not left.
    fn present(self) -> impl Iterator<Item = &'a Participant> {
        self.recording.participants.iter().filter(|participant| participant.left != Some(true))
    }

    /// Who called.
    fn caller(
        self,
        earlier: Option<&CallerChoice>,
        swapped: bool,
    ) -> Result<(&'a Participant, ChosenBy), Reason> {
        let mut flagged = self.present().filter(|participant| participant.calling == Some(true));
        if let Some(first) = flagged.next() {
            // Two that both called contradict each other.
            return if flagged.next().is_none() {
                Ok((first, ChosenBy::CallingParty))
            } else {
                Err(Reason::CallerUnknown)
            };
        }
        if let Some(named) = self.named_in_from_header() {
            return Ok((named, ChosenBy::FromHeader));
        }
        if let Some(earlier) =
            earlier.filter(|earlier| earlier.participant.is_some() || earlier.aor.is_some())
        {
            let same = self.present().find(|participant| is_same(participant, earlier));
            let successor = || Some((self.successor(earlier, swapped)?, ChosenBy::Successor));
            return same
                .map(|same| (same, ChosenBy::Earlier))
                .or_else(successor)
                .ok_or(Reason::CallerUnknown);
        }
        let first = self.present().next().filter(|first| first.calling != Some(false));
        first.map(|first| (first, ChosenBy::FirstParticipant)).ok_or(Reason::CallerUnknown)
    }

    /// Who succeeds a caller who has left: nobody by order, since after a transfer the first participant may be the agent,
    /// but who alone sends where the metadata had the caller send, while somebody else sends elsewhere.
    fn successor(self, earlier: &CallerChoice, swapped: bool) -> Option<&'a Participant> {
        let mut lines = self.lines.iter().filter(|line| (line.m_line == earlier.m_line) != swapped);
        let line = lines.next().filter(|line| self.somebody_sends_elsewhere(line))?;
        let mut senders = self.senders(line);
        let sender = senders.next()?;
        (lines.next().is_none() && senders.next().is_none()).then_some(sender)
    }

    /// The one participant whose user part is that of the recorded call's From header.
    fn named_in_from_header(self) -> Option<&'a Participant> {
        let from = speaker_of_address(self.recording.from_header.as_ref()?.reveal(), false)?;
        let is_named = |participant: &&Participant| user(participant.aor.as_ref()).as_ref() == Some(&from);
        let mut named = self.present().filter(is_named);
        let first = named.next()?;
        named.next().is_none().then_some(first)
    }

    /// The one participant with a line besides the caller.
    fn other_sender(self, caller: &Participant) -> Result<&'a Participant, Reason> {
        let is_other = |other: &&Participant| !std::ptr::eq(*other, caller) && self.line_of(other).is_some();
        let mut others = self.present().filter(is_other);
        let first = others.next().ok_or(Reason::CallerUnknown)?;
        if others.next().is_none() { Ok(first) } else { Err(Reason::CallerUnknown) }
    }

    /// The first line that carries a stream of this participant.
    fn line_of(self, participant: &Participant) -> Option<&'a MediaPlan> {
        participant.sends.iter().flatten().find_map(|send| self.line_of_stream(send))
    }

    /// The line with the label of a stream; none where the label is missing or stands on two lines.
    fn line_of_stream(self, id: &str) -> Option<&'a MediaPlan> {
        let stream = self.recording.streams.iter().find(|stream| stream.id == id)?;
        let label = stream.label.as_deref()?;
        let mut labelled = self.lines.iter().filter(|line| line.label.as_deref() == Some(label));
        let first = labelled.next()?;
        labelled.next().is_none().then_some(first)
    }

    /// The participants who send on a line.
    fn senders(self, line: &'a MediaPlan) -> impl Iterator<Item = &'a Participant> {
        self.present().filter(move |participant| self.sends_on(participant, line))
    }

    fn sends_on(self, participant: &Participant, line: &MediaPlan) -> bool {
        let is_line =
            |send: &String| self.line_of_stream(send).is_some_and(|found| found.m_line == line.m_line);
        participant.sends.iter().flatten().any(is_line)
    }

    fn somebody_sends_elsewhere(self, line: &MediaPlan) -> bool {
        let elsewhere = |participant: &Participant| {
            participant.sends.as_ref().is_some_and(|sends| !sends.is_empty())
                && !self.sends_on(participant, line)
        };
        self.present().any(elsewhere)
    }

    fn has_line(self, earlier: &CallerChoice) -> bool {
        self.lines.iter().any(|line| line.m_line == earlier.m_line)
    }

    /// Refuses a line that the metadata says is shared.
    fn refuse_mixed(self, line: &MediaPlan) -> Result<(), Reason> {
        let is_mixed = self.recording.streams.iter().any(|stream| stream.mixed && stream.label == line.label);
        let is_shared = self.senders(line).count() > 1;
        if is_mixed || is_shared { Err(Reason::MixedStream) } else { Ok(()) }
    }
}

fn choice(m_line: usize, participant: Option<&Participant>, by: ChosenBy) -> CallerChoice {
    CallerChoice {
        m_line,
        participant: participant.map(|it| it.id.clone()).filter(|id| !id.is_empty()),
        aor: participant.and_then(|it| it.aor.clone()),
        by,
    }
}

/// The user part of an address, unless it is missing or withheld.
fn user(aor: Option<&Pii<String>>) -> Option<SpeakerId> {
    speaker_of_address(aor?.reveal(), false)
}

/// Whether a participant is the caller of an earlier choice: by id, or by address where a client makes new
/// ids each time.
fn is_same(participant: &Participant, earlier: &CallerChoice) -> bool {
    let same_id = earlier.participant.as_ref().is_some_and(|id| *id == participant.id);
    let name = user(earlier.aor.as_ref());
    same_id || name.is_some() && name == user(participant.aor.as_ref())
}

#[cfg(test)]
mod tests;
