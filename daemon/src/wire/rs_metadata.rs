//! Recording metadata (RFC 7865, RFC 9806), as recording clients of all makes write it.
//!
//! Elements are known by their local names without case, whatever their namespace or prefix; ids under any of
//! the names that drafts and RFC gave them; a participant's streams inside it or in an association. Only this
//! module knows `roxmltree`.

use crate::pii::Pii;
use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;

/// Longest document, in bytes.
pub const MAX_METADATA: usize = 64 * 1024;
/// Most XML nodes of a document.
pub const MAX_NODES: u32 = 4096;
/// Most participants, streams and names that updates may add up to, of each.
pub const MAX_KNOWN: usize = 64;
/// Most undeclared prefixes that are forgiven: AudioCodes writes `ac:` without declaring it.
const MAX_UNDECLARED: usize = 4;

/// Why metadata could not be read. Holds no text of the document, which names people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Over [`MAX_METADATA`] bytes.
    #[error("metadata of {0} bytes is over the limit of {MAX_METADATA}")]
    TooLong(usize),
    /// Over [`MAX_NODES`] nodes, or too many attributes or namespaces.
    #[error("metadata has over {MAX_NODES} XML nodes")]
    TooManyNodes,
    /// It has a document type declaration, which is never read.
    #[error("metadata with a document type declaration is refused")]
    Dtd,
    /// Not well-formed XML.
    #[error("metadata is not well-formed XML at line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
    },
    /// Well-formed, but about something else.
    #[error("metadata does not begin with a recording element")]
    NotRecording,
}

/// What the metadata says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Whether it only says what changed (`dataMode` is `partial`).
    pub partial: bool,
    /// The participants, in the order of the document.
    pub participants: Vec<Participant>,
    /// The streams, in the order of the document.
    pub streams: Vec<Stream>,
    /// `sipSessionID` of the recorded sessions, as written.
    pub sip_session_ids: Vec<String>,
    /// Names of the recorded call in vendors' extensions: Call-ID, UCID, UUID.
    pub call_ids: Vec<String>,
    /// From header of the recorded call (`callData`, Sonus).
    pub from_header: Option<Pii<String>>,
}

/// A party of the recorded call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// Id in the document; empty where it has none.
    pub id: String,
    /// Address of record, as written: a URI, `user@host`, or a number.
    pub aor: Option<Pii<String>>,
    /// Display name.
    pub name: Option<Pii<String>>,
    /// Ids of the streams it sends on; `None` where the document says nothing of it.
    pub sends: Option<Vec<String>>,
    /// Whether it called (`callingParty`, Oracle), where the document says.
    pub calling: Option<bool>,
    /// Whether it has left the recorded session, where the document says.
    pub left: Option<bool>,
}

/// A stream of the recorded call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Id in the document; empty where it has none.
    pub id: String,
    /// `a=label` of the `m=` line that carries it.
    pub label: Option<String>,
    /// Whether it holds several parties (`mode` is `mixed`).
    pub mixed: bool,
}

