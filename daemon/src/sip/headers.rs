//! The `X-Voice-ID-*` headers: how a gateway reads an answer, names a speaker and asks for a call.
//!
//! Values are visible ASCII. What a header cannot hold is written as `%XX` of its UTF-8, the way URIs escape,
//! so that `X-Voice-ID-Speaker` can be sent back to us as it came. Of what comes in, only `-Speaker` (a
//! claim) and `-Call` (a query) are ever read; the others are answers, and answers are ours to give.
//!
//! A result that is reached during a call goes out as an in-dialog INFO (RFC 6086) of the package
//! [`INFO_PACKAGE`]. It carries these headers and no body: a proxy script reads headers with a word, and
//! would need a parser for a body.

use crate::sip::params::split_list;
use crate::verdict::Verdict;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::str::FromStr;

/// Name of the Info Package that carries results.
pub const INFO_PACKAGE: &str = "voice-id";
/// Longest value of a header, in bytes; a longer one is left out, for half an id would be another's.
pub const MAX_VALUE: usize = 1024;
/// Longest prefix of header names.
pub const MAX_PREFIX: usize = 32;

/// Name and value of a header.
pub type Header = (String, String);

/// Prefix of our header names, without the hyphen behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPrefix(String);

/// The text is no prefix of header names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no prefix of header names: 1 to {MAX_PREFIX} letters, digits and hyphens, beginning with a letter \
     and not ending with a hyphen"
)]
pub struct BadPrefix(String);

impl Default for HeaderPrefix {
    fn default() -> Self {
        Self("X-Voice-ID".to_owned())
    }
}

impl FromStr for HeaderPrefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let fits = (1..=MAX_PREFIX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !text.ends_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(BadPrefix(text.to_owned())) }
    }
}

impl HeaderPrefix {
    /// A header name, such as `X-Voice-ID-Status` for `Status`.
    pub fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.0)
    }

    /// The header that claims a speaker.
    pub fn speaker(&self) -> String {
        self.name("Speaker")
    }

    /// The header that asks for a call by its Call-ID.
    pub fn call(&self) -> String {
        self.name("Call")
    }
}

/// What an answer's headers tell, in the order that README lists them.
pub const FIELDS: [&str; 8] =
    ["status", "score", "threshold", "net-speech", "speaker", "result-id", "reason", "fraud-risk"];

/// Which of [`FIELDS`] a peer gets: a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderChoice(u8);

impl HeaderChoice {
    /// All of them.
    pub const ALL: Self = Self(u8::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// These words of [`FIELDS`].
    ///
    /// # Errors
    /// The first word that is none of them.
    pub fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, &'w str> {
        words.into_iter().try_fold(Self::NONE, |Self(bits), word| {
            let index = FIELDS.iter().position(|field| *field == word).ok_or(word)?;
            Ok(Self(bits | 1 << index))
        })
    }

    /// Whether the peer gets any.
    pub const fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether the peer gets the one that `FIELDS` calls `field`.
    pub fn has(self, field: &str) -> bool {
        FIELDS.iter().position(|known| *known == field).is_some_and(|index| self.0 & (1 << index) != 0)
    }
}

/// How a peer is told: which headers, and how their names begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderStyle {
    /// How the names begin.
    pub prefix: HeaderPrefix,
    /// Which there are.
    pub choice: HeaderChoice,
}

impl HeaderStyle {
    /// The headers of an answer; what there is not yet, and what this peer does not get, has no header.
    pub fn headers(&self, verdict: &Verdict) -> Vec<Header> {
        let all = verdict_headers(&self.prefix, verdict);
        let wanted: Vec<String> = FIELDS
            .iter()
            .filter(|field| self.choice.has(field))
            .map(|field| self.prefix.name(field))
            .collect();
        all.into_iter().filter(|(name, _)| wanted.iter().any(|it| it.eq_ignore_ascii_case(name))).collect()
    }

