//! Who the caller claims to be, and which recorded call a recording session is about.

use crate::pii::{MAX_SPEAKER_ID, Pii, SpeakerId};
use crate::sip::params::{find_outside, is_token, split_list};
use crate::wire::rs_metadata::Recording;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Where a speaker id may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// The header `X-Voice-ID-Speaker` (with the configured prefix).
    SpeakerHeader,
    /// Address of the caller in recording metadata.
    SiprecMetadata,
    /// A header named in the configuration.
    Header(String),
    /// User part of `P-Asserted-Identity` (RFC 3325).
    PAssertedIdentity,
    /// User part of `From`.
    From,
}

/// The text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no identity source; there are header, siprec-metadata, header:NAME, p-asserted-identity and from"
)]
pub struct UnknownSource(String);

impl FromStr for IdentitySource {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        match text {
            "header" => Ok(Self::SpeakerHeader),
            "siprec-metadata" => Ok(Self::SiprecMetadata),
            "p-asserted-identity" => Ok(Self::PAssertedIdentity),
            "from" => Ok(Self::From),
            _ => match text.strip_prefix("header:").map(str::trim) {
                Some(name) if is_token(name) => Ok(Self::Header(name.to_owned())),
                _ => Err(UnknownSource(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for IdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpeakerHeader => f.write_str("header"),
            Self::SiprecMetadata => f.write_str("siprec-metadata"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::PAssertedIdentity => f.write_str("p-asserted-identity"),
            Self::From => f.write_str("from"),
        }
    }
}

/// How speaker ids are found: the `identity` section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRules {
    /// The sources; the first that names somebody counts.
    pub sources: Vec<IdentitySource>,
    /// Whether `user@host` is the id, rather than `user`.
    pub keep_host: bool,
}

impl Default for IdentityRules {
    fn default() -> Self {
        Self {
            sources: vec![
                IdentitySource::SpeakerHeader,
                IdentitySource::SiprecMetadata,
                IdentitySource::PAssertedIdentity,
                IdentitySource::From,
            ],
            keep_host: false,
        }
    }
}

/// What a request says about its caller.
#[derive(Clone, Copy, Debug)]
pub struct IdentityInputs<'a> {
    /// Name of the claim header, `X-Voice-ID-Speaker` unless the prefix is another.
    pub speaker_header: &'a str,
    /// Name and value of each header, unfolded; names in any case, long or compact.
    pub headers: &'a [(&'a str, &'a str)],
    /// Address of the caller in recording metadata.
    pub caller_aor: Option<&'a Pii<String>>,
}

impl<'a> IdentityInputs<'a> {
    fn values(&self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let headers = self.headers;
        headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// The speaker id of a call: that of the first source which names somebody.
///
/// Headers that come from a gateway are claims, and the order of the sources is the administrator's order of
/// trust.
pub fn speaker_id(rules: &IdentityRules, inputs: &IdentityInputs<'_>) -> Option<SpeakerId> {
    rules.sources.iter().find_map(|source| from_source(source, rules.keep_host, inputs))
}

/// The speaker id in the value of a claim: an id with `%XX` for what a header cannot hold, or an address.
pub fn claimed_speaker(value: &str, keep_host: bool) -> Option<SpeakerId> {
    let value = unquoted(value.trim());
    if value.contains('<') || scheme(value).is_some() {
        return speaker_of_address(value, keep_host);
    }
    speaker(&unescape(value))
}

/// The speaker id in an address: `"Name" <sip:user@host>;tag=x`, `tel:+1-555`, `user@host`.
///
/// Nobody where the user is missing or stands for a withheld identity.
pub fn speaker_of_address(value: &str, keep_host: bool) -> Option<SpeakerId> {
    let uri = uri_of(value)?;
    let (rest, is_telephone) = match scheme(uri) {
        Some((name, rest)) => (rest, name.eq_ignore_ascii_case("tel")),
        None => (uri, false),
    };
    let rest = rest.split('?').next().unwrap_or_default();
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (user, without_port(host.split(';').next().unwrap_or_default())),
        None if is_telephone || scheme(uri).is_none() => (rest, ""),
        // `sip:host` has no user.
        None => return None,
    };
    // Parameters of a number (RFC 3261 section 19.1.6) and a password are no part of the id.
    let user = user.split([';', ':']).next().unwrap_or_default();
    let user = unescape(user);
    let user: Cow<'_, str> = if is_telephone { user.replace(['-', '.', '(', ')'], "").into() } else { user };
    if is_withheld(user.trim(), host) {
        return None;
    }
    if keep_host && !host.is_empty() {
        return speaker(&format!("{}@{}", user.trim(), host.to_ascii_lowercase()));
    }
    speaker(&user)
}

/// Most names of a recorded call that are kept.
const MAX_CALL_NAMES: usize = 16;
/// Longest name of a call.
const MAX_CALL_NAME: usize = 256;

/// Everything a recorded call may be asked for by: what joins `X-Voice-ID-Call: <Call-ID>` to a recording
/// session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallNames(Vec<String>);

impl CallNames {
    /// Collects the names of a call: `call_id`s first (the dialog's own, `X-Orig-Call-ID`), then those of the
    /// recording metadata, then both halves of `Session-ID` values (RFC 7989).
    pub fn collect<'a>(
        call_ids: impl IntoIterator<Item = &'a str>,
        recording: Option<&'a Recording>,
        session_id: Option<&'a str>,
    ) -> Self {
        let mut names = Self::default();
        call_ids.into_iter().for_each(|id| names.add(id));
        if let Some(recording) = recording {
            names.learn(recording);
        }
        if let Some(id) = session_id {
            names.add_session_id(id);
        }
        names
    }

