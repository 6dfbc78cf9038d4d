//! Values of the configuration that concern answers to gateways.

use super::read::{Fault, FromToml, Value};
use super::values::{choose, from_text, text_of};
use crate::sip::headers::{FIELDS, HeaderChoice};
use crate::sip::verification::{ServiceAnswer, ServiceUser, UnknownCall};
use crate::verdict::Status;
use std::str::FromStr;
use toml::de::DeValue;

/// `true`, `false`, or the words of those that the peer gets.
impl FromToml for HeaderChoice {
    fn from_toml(value: &Value<'_>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::Boolean(true) => Ok(Self::ALL),
            DeValue::Boolean(false) => Ok(Self::NONE),
            DeValue::Array(words) => {
                let known = FIELDS.map(|field| (field, field));
                words.iter().try_fold(Self::NONE, |_, word| {
                    let text = text_of(word, "a word in quotes")?;
                    choose(text, &known).map(|_| Self::NONE).map_err(|why| Fault::at(word, why))
                })?;
                let texts = words.iter().filter_map(|word| word.get_ref().as_str());
                Self::of(texts).map_err(|word| Fault::at(value, format!("`{word}` is no header word")))
            }
            other => {
                let what = other.type_str();
                Err(Fault::at(value, format!("must be true, false or a list of header words, not {what}")))
            }
        }
    }
}

impl FromStr for ServiceAnswer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = [
            ("302", Self::Redirect),
            ("200", Self::Accept),
            ("404", Self::NotFound),
            ("503", Self::Unavailable),
        ];
        choose(text, &words)
    }
}

impl FromStr for UnknownCall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        choose(text, &[("pending", Self::Pending), ("inconclusive", Self::Inconclusive)])
    }
}

/// `*`, or a user part.
impl FromStr for ServiceUser {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~+#".contains(&byte);
        match text.bytes().find(|&byte| !fits(byte)) {
            _ if text == "*" => Ok(Self::Anybody),
            Some(byte) => Err(format!("`{}` cannot stand in a SIP user part", char::from(byte))),
            None if text.is_empty() => Ok(Self::Nobody),
            None => Ok(Self::Named(text.to_owned())),
        }
    }
}

/// A status that a question may be blocked for.
impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = [
            Self::NotAuthenticated,
            Self::Inconclusive,
            Self::NotEnrolled,
            Self::OptedOut,
            Self::Error,
            Self::Pending,
            Self::Authenticated,
        ]
        .map(|status| (status.as_str(), status));
        match choose(text, &words)? {
            Self::Authenticated => Err(format!("`{text}` cannot be blocked")),
            status => Ok(status),
        }
    }
}

from_text! {
    ServiceAnswer: "a SIP status in quotes, such as \"302\"",
    UnknownCall: "a word in quotes",
    ServiceUser: "a user part in quotes",
    Status: "a word in quotes",
}