    /// The headers of an INFO that tells a result; it has no body.
    pub fn info(&self, verdict: &Verdict) -> Vec<Header> {
        let mut headers = vec![("Info-Package".to_owned(), INFO_PACKAGE.to_owned())];
        headers.append(&mut self.headers(verdict));
        headers
    }
}

/// All headers of an answer, in the order of [`FIELDS`]; what there is not yet has no header.
pub fn verdict_headers(prefix: &HeaderPrefix, verdict: &Verdict) -> Vec<Header> {
    let reasons = verdict.reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ");
    [
        ("Status", Some(verdict.status.as_str().to_owned())),
        ("Score", verdict.score.and_then(tenths)),
        ("Threshold", tenths(verdict.threshold)),
        ("Net-Speech", tenths(verdict.net_speech_s)),
        ("Speaker", verdict.speaker_id.as_deref().map(escape)),
        ("Result-ID", Some(escape(&verdict.result_id))),
        ("Reason", Some(reasons)),
        ("Fraud-Risk", Some(escape(&verdict.fraud.risk))),
    ]
    .into_iter()
    .filter_map(|(what, value)| Some((prefix.name(what), value?)))
    .filter(|(_, value)| (1..=MAX_VALUE).contains(&value.len()))
    .collect()
}

/// Whether a peer's `Recv-Info` headers name our package (RFC 6086 section 10.9).
pub fn takes_info<'a>(recv_info: impl IntoIterator<Item = &'a str>) -> bool {
    recv_info.into_iter().flat_map(split_list).any(|package| {
        package.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(INFO_PACKAGE)
    })
}

/// All but letters, digits and `-_.~+@/=`; a colon too, lest an id read as an address.
static ESCAPED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'+')
    .remove(b'@')
    .remove(b'/')
    .remove(b'=');

/// `%XX` for every byte that cannot stand in a value of ours.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, &ESCAPED).to_string()
}

