//! What one capture device is to do next: a state machine that is told what happened and when, and does nothing itself.

use super::source::DeviceFault;
use crate::view::CaptureState;
use std::time::{Duration, Instant};

/// Waits before a device that could not be opened is tried again, each time the next.
const RETRIES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(30),
];
/// How long a call waits for its device to come back.
const GRACE: Duration = Duration::from_secs(10);
/// Longest rest while a call goes on.
const SHORT_REST: Duration = Duration::from_secs(1);
/// Rest until it is looked whether an opt-out was taken back.
const RECHECK: Duration = Duration::from_secs(10);
/// Rest of a device that nobody asks for.
const LONG_REST: Duration = Duration::from_hours(1);

/// How calls on the device begin and end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether the device is used at all.
    pub(super) enabled: bool,
    /// Whether a call begins when somebody speaks.
    pub(super) auto_start: bool,
    /// Silence after which such a call ends.
    pub(super) silence: Duration,
    /// Silence after which a call ends that somebody started, and forgot; and time after which one ends whose caller opted
    /// out.
    pub(super) forgotten: Duration,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Nothing, for so long.
    Rest(Duration),
    /// To open the device.
    Open,
    /// To read from it.
    Read,
    /// To close it.
    Close,
}

/// Why a call is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// Nobody spoke for long enough, or nobody may know whether somebody did.
    Silence,
    /// Whose device it is opted out, and nobody but the device began the call.
    OptedOut,
    /// The device went away, and did not come back.
    DeviceGone,
}

/// One device.
#[derive(Debug)]
pub(super) struct Station {
    rules: Rules,
    link: Link,
    call: Option<Talk>,
    /// Whether it may be listened to without a call.
    may_listen: bool,
}

/// How the device is.
#[derive(Debug)]
enum Link {
    /// It was never tried.
    Unknown,
    Closed,
    Open {
        /// How often it failed since it last gave audio.
        failures: usize,
        /// Since when it has given none, if it failed.
        away: Option<Instant>,
    },
    Absent {
        fault: DeviceFault,
        failures: usize,
        /// When it failed first.
        since: Instant,
        /// When it is tried again.
        retry: Instant,
    },
}

/// A call that goes on.
#[derive(Debug)]
struct Talk {
    automatic: bool,
    /// Whether it was analysed when last asked.
    analysed: bool,
    /// Frames of speech when last asked.
    speech: u64,
    /// Audio since there was new speech, or since it is not analysed.
    quiet: Duration,
}

impl Station {
    /// A device that nobody has tried yet.
    pub(super) const fn new(rules: Rules) -> Self {
        Self { rules, link: Link::Unknown, call: None, may_listen: true }
    }

    /// What is to be done at `now`.
    pub(super) fn task(&self, now: Instant) -> Task {
        match &self.link {
            _ if !self.rules.enabled => Task::Rest(LONG_REST),
            Link::Open { .. } if self.is_wanted() => Task::Read,
            Link::Open { .. } => Task::Close,
            Link::Unknown => Task::Open,
            Link::Absent { retry, .. } if *retry <= now => Task::Open,
            Link::Absent { retry, .. } => {
                let rest = retry.saturating_duration_since(now);
                Task::Rest(if self.call.is_some() { rest.min(SHORT_REST) } else { rest })
            }
            Link::Closed if self.is_wanted() => Task::Open,
            Link::Closed => Task::Rest(if self.rules.auto_start { RECHECK } else { LONG_REST }),
        }
    }

    /// The device was opened. Only audio shows that it works.
    pub(super) fn opened(&mut self) {
        self.link = Link::Open { failures: self.failures(), away: self.away() };
    }

    /// The device was closed, for nobody wants it.
    pub(super) fn closed(&mut self) {
        self.link = Link::Closed;
    }

    /// The device gave audio.
    pub(super) fn works(&mut self) {
        if let Link::Open { .. } = self.link {
            self.link = Link::Open { failures: 0, away: None };
        }
    }

