//! Subscriptions to the event package `voice-id` (RFC 6665): what a SUBSCRIBE asks for, and when a NOTIFY is due.
//! docs/sip.md describes the package.

use super::dialog::Dialog;
use super::message::{Body, Headers};
use super::params::{Params, split_list};
use std::fmt;
use std::time::{Duration, Instant};

/// Name of the event package.
pub const EVENT_PACKAGE: &str = "voice-id";
/// Content type of its NOTIFYs.
pub const NOTICE_TYPE: &str = "application/json";
/// Shortest duration granted, in seconds; less is refused with 423.
pub const MIN_EXPIRES: u32 = 60;
/// Longest duration granted, in seconds, and that of a SUBSCRIBE that names none.
pub const MAX_EXPIRES: u32 = 1800;
/// Least time between two NOTIFYs, but for the last.
pub const NOTIFY_GAP: Duration = Duration::from_secs(1);

/// Why a SUBSCRIBE is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeFault {
    /// Another event package, or none (489).
    BadEvent,
    /// It takes no JSON (406).
    NotAcceptable,
    /// Its Expires is no number (400).
    BadExpires,
    /// Its Expires is below [`MIN_EXPIRES`] and not 0 (423).
    TooBrief,
}

/// What a SUBSCRIBE asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Wish {
    /// The Event header, which each NOTIFY repeats.
    pub event: String,
    /// Parameter `call` of the Event: a name of the call.
    pub call: Option<String>,
    /// Seconds granted; 0 asks for the state once, or ends the subscription.
    pub expires: u32,
}

impl Wish {
    /// Reads a SUBSCRIBE.
    ///
    /// # Errors
    /// [`SubscribeFault`] says what to refuse it for.
    pub fn of(headers: &Headers) -> Result<Self, SubscribeFault> {
        let event = headers.get("Event").unwrap_or_default();
        let (package, params) = event.split_at(event.find(';').unwrap_or(event.len()));
        if !package.trim().eq_ignore_ascii_case(EVENT_PACKAGE) {
            return Err(SubscribeFault::BadEvent);
        }
        let params = Params::parse(params).map_err(|_| SubscribeFault::BadEvent)?;
        let mut accepted = headers.all("Accept").flat_map(split_list).peekable();
        let takes = |type_: &str| {
            let type_ = type_.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            matches!(type_.as_str(), NOTICE_TYPE | "application/*" | "*/*")
        };
        if accepted.peek().is_some() && !accepted.any(takes) {
            return Err(SubscribeFault::NotAcceptable);
        }
        let expires = match headers.get("Expires") {
            Some(seconds) => seconds.trim().parse().map_err(|_| SubscribeFault::BadExpires)?,
            None => MAX_EXPIRES,
        };
        if (1..MIN_EXPIRES).contains(&expires) {
            return Err(SubscribeFault::TooBrief);
        }
        let call = params.value("call").map(str::to_owned);
        Ok(Self { event: event.to_owned(), call, expires: expires.min(MAX_EXPIRES) })
    }
}

/// Nothing of the call: a Call-ID may identify a person.
impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wish").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// State to tell a subscriber.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The state.
    pub body: Option<Body>,
    /// Why this is the last one, such as `noresource`.
    pub end: Option<&'static str>,
}

/// One subscription.
#[derive(Debug)]
pub struct Subscription {
    /// Its dialog.
    pub dialog: Dialog,
    /// Whether the application accepted it.
    pub admitted: bool,
    event: Event,
    expires: Instant,
    in_flight: bool,
    quiet_until: Instant,
    waiting: Option<Notice>,
}

/// An Event header, kept from the log.
struct Event(String);

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EVENT_PACKAGE)
    }
}

/// What [`Subscription::poll`] wants done.
#[derive(Debug)]
pub enum Due {
    /// Send this; the subscription is over if it is the last.
    Send(Notice),
    /// Nothing until then.
    Wait(Instant),
}

impl Subscription {
    /// A subscription that waits for its admission.
    pub fn new(dialog: Dialog, wish: &Wish, now: Instant) -> Self {
        Self {
            dialog,
            admitted: false,
            event: Event(wish.event.clone()),
            expires: now + Duration::from_secs(wish.expires.into()),
            in_flight: false,
            quiet_until: now,
            waiting: None,
        }
    }

    /// A SUBSCRIBE in its dialog: a longer life, or the end.
    pub fn refresh(&mut self, wish: &Wish, now: Instant) {
        self.expires = now + Duration::from_secs(wish.expires.into());
    }

    /// New state; it replaces one that was not told yet.
    pub fn put(&mut self, notice: Notice) {
        self.waiting = Some(notice);
    }

    /// The peer confirmed the last NOTIFY.
    pub fn confirmed(&mut self) {
        self.in_flight = false;
    }

    /// What is due: the last state at once, others one after the other and no faster than [`NOTIFY_GAP`].
    pub fn poll(&mut self, now: Instant) -> Due {
        if self.expires <= now && self.admitted {
            let waiting = self.waiting.take();
            let end = waiting.as_ref().and_then(|notice| notice.end).or(Some("timeout"));
            return Due::Send(Notice { body: waiting.and_then(|notice| notice.body), end });
        }
        let ready = !self.in_flight && self.quiet_until <= now;
        if let Some(notice) = self.waiting.take_if(|notice| ready || notice.end.is_some()) {
            self.in_flight = true;
            self.quiet_until = now + NOTIFY_GAP;
            return Due::Send(notice);
        }
        let next = self.waiting.as_ref().filter(|_| !self.in_flight).map(|_| self.quiet_until);
        Due::Wait(next.unwrap_or(self.expires).min(self.expires))
    }

    /// The headers of a NOTIFY.
    pub fn headers(&self, end: Option<&str>, now: Instant) -> Vec<(String, String)> {
        let state = match end {
            Some(reason) => format!("terminated;reason={reason}"),
            None => format!("active;expires={}", self.expires.saturating_duration_since(now).as_secs()),
        };
        vec![("Event".to_owned(), self.event.0.clone()), ("Subscription-State".to_owned(), state)]
    }
}
