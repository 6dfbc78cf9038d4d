//! What a request may be answered with when it is not carried out.

use crate::store::StoreError;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No such call.
    #[error("there is no call with this id; `vouchctl calls` lists those in progress")]
    NoSuchCall,
    /// No such speaker.
    #[error("this speaker is not known here")]
    NoSuchSpeaker,
    /// No such capture device.
    #[error("there is no capture device of this name; `vouchctl capture list` shows those configured")]
    NoSuchDevice,
    /// The call has no speaker id yet.
    #[error("the call has no speaker id yet; set one first")]
    NoSpeakerId,
    /// The speaker opted out.
    #[error("the speaker opted out; opt in first")]
    OptedOut,
    /// Consent is required by the configuration and was not given.
    #[error("enrollment needs a consent reference here")]
    ConsentRequired,
    /// The request cannot be carried out in the state the call or speaker is in.
    #[error("{0}")]
    Conflict(String),
    /// Unusable content.
    #[error("{0}")]
    Invalid(String),
    /// The store failed; nothing was changed.
    #[error("the store failed: {0}")]
    Store(String),
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

impl From<StoreError> for AskError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OptedOut => Self::OptedOut,
            error => Self::Store(error.to_string()),
        }
    }
}
