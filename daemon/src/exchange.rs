//! The exchange: all calls in progress, and everybody who asks about them.
//!
//! [`Exchange`] is the handle that the SIP shell and the API hold.

use crate::pii::SpeakerId;
use crate::verdict::Verdict;
use crate::view::{CallView, EnrollmentView, SpeakerView, StatusView};

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No such call.
    #[error("there is no call with this id; `vouchctl calls` lists those in progress")]
    NoSuchCall,
    /// No such speaker.
    #[error("this speaker is not known here")]
    NoSuchSpeaker,
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

/// Handle of the exchange; cheap to clone.
#[derive(Clone, Debug)]
pub struct Exchange {}

#[allow(
    clippy::unused_async,
    missing_docs,
    clippy::needless_pass_by_value,
    reason = "signatures for the interfaces; bodies follow"
)]
impl Exchange {
    pub async fn status(&self) -> Result<StatusView, AskError> {
        Err(AskError::Stopping)
    }
    pub async fn calls(&self) -> Result<Vec<CallView>, AskError> {
        Err(AskError::Stopping)
    }
    pub async fn call(&self, call: &str) -> Result<CallView, AskError> {
        let _ = call;
        Err(AskError::Stopping)
    }
    pub async fn result(&self, call: &str) -> Result<Verdict, AskError> {
        let _ = call;
        Err(AskError::Stopping)
    }
    pub async fn set_speaker(&self, call: &str, speaker: SpeakerId) -> Result<CallView, AskError> {
        let _ = (call, speaker);
        Err(AskError::Stopping)
    }
    pub async fn enroll(&self, call: &str, consent: Option<String>) -> Result<EnrollmentView, AskError> {
        let _ = (call, consent);
        Err(AskError::Stopping)
    }
    pub async fn evaluate(&self, call: &str, start_new: bool) -> Result<Verdict, AskError> {
        let _ = (call, start_new);
        Err(AskError::Stopping)
    }
    pub async fn speakers(&self) -> Result<Vec<SpeakerView>, AskError> {
        Err(AskError::Stopping)
    }
    pub async fn speaker(&self, speaker: SpeakerId) -> Result<SpeakerView, AskError> {
        let _ = speaker;
        Err(AskError::Stopping)
    }
    pub async fn opt_out(&self, speaker: SpeakerId) -> Result<SpeakerView, AskError> {
        let _ = speaker;
        Err(AskError::Stopping)
    }
    pub async fn opt_in(&self, speaker: SpeakerId) -> Result<SpeakerView, AskError> {
        let _ = speaker;
        Err(AskError::Stopping)
    }
    pub async fn delete(&self, speaker: SpeakerId) -> Result<(), AskError> {
        let _ = speaker;
        Err(AskError::Stopping)
    }
    /// Enrolls from recordings (decoded PCM and its rate each), as `vouchctl enroll-file` sends them.
    pub async fn enroll_recordings(
        &self,
        speaker: SpeakerId,
        recordings: Vec<crate::audio::Recording>,
        consent: Option<String>,
    ) -> Result<SpeakerView, AskError> {
        let _ = (speaker, recordings, consent);
        Err(AskError::Stopping)
    }
    /// Events after `last`, live; see [`crate::events`].
    pub fn events(&self, last: Option<u64>) -> crate::events::Subscription {
        let _ = last;
        crate::events::Subscription::default()
    }
}
