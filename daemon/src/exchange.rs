//! The exchange: all calls, and everybody who asks about them.
//!
//! [`Exchange`] is the handle that the SIP shell, the media watch and the API hold. Calls live on the
//! [`floor`] behind one lock, held for moments and never across a wait; what a call wants done
//! ([`crate::call::Effect`]) is carried out in [`media`], speakers are looked after in [`people`], and gateways
//! in [`reception`].

mod captured;
mod floor;
mod guard;
mod inquiry;
mod line;
mod media;
mod names;
mod people;
mod reception;
mod session;
mod subscribers;
mod tapped;

pub use captured::CaptureLine;
pub use tapped::Wiretap;

use crate::ask::AskError;
use crate::calibration::SiteCalibration;
use crate::call::Policy;
use crate::capture::Captures;
use crate::clock::Clock;
use crate::config::Config;
use crate::decision::Yardstick;
use crate::engine::Engine;
use crate::engine::codec::Codec;
use crate::events::{EventHub, Subscription};
use crate::metrics::Metrics;
use crate::pii::{Pii, SpeakerId};
use crate::store::Store;
use crate::verdict::Verdict;
use crate::view::{CallView, EnrollmentView, Event, SpeakerView, StatusView, TapView};
use floor::Floor;
use guard::Guard;
use jiff::Timestamp;
use reception::Reception;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use vouch_dsp::score::Curves;
use vouch_dsp::sizes::FRAMES_PER_SECOND;

/// Events kept for readers that come back.
const EVENT_HISTORY: usize = 4096;

/// What the exchange is made of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The voice engine, started.
    pub engine: Engine,
    /// The store, open.
    pub store: Arc<Store>,
    /// Where everything is counted.
    pub metrics: Arc<Metrics>,
    /// The site's own calibration of the scores.
    pub calibration: Option<SiteCalibration>,
}

/// Handle of the exchange; cheap to clone.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    policy: Policy,
    /// Name of the calibration.
    calibration: String,
    config: Arc<Config>,
    engine: Engine,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    events: EventHub,
    floor: Mutex<Floor>,
    /// Taken under the lock of the floor, never the other way round.
    guard: Mutex<Guard>,
    reception: Reception,
    clock: Clock,
    tap: Mutex<Vec<TapView>>,
    captures: Mutex<Captures>,
    started: Instant,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("calls", &self.floor().active().len()).finish_non_exhaustive()
    }
}

impl Exchange {
    /// An exchange without calls.
    pub fn new(parts: Parts) -> Self {
        Self::by_clock(parts, Clock::system())
    }

