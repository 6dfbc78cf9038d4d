//! What the socket shows: plain structs, made by the exchange, printed by the API and by `vouchctl`.

use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// State of the daemon, `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// Version of vouchd.
    pub version: String,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Calls in progress.
    pub calls: u32,
    /// Most calls at once.
    pub max_calls: u32,
    /// Speakers known (enrolled or opted out).
    pub speakers: u64,
    /// Version of the voice model.
    pub model_version: u32,
    /// `shipped`, or name and day of the site's own calibration of the scores.
    pub calibration: String,
    /// Kernel that runs the network, such as `scalar` or `avx2`.
    pub kernel: String,
    /// Codecs that this build decodes, by their encoding names in SDP.
    #[serde(default)]
    pub codecs: Vec<String>,
    /// Where SIP is heard, such as `udp:127.0.0.1:5060`.
    pub listeners: Vec<String>,
    /// Interfaces that are tapped.
    pub tap: Vec<TapView>,
    /// Capture devices for hardware phones.
    #[serde(default)]
    pub captures: Vec<CaptureView>,
    /// `ready`, or what is wrong.
    pub health: String,
    /// Gateways whose calls need looking at.
    #[serde(default)]
    pub warnings: Vec<GatewayWarning>,
}

/// A gateway whose streams seem to be swapped, so that the agent is judged in the caller's place: the same voice was heard
/// in the calls of several speakers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayWarning {
    /// Name of the gateway in the configuration.
    pub peer: String,
    /// How these calls come in.
    pub source: Source,
    /// Whether it still looks so.
    pub standing: bool,
    /// In how many speakers' calls the most frequent voice was heard.
    pub one_voice: u32,
    /// Speakers whose last calls were compared.
    pub speakers: u32,
    /// Since when (RFC 3339, UTC).
    pub since: String,
    /// What to do.
    pub remedy: String,
}

/// An interface that is tapped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TapView {
    /// Its name.
    pub interface: String,
    /// Frames that could hold something of calls.
    pub packets: u64,
    /// Of them, dropped because vouchd was late. The loss of calls, which their results tell, is another thing.
    pub dropped: u64,
}

/// What a capture device does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureState {
    /// The configuration switches it off.
    Off,
    /// Nobody asked for it: it is closed.
    #[default]
    Idle,
    /// It is open, and a call begins when somebody speaks.
    Listening,
    /// A call goes on.
    InCall,
    /// It cannot be used; the fault stands beside it. It is tried again and again.
    Absent,
    /// Whose device it is opted out: it is closed, and not listened to.
    OptedOut,
}

impl CaptureState {
    /// Word used on the socket and on the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Idle => "idle",
            Self::Listening => "listening",
            Self::InCall => "in-call",
            Self::Absent => "absent",
            Self::OptedOut => "opted-out",
        }
    }
}

/// A capture device, `GET /v1/captures`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaptureView {
    /// Its name in the configuration.
    pub name: String,
    /// The PCM as alsa-lib calls it.
    pub device: String,
    /// Channel that is heard, from 1.
    pub channel: u32,
    /// What it does.
    pub state: CaptureState,
    /// Why it cannot be used.
    pub fault: Option<String>,
    /// Samples per second at which it runs, while it is open.
    pub rate_hz: Option<u32>,
    /// The call that goes on, also while the device is away for a moment.
    pub call: Option<String>,
    /// Whether a call begins by itself when somebody speaks.
    pub auto_start: bool,
    /// Times that audio was lost because vouchd was late (xruns).
    pub overruns: u64,
    /// Audio of calls that was lost by that, or while the device was away, in ms.
    pub lost_ms: u64,
}

/// How a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A recording session of RFC 7866.
    Siprec,
    /// An INVITE that sends us the caller's audio.
    MediaLeg,
    /// A call between others, overheard on a network interface or in a capture file. Nothing can be answered to it.
    Tap,
    /// A capture device that a hardware phone is connected to.
    Alsa,
}

impl Source {
    /// Word used on the socket and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Siprec => "siprec",
            Self::MediaLeg => "media-leg",
            Self::Tap => "tap",
            Self::Alsa => "alsa",
        }
    }
}

/// How far an enrollment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnrollmentState {
    /// Nobody asked.
    None,
    /// Speech is being collected.
    Collecting,
    /// The voiceprint is stored.
    Complete,
    /// It failed; the reason stands beside it.
    Failed,
}

/// Enrollment of a call's speaker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnrollmentView {
    /// How far it is.
    pub state: EnrollmentState,
    /// Net speech collected, in seconds.
    pub net_speech_s: f32,
    /// Net speech needed, in seconds.
    pub needed_s: f32,
    /// Version of the stored voiceprint, once complete.
    pub voiceprint_version: Option<u32>,
    /// Why it failed.
    pub problem: Option<String>,
}

/// A call, `GET /v1/calls/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// Name of the call on the socket.
    pub id: String,
    /// Call-ID of its SIP dialog, if it has one.
    pub sip_call_id: Option<String>,
    /// How it came in.
    pub source: Source,
    /// Address of the gateway, or name of the capture device.
    pub peer: String,
    /// When it began (RFC 3339, UTC).
    pub started: String,
    /// When it ended.
    pub ended: Option<String>,
    /// Claimed identity.
    pub speaker_id: Option<String>,
    /// Codec of the caller's stream.
    pub codec: Option<String>,
    /// Net speech of the caller so far, in seconds.
    pub net_speech_s: f32,
    /// Where the verification stands.
    pub result: Verdict,
    /// Where the enrollment stands.
    pub enrollment: EnrollmentView,
}

/// What is known of a speaker, `GET /v1/speakers/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpeakerView {
    /// The speaker id.
    pub id: String,
    /// `enrolled`, `opted-out` or `not-enrolled`.
    pub status: String,
    /// Version of the voiceprint; grows with every enrollment.
    pub voiceprint_version: Option<u32>,
    /// Version of the model that made the voiceprint.
    pub model_version: Option<u32>,
    /// When enrolled (RFC 3339, UTC).
    pub enrolled_at: Option<String>,
    /// Net speech behind the voiceprint, in seconds.
    pub net_speech_s: Option<f32>,
    /// When the speaker opted out.
    pub opted_out_at: Option<String>,
    /// Reference of the consent given at enrollment.
    pub consent: Option<String>,
}

/// One event of `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Number of the event; grows by one each.
    pub id: u64,
    /// `call-started`, `progress`, `result`, `enrollment`, `call-ended`, `speaker`, `warning`, or `gap` where
    /// events were missed.
    pub kind: String,
    /// When (RFC 3339, UTC).
    pub time: String,
    /// The call, for events of a call.
    pub call: Option<CallView>,
    /// The speaker, for events of a speaker.
    pub speaker: Option<SpeakerView>,
    /// What looks wrong with a gateway, or no longer does.
    #[serde(default)]
    pub warning: Option<GatewayWarning>,
}