    /// Adds the names that newer metadata brings.
    pub fn learn(&mut self, recording: &Recording) {
        recording.sip_session_ids.iter().for_each(|id| self.add_session_id(id));
        recording.call_ids.iter().for_each(|id| self.add(id));
    }

    /// These names, and one more.
    #[must_use]
    pub fn with(mut self, name: Option<&str>) -> Self {
        name.into_iter().for_each(|name| self.add(name));
        self
    }

    /// Whether a query means this call; either half of a `uuid;remote=uuid` will do.
    pub fn matches(&self, query: &str) -> bool {
        let mut asked = Self::default();
        asked.add_session_id(query);
        asked.0.iter().any(|name| self.0.contains(name))
    }

    /// The names, most telling first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Adds `uuid;remote=uuid` (RFC 7989) as both UUIDs, anything else as it is.
    fn add_session_id(&mut self, value: &str) {
        let mut parts = value.split(';');
        self.add(parts.next().unwrap_or_default());
        for (name, uuid) in parts.filter_map(|part| part.split_once('=')) {
            if name.trim().eq_ignore_ascii_case("remote") {
                self.add(uuid);
            }
        }
    }

    fn add(&mut self, name: &str) {
        let name = name.trim();
        // The nil UUID stands for a side that is not known yet.
        let says_nothing = name.bytes().all(|byte| matches!(byte, b'0' | b'-'));
        let fits = name.len() <= MAX_CALL_NAME && self.0.len() < MAX_CALL_NAMES;
        if !says_nothing && fits && !self.0.iter().any(|known| known == name) {
            self.0.push(name.to_owned());
        }
    }
}

fn from_source(source: &IdentitySource, keep_host: bool, inputs: &IdentityInputs<'_>) -> Option<SpeakerId> {
    let claim = |name| inputs.values(name).find_map(|value| claimed_speaker(value, keep_host));
    let address = |value: &str| speaker_of_address(value, keep_host);
    match source {
        IdentitySource::SpeakerHeader => claim(inputs.speaker_header),
        IdentitySource::Header(name) => inputs.headers.iter().find_map(|(key, value)| {
            key.eq_ignore_ascii_case(name).then(|| claimed_speaker(value, keep_host)).flatten()
        }),
        IdentitySource::SiprecMetadata => inputs.caller_aor.and_then(|aor| address(aor.reveal())),
        // Up to two values, one sip and one tel, in one header or two (RFC 3325 section 9.1).
        IdentitySource::PAssertedIdentity => {
            inputs.values("P-Asserted-Identity").flat_map(split_list).find_map(address)
        }
        IdentitySource::From => inputs.values("From").chain(inputs.values("f")).find_map(address),
    }
}

/// The id where it keeps the rules of [`SpeakerId`].
fn speaker(text: &str) -> Option<SpeakerId> {
    let text = text.trim();
    if is_withheld(text, "") {
        return None;
    }
    SpeakerId::new(text).ok()
}

/// Whether an identity is missing or withheld (RFC 3323 section 4.1, and the words gateways use for it).
fn is_withheld(user: &str, host: &str) -> bool {
    const WORDS: [&str; 6] = ["anonymous", "unavailable", "unknown", "restricted", "private", "withheld"];
    user.is_empty()
        || WORDS.iter().any(|word| user.eq_ignore_ascii_case(word))
        || host.eq_ignore_ascii_case("anonymous.invalid")
}

/// The URI in a header value: between angle brackets, or all up to the first parameter of the header.
fn uri_of(value: &str) -> Option<&str> {
    let value = value.trim();
    if let Some(open) = find_outside(value, '<') {
        return value[open + 1..].split('>').next().map(str::trim);
    }
    // A quote without brackets is a display name without an address.
    (!value.starts_with('"')).then_some(value)
}

/// A host without its port; an IPv6 literal keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.find(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// The scheme of a URI of a person, and the rest.
fn scheme(uri: &str) -> Option<(&str, &str)> {
    let (name, rest) = uri.split_once(':')?;
    ["sip", "sips", "tel"].iter().any(|known| name.eq_ignore_ascii_case(known)).then_some((name, rest))
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value)
}