    /// An exchange without calls that goes by `clock`.
    pub fn by_clock(parts: Parts, clock: Clock) -> Self {
        let Parts { config, engine, store, metrics, calibration } = parts;
        let name = calibration.as_ref().map_or_else(|| "shipped".to_owned(), ToString::to_string);
        // One for the life of the process, so that every call can hold it.
        let curves: &'static Curves = match &calibration {
            Some(site) => Box::leak(Box::new(site.curves())),
            None => Curves::shipped(),
        };
        let frames = |time: std::time::Duration| time.as_millis() as u64 * FRAMES_PER_SECOND as u64 / 1000;
        let policy = Policy {
            yardstick: Yardstick { threshold: config.authentication.threshold, curves },
            verification_frames: frames(config.authentication.net_speech),
            enrollment_frames: frames(config.enrollment.net_speech),
            consent_required: config.enrollment.consent_required,
            model_version: engine.network().version(),
        };
        let first = crate::events::first_number(clock.timestamp().as_second().try_into().unwrap_or(0));
        Self(Arc::new(Inner {
            policy,
            calibration: name,
            reception: Reception::new(&config),
            config,
            engine,
            store,
            metrics,
            events: EventHub::new(EVENT_HISTORY, first),
            floor: Mutex::new(Floor::default()),
            guard: Mutex::default(),
            clock,
            tap: Mutex::default(),
            captures: Mutex::default(),
            started: Instant::now(),
        }))
    }

    /// State of the daemon.
    ///
    /// # Errors
    /// None today; a request of the API may always fail.
    pub async fn status(&self) -> Result<StatusView, AskError> {
        let inner = &self.0;
        Ok(StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: inner.started.elapsed().as_secs(),
            calls: self.floor().active().iter().filter(|line| line.ended.is_none()).count() as u32,
            max_calls: inner.config.limits.max_calls,
            speakers: inner.store.count(),
            model_version: inner.policy.model_version,
            calibration: inner.calibration.clone(),
            kernel: inner.engine.network().kernel_name().to_owned(),
            codecs: Codec::names().into_iter().map(str::to_owned).collect(),
            listeners: inner.config.sip.listen.iter().map(ToString::to_string).collect(),
            tap: inner.tap.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            captures: self.with_captures(Captures::views),
            health: if inner.store.is_stopped() {
                "the store takes no changes: see the log".to_owned()
            } else {
                "ready".to_owned()
            },
            warnings: self.guard().warnings(),
        })
    }

    /// Calls in progress, and those that ended a while ago.
    ///
    /// # Errors
    /// None today.
    pub async fn calls(&self) -> Result<Vec<CallView>, AskError> {
        Ok(self.floor().all().map(line::Line::view).collect())
    }

    /// One call, by its id or a Call-ID.
    ///
    /// # Errors
    /// [`AskError::NoSuchCall`].
    pub async fn call(&self, call: &str) -> Result<CallView, AskError> {
        self.floor().find(call).map(line::Line::view).ok_or(AskError::NoSuchCall)
    }

    /// The answer about a call's caller.
    ///
    /// # Errors
    /// [`AskError::NoSuchCall`].
    pub async fn result(&self, call: &str) -> Result<Verdict, AskError> {
        self.floor().find(call).map(line::Line::verdict).ok_or(AskError::NoSuchCall)
    }

    /// Says who the caller claims to be.
    ///
    /// # Errors
    /// [`AskError::NoSuchCall`], or [`AskError::Conflict`] after its end.
    pub async fn set_speaker(&self, call: &str, speaker: SpeakerId) -> Result<CallView, AskError> {
        self.with_call(call, |line| {
            if line.ended.is_some() {
                return Err(AskError::Conflict("the call has ended".to_owned()));
            }
            let standing = self.standing(&speaker);
            line.call.claim(speaker, standing, self.now());
            Ok(())
        })?;
        self.call(call).await
    }

    /// Makes a voiceprint of the caller as soon as there is enough speech.
    ///
    /// # Errors
    /// [`AskError`] says what is missing.
    pub async fn enroll(&self, call: &str, consent: Option<String>) -> Result<EnrollmentView, AskError> {
        self.with_call(call, |line| line.call.enroll(consent.map(Pii::new), self.now()))?;
        self.floor().find(call).map(line::Line::enrollment).ok_or(AskError::NoSuchCall)
    }

    /// Answers from the speech at hand; with `start_new`, from speech yet to come.
    ///
    /// # Errors
    /// [`AskError::NoSuchCall`].
    pub async fn evaluate(&self, call: &str, start_new: bool) -> Result<Verdict, AskError> {
        self.with_call(call, |line| {
            line.call.evaluate(start_new, self.now());
            Ok(())
        })?;
        self.result(call).await
    }

    /// Events after number `last`, then live ones; `None` begins with the next.
    pub fn events(&self, last: Option<u64>) -> Subscription {
        self.0.events.subscribe(last)
    }

    /// Changes a call with its newest figures at hand, then carries out what comes of it.
    fn with_call(
        &self,
        call: &str,
        change: impl FnOnce(&mut line::Line) -> Result<(), AskError>,
    ) -> Result<(), AskError> {
        let mut floor = self.floor();
        let line = floor.find_mut(call).ok_or(AskError::NoSuchCall)?;
        self.hear(line);
        let changed = change(line);
        self.carry_out(line);
        changed
    }

    /// The calls. A panic under the lock would be a bug in one call's logic; the others go on.
    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.0.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, of day.
    fn now(&self) -> Timestamp {
        self.0.clock.timestamp()
    }

    /// A call begins: it is counted, logged and told.
    fn announce(&self, line: &line::Line) {
        self.0.metrics.calls.started.count(line.source.as_str());
        tracing::info!(call = line.id, peer = line.peer.name, source = line.source.as_str(), "call");
        self.publish("call-started", Some(line.view()), None);
    }

    fn publish(&self, kind: &str, call: Option<CallView>, speaker: Option<SpeakerView>) {
        let time = self.now().to_string();
        let (id, kind) = (0, kind.to_owned());
        self.0.events.publish(Event { id, kind, time, call, speaker, warning: None });
    }
}
