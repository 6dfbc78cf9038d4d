//! Personal data, which must never reach a log.

use std::fmt;

/// A value that identifies a person: its `Debug` and `Display` print a placeholder.
///
/// To use the value, say so with [`Pii::reveal`]; every call of it is a place to review.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Wraps a personal value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the wire, the store or the socket; never for a log.
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// Unwraps the value, under the same rule as [`Pii::reveal`].
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<personal>")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<personal>")
    }
}

/// Longest speaker id, in characters.
pub const MAX_SPEAKER_ID: usize = 256;

/// A claimed identity: 1 to 256 characters, none of them a control character.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpeakerId(Pii<String>);

/// Why a text is no speaker id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpeakerIdError {
    /// No characters at all.
    #[error("a speaker id needs at least one character")]
    Empty,
    /// Over [`MAX_SPEAKER_ID`] characters.
    #[error("a speaker id has at most {MAX_SPEAKER_ID} characters, this one has {0}")]
    TooLong(usize),
    /// A control character, which no header or log line could carry.
    #[error("a speaker id has no control characters, this one has one at position {0}")]
    Control(usize),
}

impl SpeakerId {
    /// Checks and wraps a speaker id.
    ///
    /// # Errors
    /// [`SpeakerIdError`] names the rule that `text` breaks.
    pub fn new(text: &str) -> Result<Self, SpeakerIdError> {
        let length = text.chars().count();
        if length == 0 {
            return Err(SpeakerIdError::Empty);
        }
        if length > MAX_SPEAKER_ID {
            return Err(SpeakerIdError::TooLong(length));
        }
        if let Some(position) = text.chars().position(char::is_control) {
            return Err(SpeakerIdError::Control(position));
        }
        Ok(Self(Pii::new(text.to_owned())))
    }

    /// The id itself; see [`Pii::reveal`].
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Debug for SpeakerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<speaker>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaker_ids_are_checked() {
        assert_eq!(SpeakerId::new(""), Err(SpeakerIdError::Empty));
        assert_eq!(SpeakerId::new(&"x".repeat(257)), Err(SpeakerIdError::TooLong(257)));
        assert_eq!(SpeakerId::new("a\r\nb"), Err(SpeakerIdError::Control(1)));
        assert_eq!(SpeakerId::new("Zoë 📞").unwrap().reveal(), "Zoë 📞");
    }

    #[test]
    fn debug_and_display_say_nothing() {
        let id = SpeakerId::new("+15551230001").unwrap();
        assert_eq!(format!("{id:?} {:?} {}", Pii::new(1), Pii::new("x")), "<speaker> <personal> <personal>");
    }
}
