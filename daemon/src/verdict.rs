//! The answer about a caller.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Where a verification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not enough net speech yet.
    Pending,
    /// Score at or above the threshold.
    Authenticated,
    /// Score below the threshold.
    NotAuthenticated,
    /// The call gave no basis for a decision; the reasons say why.
    Inconclusive,
    /// No voiceprint for this speaker, or no speaker known.
    NotEnrolled,
    /// The speaker opted out: nothing is analysed.
    OptedOut,
    /// A fault of the system; never a statement about the caller.
    Error,
}

impl Status {
    /// Word used in headers, JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Authenticated => "authenticated",
            Self::NotAuthenticated => "not-authenticated",
            Self::Inconclusive => "inconclusive",
            Self::NotEnrolled => "not-enrolled",
            Self::OptedOut => "opted-out",
            Self::Error => "error",
        }
    }

    /// Whether this answer stands until somebody asks anew.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an answer is inconclusive or an error, or what to know about a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The call ended, or the wait did, before there was enough net speech.
    TooLittleSpeech,
    /// No packet of the caller's stream arrived.
    NoAudio,
    /// The caller's stream uses a codec that Vouch does not decode.
    UnsupportedCodec,
    /// The caller's stream is encrypted, and its keys are not known.
    Encrypted,
    /// Much of the audio was lost on the way.
    PacketLoss,
    /// Most packets of the caller's stream are not authentic under the SRTP key that the gateway gave.
    SrtpKey,
    /// Noise covers the speech.
    LowSnr,
    /// The recording is clipped.
    Clipping,
    /// The speech is very quiet.
    LowLevel,
    /// More than one voice was heard in the caller's stream.
    SeveralVoices,
    /// Which stream is the caller's cannot be known.
    CallerUnknown,
    /// Caller and agent come mixed in one stream.
    MixedStream,
    /// The same voice was heard in the calls of several speakers of this gateway: its streams seem to be swapped, and the
    /// voice to be the agent's.
    SwappedStreams,
    /// No speaker id was given for the call.
    NoSpeakerId,
    /// The voiceprint was made by another model version: the speaker must be enrolled again.
    ModelMismatch,
    /// The voiceprint could not be read.
    StoreFault,
    /// The engine failed.
    EngineFault,
    /// The capture device went away during the call, and did not come back.
    DeviceGone,
    /// A gateway asked about a call that Vouch does not hear.
    UnknownCall,
    /// A gateway's question fits several calls, so none of their answers is given.
    AmbiguousCall,
}

impl Reason {
    /// Word used in headers, JSON and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLittleSpeech => "too-little-speech",
            Self::NoAudio => "no-audio",
            Self::UnsupportedCodec => "unsupported-codec",
            Self::Encrypted => "encrypted",
            Self::PacketLoss => "packet-loss",
            Self::SrtpKey => "srtp-key",
            Self::LowSnr => "low-snr",
            Self::Clipping => "clipping",
            Self::LowLevel => "low-level",
            Self::SeveralVoices => "several-voices",
            Self::CallerUnknown => "caller-unknown",
            Self::MixedStream => "mixed-stream",
            Self::SwappedStreams => "swapped-streams",
            Self::NoSpeakerId => "no-speaker-id",
            Self::ModelMismatch => "model-mismatch",
            Self::StoreFault => "store-fault",
            Self::EngineFault => "engine-fault",
            Self::DeviceGone => "device-gone",
            Self::UnknownCall => "unknown-call",
            Self::AmbiguousCall => "ambiguous-call",
        }
    }
}

/// How good the audio of an answer was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QualityReport {
    /// Speech-to-noise ratio in dB.
    pub snr_db: Option<f32>,
    /// Share of the audio that was lost and concealed, 0 to 1.
    pub loss: f32,
    /// Share of clipped samples in speech, 0 to 1.
    pub clipping: f32,
    /// Speech level in dB relative to full scale.
    pub level_dbfs: Option<f32>,
    /// SRTP packets that were refused, since the key of the SDP did not authenticate them.
    #[serde(default)]
    pub unauthentic: u64,
}

/// Signs of fraud, kept apart from the authentication answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fraud {
    /// `none`, `low`, `medium` or `high`.
    pub risk: String,
    /// Stable words for what was noticed.
    pub indicators: Vec<String>,
}

/// One answer about one call, as `GET /v1/calls/{id}/result` gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Where the verification stands.
    pub status: Status,
    /// Score, 0 to 100; absent until there is one.
    pub score: Option<f32>,
    /// Threshold the score is held against.
    pub threshold: f32,
    /// Natural log-likelihood ratio behind the score.
    pub llr: Option<f32>,
    /// False-accept rate expected at a threshold equal to this score.
    pub far_at_score: Option<f32>,
    /// Names this answer; the same id is always the same answer.
    pub result_id: String,
    /// Seconds of net speech that the answer rests on.
    pub net_speech_s: f32,
    /// Claimed identity.
    pub speaker_id: Option<String>,
    /// Start of the audio that the answer rests on (RFC 3339, UTC).
    pub audio_from: Option<String>,
    /// End of that audio.
    pub audio_to: Option<String>,
    /// Why, when the answer is inconclusive, or what to know about the score.
    pub reasons: Vec<Reason>,
    /// How good the audio was.
    pub quality: QualityReport,
    /// Version of the voiceprint compared with; it grows with every enrollment of the speaker.
    pub voiceprint_version: Option<u32>,
    /// Signs of fraud.
    pub fraud: Fraud,
}
