//! The configuration: `/etc/vouch/vouchd.toml`, read once, every fault of it reported with its line.
//!
//! [`Config::default`] is what the shipped file says (a test holds the two together), so a daemon without
//! a file behaves like one with the file as installed. A key that nobody reads is refused, and so is a
//! value that cannot work; [`ConfigError`] carries all of them, not only the first.

mod read;
mod sections;
mod service;
mod values;

pub use sections::{
    Alsa, Api, Authentication, Enrollment, Identity, Limits, Peer, Retention, Sip, Store, Tap, Voice,
};
pub use values::{InfoRule, PortRange, parse_duration};

use read::{Reader, Section};
use sections::MAX_DEVICES;
use std::fmt;
use std::path::{Path, PathBuf};

/// Version of the configuration format that this program understands.
pub const VERSION: i64 = 1;

/// Where the configuration lies unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/vouch/vouchd.toml";

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where SIP and RTP are heard.
    pub sip: Sip,
    /// Gateways that may talk to Vouch.
    pub peers: Vec<Peer>,
    /// Interfaces that calls between others are overheard on.
    pub tap: Tap,
    /// Capture devices that calls are heard on.
    pub alsa: Vec<Alsa>,
    /// Where a call's speaker id comes from.
    pub identity: Identity,
    /// When a caller is authenticated.
    pub authentication: Authentication,
    /// What an enrollment needs.
    pub enrollment: Enrollment,
    /// The voice engine.
    pub voice: Voice,
    /// Where voiceprints are kept.
    pub store: Store,
    /// The socket.
    pub api: Api,
    /// How long things are kept.
    pub retention: Retention,
    /// How much is done at once.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sip: Sip::default(),
            peers: vec![Peer::default()],
            tap: Tap::default(),
            alsa: Vec::new(),
            identity: Identity::default(),
            authentication: Authentication::default(),
            enrollment: Enrollment::default(),
            voice: Voice::default(),
            store: Store::default(),
            api: Api::default(),
            retention: Retention::default(),
            limits: Limits::default(),
        }
    }
}

/// One fault of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line of the fault, from 1.
    pub line: usize,
    /// The key, such as `sip.listen`; empty when the fault is in the syntax.
    pub key: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file has faults: all that were found, in order of lines.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read, or lists every fault of it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a configuration; `path` is named in errors.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] lists every fault of the text.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let (document, reader) = Reader::new(text, path);
        let mut config = Self::default();
        let mut root = Section::root(&reader, document.get_ref());
        root.version(VERSION);
        root.section("sip", |s| config.sip.read(s));
        root.tables("peers", &mut config.peers, Peer::blank, Peer::read);
        root.section("tap", |s| config.tap.read(s));
        root.tables("alsa", &mut config.alsa, Alsa::blank, Alsa::read);
        root.section("identity", |s| config.identity.read(s));
        root.section("authentication", |s| config.authentication.read(s));
        root.section("enrollment", |s| config.enrollment.read(s));
        root.section("voice", |s| config.voice.read(s));
        root.section("store", |s| config.store.read(s));
        root.section("api", |s| config.api.read(s));
        root.section("retention", |s| config.retention.read(s));
        root.section("limits", |s| config.limits.read(s));
        config.check_together(&root);
        root.finish();
        let problems = reader.into_problems();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// Rules that concern several keys.
    fn check_together(&self, root: &Section<'_, '_>) {
        let named_twice = |key: &str, names: Vec<&str>| {
            let twice = names.iter().enumerate().find(|&(i, name)| names[..i].contains(name));
            if let Some((_, twice)) = twice {
                root.fault(key, format!("two of them are called `{twice}`; logs could not tell them apart"));
            }
        };
        named_twice("peers", self.peers.iter().map(|peer| peer.name.as_str()).collect());
        named_twice("alsa", self.alsa.iter().map(|device| device.name.as_str()).collect());
        if self.alsa.len() > MAX_DEVICES {
            root.fault("alsa", format!("at most {MAX_DEVICES} devices"));
        }
        let room = self.sip.rtp_ports.streams() / STREAMS_PER_CALL;
        if room < self.limits.max_calls {
            root.fault_at(
                &["limits", "max-calls"],
                &["sip", "rtp-ports"],
                format!(
                    "{} calls need {} RTP ports (two streams of two ports each); sip.rtp-ports {} has room for {room}",
                    self.limits.max_calls,
                    self.limits.max_calls * STREAMS_PER_CALL * 2,
                    self.sip.rtp_ports,
                ),
            );
        }
    }
}

/// RTP streams of one call at most: SIPREC brings both parties.
const STREAMS_PER_CALL: u32 = 2;

/// All problems, one a line.
fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