impl Recording {
    /// Reads a metadata document; text that is not UTF-8 is replaced, since only names hold it.
    ///
    /// # Errors
    /// [`MetadataError`] names the limit or the place.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetadataError> {
        if bytes.len() > MAX_METADATA {
            return Err(MetadataError::TooLong(bytes.len()));
        }
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\0');
        let mut text = Cow::Borrowed(text);
        for _ in 0..MAX_UNDECLARED {
            match read(&text) {
                Err(Refused::Undeclared(prefix)) => text = Cow::Owned(declare(&text, &prefix)),
                Err(Refused::For(error)) => return Err(error),
                Ok(recording) => return Ok(recording),
            }
        }
        read(&text).map_err(|refused| match refused {
            Refused::Undeclared(_) => MetadataError::Malformed { line: 1, column: 1 },
            Refused::For(error) => error,
        })
    }

    /// Takes over what a later document of the same recording session says: a complete one replaces
    /// everything, a partial one changes what it names. What goes beyond [`MAX_KNOWN`] is not taken over.
    pub fn update(&mut self, newer: Self) {
        if !newer.partial {
            *self = newer;
            return;
        }
        let first = self.participants.is_empty();
        for participant in newer.participants.into_iter().filter(|newer| first || !newer.id.is_empty()) {
            self.participant(&participant.id).take(participant);
        }
        for stream in newer.streams {
            match self.streams.iter_mut().find(|known| known.id == stream.id) {
                Some(known) => {
                    known.label = stream.label.or_else(|| known.label.take());
                    known.mixed |= stream.mixed;
                }
                None => self.streams.push(stream),
            }
        }
        add_new(&mut self.sip_session_ids, newer.sip_session_ids);
        add_new(&mut self.call_ids, newer.call_ids);
        self.from_header = newer.from_header.or_else(|| self.from_header.take());
        self.participants.truncate(MAX_KNOWN);
        self.streams.truncate(MAX_KNOWN);
        self.sip_session_ids.truncate(MAX_KNOWN);
        self.call_ids.truncate(MAX_KNOWN);
    }

    /// The participant of this id, made where there is none.
    fn participant(&mut self, id: &str) -> &mut Participant {
        let found = self.participants.iter().position(|known| !id.is_empty() && known.id == id);
        let at = found.unwrap_or_else(|| {
            self.participants.push(Participant { id: id.to_owned(), ..Participant::default() });
            self.participants.len() - 1
        });
        &mut self.participants[at]
    }

    fn read_element(&mut self, node: Node<'_, '_>) {
        match local_name(node).as_str() {
            "datamode" => self.partial = text(node).eq_ignore_ascii_case("partial"),
            "participant" => self.participant(&id(node, &["participant_id", "id"])).take(participant(node)),
            "participantsessionassoc" => {
                let left = Some(children(node, "disassociate-time").next().is_some());
                let participant = self.participant(&id(node, &["participant_id", "participant", "id"]));
                // Who has left one session and not another has not left.
                participant.left = if participant.left == Some(false) { participant.left } else { left };
            }
            "stream" => self.streams.push(stream(node)),
            "sipsessionid" => add_new(&mut self.sip_session_ids, some_text(node)),
            "callid" | "x-orig-call-id" | "ucid" | "avayaucid" | "genesysuuid" => {
                add_new(&mut self.call_ids, some_text(node).map(|id| without_parameters(&id)));
            }
            "header" => add_new(&mut self.call_ids, header_call_id(node)),
            "fromhdr" => self.from_header = some_text(node).map(Pii::new),
            _ => {}
        }
    }

    /// `participantstreamassoc`; read after all participants, since it may stand in front of them.
    fn read_association(&mut self, node: Node<'_, '_>) {
        let participant = self.participant(&id(node, &["participant_id", "participant", "id"]));
        if children(node, "disassociate-time").next().is_some() {
            let ended = sends(node).unwrap_or_default();
            participant.sends.get_or_insert_default().retain(|send| !ended.contains(send));
            return;
        }
        // Empty while the call is on hold: that says nothing of whose stream is whose.
        if let Some(more) = sends(node) {
            add_new(participant.sends.get_or_insert_default(), more);
        }
    }
}

impl Participant {
    /// Takes over what a newer description of the same participant says.
    fn take(&mut self, newer: Self) {
        self.aor = newer.aor.or_else(|| self.aor.take());
        self.name = newer.name.or_else(|| self.name.take());
        self.calling = newer.calling.or(self.calling);
        self.sends = newer.sends.or_else(|| self.sends.take());
        self.left = newer.left.or(self.left);
    }
}

enum Refused {
    Undeclared(String),
    For(MetadataError),
}

fn read(text: &str) -> Result<Recording, Refused> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(refuse)?;
    if !local_name(document.root_element()).starts_with("recording") {
        return Err(Refused::For(MetadataError::NotRecording));
    }
    let mut recording = Recording::default();
    let elements = || document.root_element().descendants().filter(Node::is_element);
    elements().for_each(|node| recording.read_element(node));
    elements()
        .filter(|node| local_name(*node) == "participantstreamassoc")
        .for_each(|node| recording.read_association(node));
    Ok(recording)
}