/// A number cut, not rounded, to a tenth, so that 89.97 never reads as a 90 that was refused; `None` for what
/// is no number.
fn tenths(value: f32) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let tenths = (f64::from(value) * 10.0).floor();
    Some(format!("{}", tenths / 10.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::identity::claimed_speaker;
    use crate::pii::SpeakerId;
    use crate::verdict::{Fraud, QualityReport, Reason, Status};
    use proptest::prelude::*;

    fn verdict() -> Verdict {
        Verdict {
            status: Status::NotAuthenticated,
            score: Some(89.97),
            threshold: 90.0,
            llr: Some(1.0),
            far_at_score: None,
            result_id: "r-1".to_owned(),
            net_speech_s: 10.25,
            speaker_id: Some("Zo\u{eb} <1>".to_owned()),
            audio_from: None,
            audio_to: None,
            reasons: vec![Reason::LowSnr, Reason::PacketLoss],
            quality: QualityReport::default(),
            voiceprint_version: None,
            fraud: Fraud { risk: "none".to_owned(), indicators: Vec::new() },
        }
    }

    fn lines(headers: &[Header]) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn an_answer_has_all_its_headers() {
        let expected = [
            "X-Voice-ID-Status: not-authenticated",
            "X-Voice-ID-Score: 89.9",
            "X-Voice-ID-Threshold: 90",
            "X-Voice-ID-Net-Speech: 10.2",
            "X-Voice-ID-Speaker: Zo%C3%AB%20%3C1%3E",
            "X-Voice-ID-Result-ID: r-1",
            "X-Voice-ID-Reason: low-snr, packet-loss",
            "X-Voice-ID-Fraud-Risk: none",
        ];
        assert_eq!(lines(&verdict_headers(&HeaderPrefix::default(), &verdict())), expected);
        let style = HeaderStyle { prefix: HeaderPrefix::default(), choice: HeaderChoice::ALL };
        assert_eq!(lines(&style.headers(&verdict())), expected);
        let info = style.info(&verdict());
        assert_eq!(lines(&info)[0], "Info-Package: voice-id");
        assert_eq!(info.len(), expected.len() + 1);
    }

    #[test]
    fn what_there_is_not_has_no_header() {
        let prefix = "P-Bank".parse::<HeaderPrefix>().unwrap();
        let bare = Verdict {
            status: Status::NotEnrolled,
            score: None,
            speaker_id: Some("\u{1f4de}".repeat(256)),
            result_id: String::new(),
            reasons: Vec::new(),
            net_speech_s: f32::NAN,
            fraud: Fraud::default(),
            ..verdict()
        };
        let expected = ["P-Bank-Status: not-enrolled", "P-Bank-Threshold: 90"];
        assert_eq!(lines(&verdict_headers(&prefix, &bare)), expected);
    }

    #[test]
    fn a_peer_gets_what_it_is_configured_for() {
        let choice = HeaderChoice::of(["reason", "status"]).unwrap();
        let style = HeaderStyle { prefix: "P-Bank".parse().unwrap(), choice };
        let expected = ["P-Bank-Status: not-authenticated", "P-Bank-Reason: low-snr, packet-loss"];
        assert_eq!(lines(&style.headers(&verdict())), expected);
        assert!(choice.any() && choice.has("status") && !choice.has("speaker"));
        assert_eq!(HeaderChoice::of(FIELDS), Ok(HeaderChoice::ALL));
        assert_eq!(HeaderChoice::of(["status", "points"]), Err("points"));
        let silent = HeaderStyle { choice: HeaderChoice::NONE, ..style };
        assert!(silent.headers(&verdict()).is_empty() && !silent.choice.any());
    }

    #[test]
    fn prefixes_are_checked() {
        for good in ["X", "X-Voice-ID", "P-Bank2"] {
            assert_eq!(good.parse::<HeaderPrefix>().unwrap().name("Call"), format!("{good}-Call"));
        }
        for bad in ["", "-X", "2X", "X-", "X Y", "X:Y", "X\r\nVia", &"x".repeat(33)] {
            assert_eq!(bad.parse::<HeaderPrefix>(), Err(BadPrefix(bad.to_owned())));
        }
        assert_eq!(HeaderPrefix::default().speaker(), "X-Voice-ID-Speaker");
        assert_eq!(HeaderPrefix::default().call(), "X-Voice-ID-Call");
    }

    #[test]
    fn an_id_that_looks_like_an_address_stays_itself() {
        for id in ["sip:alice@h", "\"a\" <tel:1>", "100%25"] {
            assert_eq!(claimed_speaker(&escape(id), false).unwrap().reveal(), id);
        }
    }

    #[test]
    fn info_goes_to_who_takes_it() {
        assert!(takes_info(["dtmf, Voice-ID;q=1"]));
        assert!(takes_info(["dtmf", "voice-id"]));
        for none in ["", "voice-identity", "dtmf"] {
            assert!(!takes_info([none]));
        }
    }

    proptest! {
        #[test]
        fn values_are_visible_ascii_whatever_they_hold(id in "(?s).{0,300}", score: f32, result in "(?s).{0,20}") {
            let fraud = Fraud { risk: result.clone(), indicators: Vec::new() };
            let odd =
                Verdict { speaker_id: Some(id), score: Some(score), result_id: result, fraud, ..verdict() };
            for (name, value) in verdict_headers(&HeaderPrefix::default(), &odd) {
                prop_assert!(name.starts_with("X-Voice-ID-"));
                prop_assert!(!value.is_empty() && value.len() <= MAX_VALUE);
                prop_assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{}", value);
            }
        }

        #[test]
        fn a_speaker_sent_back_is_the_same_speaker(id in "[^\\s\\p{C}]{1,60}") {
            let known = SpeakerId::new(&id).unwrap();
            let value = escape(&id);
            prop_assert_eq!(claimed_speaker(&value, false), Some(known));
        }
    }
}
