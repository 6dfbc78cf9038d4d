//! A capture file through the same code as live calls, with the time of its packets as the clock.

use super::capture::{Capture, CaptureCounts, CaptureError};
use super::{Frame, TapCounts};
use crate::audio::{AudioError, Recording};
use crate::calibration::{CalibrationError, SiteCalibration};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::engine::{Engine, EngineConfig, EngineError};
use crate::exchange::{Exchange, Parts, Wiretap};
use crate::metrics::Metrics;
use crate::model;
use crate::pii::SpeakerId;
use crate::store::{MasterKey, Store, StoreError};
use crate::view::CallView;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use vouch_dsp::network::{ModelError, Network};

/// Calls at once: their memory is touched only as they fill it.
const MAX_CALLS: u32 = 1000;
/// How often calls are looked at, in the time of the capture.
const ROUND: Duration = Duration::from_secs(1);
/// What stands in the place of a consent for voiceprints that end with the replay.
const CONSENT: &str = "replay";

/// What is replayed, and what its callers are compared with.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The capture file.
    pub file: PathBuf,
    /// Configuration; the defaults where there is none.
    pub config: Option<PathBuf>,
    /// Voiceprints to make first, of recordings; several of one speaker make one voiceprint.
    pub enroll: Vec<(SpeakerId, PathBuf)>,
    /// Who all callers claim to be; by the signalling where there is none.
    pub speaker: Option<SpeakerId>,
}

/// What is told of the capture when it is at its end.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What the file says of itself.
    pub capture: CaptureCounts,
    /// What became of its frames.
    pub tap: TapCounts,
    /// Time from the first packet to the last.
    pub span: Duration,
    /// Calls that were going on when it ended.
    pub unfinished: u64,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The capture file.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The site's calibration, which the configuration names.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A recording to enroll from.
    #[error(transparent)]
    Recording(#[from] AudioError),
    /// No voiceprint came of the recordings.
    #[error("{}: no voiceprint: {cause}", .file.display())]
    Enrollment {
        /// The first of them.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// The model.
    #[error("the voice model is damaged: {0:?}")]
    Model(ModelError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store that holds the voiceprints for the time of the replay.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system.
    #[error("the replay cannot start: {0}")]
    Start(#[source] io::Error),
}

/// Replays a capture file; `each` gets each call when it has ended.
///
/// # Errors
/// [`ReplayError`]; of a file that is broken somewhere, the calls before that place were given to `each`.
pub fn run(request: &Request, each: &mut dyn FnMut(CallView)) -> Result<Summary, ReplayError> {
    let mut capture = Capture::open(&request.file)?;
    let mut stage = Stage::new(request)?;
    let read = capture.read(&mut |frame| stage.take(frame, each));
    let unfinished = stage.finish(each);
    let span = stage.last.saturating_sub(stage.first.unwrap_or(stage.last));
    read?;
    Ok(Summary { capture: capture.counts(), tap: stage.wiretap.counts(), span, unfinished })
}

/// Everything that a replay needs.
struct Stage {
    clock: Clock,
    exchange: Exchange,
    wiretap: Wiretap,
    runtime: Runtime,
    first: Option<Duration>,
    last: Duration,
    last_round: Duration,
    /// Goes with the replay; its key was never written down.
    _store: TempDir,
}

impl Stage {
    fn new(request: &Request) -> Result<Self, ReplayError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(ReplayError::Start)?;
        let mut config = match &request.config {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        let calibration =
            config.authentication.calibration.as_deref().map(SiteCalibration::load).transpose()?;
        config.limits.max_calls = config.limits.max_calls.max(MAX_CALLS);
        let folder = tempfile::tempdir().map_err(ReplayError::Start)?;
        let key: [u8; 32] = ring::rand::generate(&ring::rand::SystemRandom::new())
            .map_err(|_| ReplayError::Start(io::Error::other("the system gives no random bytes")))?
            .expose();
        let store = Store::open(&folder.path().join("store"), &MasterKey::from_bytes(key))?;
        let engine = Engine::start(
            &EngineConfig {
                max_calls: config.limits.max_calls as usize,
                ports: config.sip.rtp_ports.first()..=config.sip.rtp_ports.last(),
                workers: config.voice.workers as usize,
                receivers: 1,
            },
            Network::load(model::BLOB).map_err(ReplayError::Model)?,
        )?;
        let clock = Clock::recorded();
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), 0));
        let parts = Parts { config: Arc::new(config), engine, store: Arc::new(store), metrics, calibration };
        let exchange = Exchange::by_clock(parts, clock.clone());
        runtime.block_on(enroll(&exchange, &request.enroll))?;
        let wiretap = Wiretap::new(exchange.clone(), request.speaker.clone());
        let (first, last, last_round) = (None, Duration::ZERO, Duration::ZERO);
        Ok(Self { clock, exchange, wiretap, runtime, first, last, last_round, _store: folder })
    }

    fn take(&mut self, frame: &Frame<'_>, each: &mut dyn FnMut(CallView)) {
        self.clock.advance(frame.at);
        self.first.get_or_insert(frame.at);
        self.last = self.last.max(frame.at);
        let _context = self.runtime.enter();
        if frame.at.saturating_sub(self.last_round) >= ROUND {
            self.last_round = frame.at;
            self.wiretap.tick(frame.at);
            self.exchange.look_round();
            self.settle(each);
        }
        self.wiretap.take(frame);
        if self.exchange.attend_news() {
            self.settle(each);
        }
    }

    /// Ends the calls that are still going on; how many those are.
    fn finish(&mut self, each: &mut dyn FnMut(CallView)) -> u64 {
        let _context = self.runtime.enter();
        self.settle(each);
        let unfinished = self.exchange.in_progress();
        self.wiretap.finish();
        self.settle(each);
        unfinished
    }

    fn settle(&self, each: &mut dyn FnMut(CallView)) {
        self.runtime.block_on(self.exchange.settle());
        self.exchange.take_ended().into_iter().for_each(each);
    }
}

/// Makes the voiceprints, by the code that makes them of recordings for the daemon.
async fn enroll(exchange: &Exchange, wanted: &[(SpeakerId, PathBuf)]) -> Result<(), ReplayError> {
    let mut done: Vec<&SpeakerId> = Vec::new();
    for (speaker, file) in wanted {
        if done.contains(&speaker) {
            continue;
        }
        done.push(speaker);
        let files = wanted.iter().filter(|(other, _)| other == speaker).map(|(_, file)| file);
        let recordings = files.map(|file| Recording::read(file)).collect::<Result<Vec<_>, _>>()?;
        let made = exchange.enroll_recordings(speaker.clone(), recordings, Some(CONSENT.to_owned())).await;
        made.map_err(|error| ReplayError::Enrollment { file: file.clone(), cause: error.to_string() })?;
    }
    Ok(())
}