/// Replaces `%XX`; text stays as it is where that would not give UTF-8 of at most the length of an id.
fn unescape(text: &str) -> Cow<'_, str> {
    // Three characters of escape a byte, four bytes a character.
    if !text.contains('%') || text.len() > 12 * MAX_SPEAKER_ID {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match tail {
            [high, low, after @ ..]
                if *first == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Value of a hexadecimal digit.
const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(value: &str, keep_host: bool) -> Option<String> {
        speaker_of_address(value, keep_host).map(|id| id.reveal().to_owned())
    }

    #[test]
    fn addresses_give_their_user_part() {
        for (value, user, with_host) in [
            ("sip:alice@example.com", Some("alice"), Some("alice@example.com")),
            (
                "\"A <x>\\\" y\" <sip:+15550100@GW.example:5060;user=phone>;tag=1",
                Some("+15550100"),
                Some("+15550100@gw.example"),
            ),
            (
                "<sips:+1555;phone-context=+1:secret@[2001:db8::1]:5070>",
                Some("+1555"),
                Some("+1555@[2001:db8::1]"),
            ),
            ("tel:+1-(555)-010.0;ext=7", Some("+15550100"), Some("+15550100")),
            ("sip:a%40b%20c@h?Subject=x", Some("a@b c"), Some("a@b c@h")),
            ("2249@192.0.2.1", Some("2249"), Some("2249@192.0.2.1")),
            ("Extension-7@pbx.example", Some("Extension-7"), Some("Extension-7@pbx.example")),
            ("+15550100", Some("+15550100"), Some("+15550100")),
            ("sip:ren%C3%A9@h", Some("ren\u{e9}"), Some("ren\u{e9}@h")),
            ("sip:100%@h", Some("100%"), Some("100%@h")),
            ("SIP:Bob@h", Some("Bob"), Some("Bob@h")),
            ("sip:gw.example", None, None),
            ("<sip:anonymous@anonymous.invalid>", None, None),
            ("sip:Anonymous@gw", None, None),
            ("\"Bob\" <sip:bob@anonymous.invalid>", None, None),
            ("sip:unavailable@h", None, None),
            ("sip:@h", None, None),
            ("sip:a%0d%0ab@h", None, None),
            ("\"name only\"", None, None),
            ("<>", None, None),
            ("", None, None),
        ] {
            assert_eq!(address(value, false).as_deref(), user, "{value}");
            assert_eq!(address(value, true).as_deref(), with_host, "{value}");
        }
    }

    #[test]
    fn claims_are_ids_or_addresses() {
        for (value, expected) in [
            ("customer 4711", Some("customer 4711")),
            (" \"customer 4711\" ", Some("customer 4711")),
            ("caf%C3%A9%20%25", Some("caf\u{e9} %")),
            ("a:b@c;d", Some("a:b@c;d")),
            ("sip:alice@h", Some("alice")),
            ("\"A\" <tel:+1-555>", Some("+1555")),
            ("%ff", Some("%ff")),
            ("a%00", None),
            ("anonymous", None),
            ("", None),
        ] {
            let found = claimed_speaker(value, false);
            assert_eq!(found.as_ref().map(SpeakerId::reveal), expected, "{value}");
        }
        assert_eq!(claimed_speaker(&"x".repeat(257), false), None);
    }

    #[test]
    fn the_first_source_that_names_somebody_counts() {
        let headers = [
            ("f", "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1"),
            ("x-customer", "c-9"),
            ("p-asserted-identity", "\"A, B\" <sip:gw.example>, <tel:+15550100>"),
            ("X-Voice-ID-Status", "authenticated"),
        ];
        let aor = Pii::new("sip:777@h".to_owned());
        let found = |sources: &[&str], claim: Option<&str>, aor: Option<&Pii<String>>| {
            let sources = sources.iter().map(|source| source.parse().unwrap()).collect();
            let mut headers = headers.to_vec();
            headers.extend(claim.map(|value| ("x-voice-id-speaker", value)));
            let inputs =
                IdentityInputs { speaker_header: "X-Voice-ID-Speaker", headers: &headers, caller_aor: aor };
            speaker_id(&IdentityRules { sources, keep_host: false }, &inputs).map(|id| id.reveal().to_owned())
        };
        let all = ["header", "siprec-metadata", "header:X-Customer", "p-asserted-identity", "from"];
        assert_eq!(found(&all, Some("c-1"), Some(&aor)).as_deref(), Some("c-1"));
        assert_eq!(found(&all, Some("anonymous"), Some(&aor)).as_deref(), Some("777"));
        assert_eq!(found(&all, None, None).as_deref(), Some("c-9"));
        assert_eq!(found(&all[3..], Some("c-1"), Some(&aor)).as_deref(), Some("+15550100"));
        assert_eq!(found(&all[4..], Some("c-1"), Some(&aor)), None);
        assert_eq!(found(&[], Some("c-1"), None), None);
    }

    #[test]
    fn sources_are_read_and_printed() {
        for text in ["header", "siprec-metadata", "header:X-Customer", "p-asserted-identity", "from"] {
            assert_eq!(text.parse::<IdentitySource>().unwrap().to_string(), text);
        }
        for text in ["", "header:", "header:a b", "From"] {
            assert_eq!(text.parse::<IdentitySource>(), Err(UnknownSource(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn calls_are_found_by_any_of_their_names() {
        let recording = Recording {
            sip_session_ids: vec!["ab01;remote=cd02".to_owned(), "x@opensips".to_owned()],
            call_ids: vec!["2da5-43".to_owned(), "x@opensips".to_owned()],
            ..Recording::default()
        };
        let nil = "00000000000000000000000000000000";
        let session = format!("ef03;remote={nil};logme");
        let names = CallNames::collect(["own@gw"], Some(&recording), Some(&session));
        assert_eq!(
            names.iter().collect::<Vec<_>>(),
            ["own@gw", "ab01", "cd02", "x@opensips", "2da5-43", "ef03"]
        );
        for query in ["own@gw", "cd02", "cd02;remote=ab01", &format!("{nil};remote=ef03"), " x@opensips "] {
            assert!(names.matches(query), "{query}");
        }
        for query in ["", "ab", nil, "zz;remote=yy", "zz;logme", "remote=ab01x"] {
            assert!(!names.matches(query), "{query}");
        }
        let many: Vec<String> = (1..100).map(|n| format!("c{n}")).collect();
        assert_eq!(
            CallNames::collect(many.iter().map(String::as_str), None, None).iter().count(),
            MAX_CALL_NAMES
        );
    }

    proptest! {
        #[test]
        fn any_value_gives_an_id_or_nothing(value in ".{0,300}") {
            let address = [false, true].map(|keep_host| speaker_of_address(&value, keep_host));
            for id in address.into_iter().chain([claimed_speaker(&value, false)]).flatten() {
                prop_assert!(!id.reveal().trim().is_empty());
            }
            let names = CallNames::collect([value.as_str()], None, Some(&value));
            let _ = names.matches(&value);
        }

        #[test]
        fn damaged_addresses_never_panic(at in 0_usize..40, c: char) {
            let mut value: Vec<char> = "\"A\" <sip:+1555;x=%41@h>;tag=1".chars().collect();
            let length = value.len();
            value[at % length] = c;
            let _ = speaker_of_address(&value.iter().collect::<String>(), true);
        }
    }
}
