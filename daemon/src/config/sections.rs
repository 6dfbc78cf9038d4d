//! The sections of the configuration: their keys, defaults and limits.

mod alsa;
mod ways_in;

pub use alsa::Alsa;
pub(super) use alsa::MAX_DEVICES;
pub use ways_in::{Peer, Sip, Tap};

use super::read::{Fault, FromToml, Section, Value};
use super::values::{Bytes, from_text, text_of};
use crate::call::identity::{IdentityRules, IdentitySource};
use crate::store::KeySource;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use vouch_dsp::sizes::{FRAMES_PER_SECOND, MAX_FRAMES};

/// Section `[identity]`: where a call's speaker id comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// `sources` and `keep-host`.
    pub rules: IdentityRules,
}

impl Identity {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read("sources", &mut self.rules.sources);
        section.read("keep-host", &mut self.rules.keep_host);
    }
}

/// Longest speech that one embedding is made of.
const MAX_SPEECH: Duration = Duration::from_secs((MAX_FRAMES / FRAMES_PER_SECOND) as u64);

/// Section `[authentication]`: when a caller is authenticated.
#[derive(Clone, Debug, PartialEq)]
pub struct Authentication {
    /// `threshold`: score from which a caller is authenticated, 0 to 100.
    pub threshold: f32,
    /// `net-speech`: speech of the caller that an answer rests on.
    pub net_speech: Duration,
    /// `calibration`: the site's own calibration of the scores; the shipped one when absent.
    pub calibration: Option<PathBuf>,
}

impl Default for Authentication {
    fn default() -> Self {
        Self { threshold: 90.0, net_speech: Duration::from_secs(10), calibration: None }
    }
}

impl Authentication {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read_if("threshold", &mut self.threshold, |threshold| {
            if (0.0..=100.0).contains(threshold) { Ok(()) } else { Err("must be 0 to 100".to_owned()) }
        });
        section.read_if(
            "net-speech",
            &mut self.net_speech,
            within("3s", Duration::from_secs(3)..=MAX_SPEECH),
        );
        section.read("calibration", &mut self.calibration);
    }
}

/// Section `[enrollment]`: what an enrollment needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrollment {
    /// `net-speech`: speech that a voiceprint is made of.
    pub net_speech: Duration,
    /// `consent-required`: whether an enrollment without a consent reference is refused.
    pub consent_required: bool,
}

impl Default for Enrollment {
    fn default() -> Self {
        Self { net_speech: MAX_SPEECH, consent_required: true }
    }
}

impl Enrollment {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read_if(
            "net-speech",
            &mut self.net_speech,
            within("10s", Duration::from_secs(10)..=MAX_SPEECH),
        );
        section.read("consent-required", &mut self.consent_required);
    }
}

/// Section `[voice]`: the voice engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Voice {
    /// `workers`: threads that run the network; one for each core but one when zero.
    pub workers: u32,
}

impl Voice {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read_if("workers", &mut self.workers, |workers| match workers {
            0..=256 => Ok(()),
            _ => Err("must be 1 to 256, or 0 for one on each core".to_owned()),
        });
    }
}

/// Section `[store]`: where voiceprints are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// `path`: directory of the store.
    pub path: PathBuf,
    /// `key`: where the master key comes from.
    pub key: KeySource,
    /// `create-key`: whether the first start may make a key file.
    pub create_key: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: PathBuf::from("/var/lib/vouch/store"), key: KeySource::Auto, create_key: true }
    }
}

impl Store {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read("path", &mut self.path);
        section.read("key", &mut self.key);
        section.read("create-key", &mut self.create_key);
        if matches!(&self.key, KeySource::File(file) if file.starts_with(&self.path)) {
            section.fault("key", "lies inside the store; who copies the store must not get the key with it");
        }
    }
}

/// Section `[api]`: the socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// `socket`: path of the socket.
    pub socket: PathBuf,
    /// `read-group`: Unix group that may read.
    pub read_group: String,
    /// `agent-group`: Unix group that may enroll, evaluate and opt speakers in and out.
    pub agent_group: String,
    /// `admin-group`: Unix group that may do everything.
    pub admin_group: String,
    /// `max-connections`: connections at once.
    pub max_connections: u32,
    /// `request-deadline`: time a client has to send a request.
    pub request_deadline: Duration,
    /// `body-limit`: largest request body, in bytes.
    pub body_limit: usize,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/vouch/vouch.sock"),
            read_group: "vouch".to_owned(),
            agent_group: "vouch-agent".to_owned(),
            admin_group: "vouch-admin".to_owned(),
            max_connections: 64,
            request_deadline: Duration::from_secs(10),
            body_limit: 32 << 20,
        }
    }
}

impl Api {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read_if("socket", &mut self.socket, |path| match path.as_os_str().len() {
            // sockaddr_un holds 108 bytes with the final zero (unix(7)).
            0..=107 => Ok(()),
            length => Err(format!("has {length} bytes; a socket path has at most 107")),
        });
        section.read_if("read-group", &mut self.read_group, |group| group_name(group));
        section.read_if("agent-group", &mut self.agent_group, |group| group_name(group));
        section.read_if("admin-group", &mut self.admin_group, |group| group_name(group));
        section.read_if("max-connections", &mut self.max_connections, between(1..=4096));
        let deadline = Duration::from_secs(1)..=Duration::from_mins(5);
        section.read_if("request-deadline", &mut self.request_deadline, within("1s", deadline));
        let mut limit = Bytes(self.body_limit);
        section.read_if("body-limit", &mut limit, |limit| match limit.0 {
            0x1_0000..=0x4000_0000 => Ok(()),
            _ => Err("must be 64KiB to 1GiB".to_owned()),
        });
        self.body_limit = limit.0;
    }
}

/// Section `[retention]`: how long things are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    /// `calls`: how long an ended call and its result can still be asked for.
    pub calls: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { calls: Duration::from_mins(10) }
    }
}

impl Retention {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read_if("calls", &mut self.calls, within("0s", Duration::ZERO..=Duration::from_hours(24)));
    }
}

/// Section `[limits]`: how much is done at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// `max-calls`: calls at once; the next one is refused.
    pub max_calls: u32,
    /// `media-timeout`: a call without a packet for this long is over.
    pub media_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_calls: 100, media_timeout: Duration::from_mins(30) }
    }
}

impl Limits {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read_if("max-calls", &mut self.max_calls, between(1..=10_000));
        let timeout = Duration::from_secs(10)..=Duration::from_hours(24);
        section.read_if("media-timeout", &mut self.media_timeout, within("10s", timeout));
    }
}

from_text! {
    IdentitySource: "a word in quotes",
    KeySource: "text such as \"file:/var/lib/vouch/master.key\"",
}

/// A default that is written as in the file.
fn constant<T: FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect("the defaults are well formed: a test makes them all")
}

fn within(least: &str, range: RangeInclusive<Duration>) -> impl FnOnce(&Duration) -> Result<(), String> {
    move |duration| {
        if range.contains(duration) {
            return Ok(());
        }
        Err(format!("must be {least} to {}s", range.end().as_secs()))
    }
}

fn between(range: RangeInclusive<u32>) -> impl FnOnce(&u32) -> Result<(), String> {
    move |number| {
        if range.contains(number) {
            return Ok(());
        }
        Err(format!("must be {} to {}", range.start(), range.end()))
    }
}

fn group_name(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
    if !name.is_empty() && name.len() <= 32 && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(format!("`{name}` cannot be the name of a Unix group"))
}