fn refuse(error: roxmltree::Error) -> Refused {
    use roxmltree::Error as E;
    Refused::For(match error {
        E::UnknownNamespace(prefix, _) => return Refused::Undeclared(prefix),
        E::DtdDetected => MetadataError::Dtd,
        E::NodesLimitReached | E::AttributesLimitReached | E::NamespacesLimitReached => {
            MetadataError::TooManyNodes
        }
        other => MetadataError::Malformed { line: other.pos().row, column: other.pos().col },
    })
}

/// Declares a prefix at the first element.
fn declare(text: &str, prefix: &str) -> String {
    let is_name = |c: char| c.is_alphabetic() || c == '_';
    let open = text.match_indices('<').map(|(at, _)| at + 1).find(|&at| text[at..].starts_with(is_name));
    let after_name = |from: usize| {
        let length = text[from..].find(|c: char| c.is_whitespace() || c == '>' || c == '/');
        from + length.unwrap_or(text.len() - from)
    };
    let (head, tail) = text.split_at(open.map_or(text.len(), after_name));
    format!("{head} xmlns:{prefix}=\"urn:undeclared\"{tail}")
}

fn participant(node: Node<'_, '_>) -> Participant {
    let names: Vec<_> = children(node, "nameid").collect();
    let aor = names.iter().find_map(|name| attribute(*name, &["aor"]));
    let name = names.iter().flat_map(|name| children(*name, "name")).find_map(some_text);
    let calling = node.descendants().find(|inner| local_name(*inner) == "callingparty").and_then(truth);
    Participant {
        id: String::new(),
        aor: aor.map(Pii::new),
        name: name.map(Pii::new),
        sends: sends(node),
        calling,
        left: None,
    }
}

fn stream(node: Node<'_, '_>) -> Stream {
    Stream {
        id: id(node, &["stream_id", "id"]),
        label: children(node, "label").find_map(some_text),
        mixed: children(node, "mode").any(|mode| text(mode).eq_ignore_ascii_case("mixed")),
    }
}

/// Ids of the `send` elements below a node; `None` where there are none.
fn sends(node: Node<'_, '_>) -> Option<Vec<String>> {
    let all: Vec<_> = children(node, "send").filter_map(some_text).collect();
    (!all.is_empty()).then_some(all)
}

/// `<header label="X-Orig-Call-ID"><value>...`, Oracle's copy of a header of the recorded call.
fn header_call_id(node: Node<'_, '_>) -> Option<String> {
    const NAMES: [&str; 3] = ["x-orig-call-id", "x-isr-ucid", "call-id"];
    let label = attribute(node, &["label"])?;
    NAMES.iter().any(|name| label.eq_ignore_ascii_case(name)).then_some(())?;
    children(node, "value").find_map(some_text).or_else(|| some_text(node))
}

/// `00FA...;encoding=hex` without what follows the semicolon.
fn without_parameters(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_owned()
}

fn truth(node: Node<'_, '_>) -> Option<bool> {
    match text(node).to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

fn local_name(node: Node<'_, '_>) -> String {
    node.tag_name().name().to_ascii_lowercase()
}

fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> + use<'a, 'input> {
    node.children().filter(move |child| child.is_element() && local_name(*child) == name)
}

/// The first of the attributes that is there and not empty; names compare without case.
fn attribute(node: Node<'_, '_>, names: &[&str]) -> Option<String> {
    let value = |name: &&str| {
        let found = node.attributes().find(|attribute| attribute.name().eq_ignore_ascii_case(name))?;
        Some(found.value().trim().to_owned()).filter(|value| !value.is_empty())
    };
    names.iter().find_map(value)
}

fn id(node: Node<'_, '_>, names: &[&str]) -> String {
    attribute(node, names).unwrap_or_default()
}

fn text<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default().trim()
}

fn some_text(node: Node<'_, '_>) -> Option<String> {
    Some(text(node).to_owned()).filter(|text| !text.is_empty())
}

/// Appends what is not there yet.
fn add_new(list: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for value in more {
        if !list.contains(&value) {
            list.push(value);
        }
    }
}

#[cfg(test)]
mod tests;