    /// The device failed at `now`; whether that is news.
    pub(super) fn failed(&mut self, fault: DeviceFault, now: Instant) -> bool {
        let failures = self.failures();
        let retry = now + RETRIES[failures.min(RETRIES.len() - 1)];
        let since = self.away().unwrap_or(now);
        let is_news = self.fault() != Some(&fault);
        self.link = Link::Absent { fault, failures: failures + 1, since, retry };
        is_news
    }

    /// A call began.
    pub(super) fn began(&mut self, automatic: bool) {
        self.call = Some(Talk { automatic, analysed: true, speech: 0, quiet: Duration::ZERO });
    }

    /// The call ended.
    pub(super) fn ended(&mut self) {
        self.call = None;
    }

    /// Whether a call goes on.
    pub(super) const fn is_in_call(&self) -> bool {
        self.call.is_some()
    }

    /// Whether the device is open.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.link, Link::Open { .. })
    }

    /// Whether the configuration switches it on.
    pub(super) const fn is_enabled(&self) -> bool {
        self.rules.enabled
    }

    /// Whether calls begin by themselves.
    pub(super) const fn is_automatic(&self) -> bool {
        self.rules.auto_start
    }

    /// Says whether the device may be listened to without a call: whose it is may have opted out.
    pub(super) const fn set_may_listen(&mut self, may_listen: bool) {
        self.may_listen = may_listen;
    }

    /// The call has so many frames of speech after more audio; whether it is to end.
    ///
    /// Of a caller who must not be analysed no speech is known. Where the device then hears nobody, a call that began by
    /// itself is over; every other one goes on for the longer time, since the device, were it to listen for the next call,
    /// would hear the same caller, and not know who speaks.
    pub(super) fn progressed(&mut self, speech: u64, analysed: bool, audio: Duration) -> Option<CallEnd> {
        let talk = self.call.as_mut()?;
        if !analysed && talk.automatic && !self.may_listen {
            return Some(CallEnd::OptedOut);
        }
        // Fewer than before: somebody had it start anew.
        let is_quiet = (analysed, speech) == (talk.analysed, talk.speech);
        (talk.analysed, talk.speech) = (analysed, speech);
        talk.quiet = if is_quiet { talk.quiet + audio } else { Duration::ZERO };
        let limit = if talk.automatic && analysed { self.rules.silence } else { self.rules.forgotten };
        (talk.quiet >= limit).then_some(CallEnd::Silence)
    }

    /// Whether the call is to end at `now` because its device is away for too long.
    pub(super) fn waited(&self, now: Instant) -> Option<CallEnd> {
        let too_long = now.saturating_duration_since(self.away()?) >= GRACE;
        (self.call.is_some() && too_long).then_some(CallEnd::DeviceGone)
    }

    /// What the device does.
    pub(super) const fn state(&self) -> CaptureState {
        match self.link {
            _ if !self.rules.enabled => CaptureState::Off,
            Link::Absent { .. } => CaptureState::Absent,
            _ if self.call.is_some() => CaptureState::InCall,
            _ if self.rules.auto_start && !self.may_listen => CaptureState::OptedOut,
            Link::Open { .. } if self.rules.auto_start => CaptureState::Listening,
            _ => CaptureState::Idle,
        }
    }

    /// Why the device cannot be used.
    pub(super) const fn fault(&self) -> Option<&DeviceFault> {
        match &self.link {
            Link::Absent { fault, .. } => Some(fault),
            _ => None,
        }
    }

    const fn is_wanted(&self) -> bool {
        self.call.is_some() || (self.rules.auto_start && self.may_listen)
    }

    /// Since when it has given no audio, if it failed.
    const fn away(&self) -> Option<Instant> {
        match self.link {
            Link::Open { away, .. } => away,
            Link::Absent { since, .. } => Some(since),
            Link::Unknown | Link::Closed => None,
        }
    }

    const fn failures(&self) -> usize {
        match self.link {
            Link::Open { failures, .. } | Link::Absent { failures, .. } => failures,
            Link::Unknown | Link::Closed => 0,
        }
    }
}

#[cfg(test)]
mod tests;
