//! What time it is: the system's, or in a replay that of the recording.

use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A clock; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Recorded>>);

#[derive(Debug)]
struct Recorded {
    origin: Instant,
    /// Time of the first packet, in nanoseconds since 1970.
    first: OnceLock<u64>,
    /// Time now, in nanoseconds since 1970; never goes back.
    now: AtomicU64,
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Self::advance`].
    pub fn recorded() -> Self {
        let recorded = Recorded { origin: Instant::now(), first: OnceLock::new(), now: AtomicU64::new(0) };
        Self(Some(Arc::new(recorded)))
    }

    /// Sets a recorded clock to `since_1970`; a time before the one it shows changes nothing, nor does it change the
    /// system's clock.
    pub fn advance(&self, since_1970: Duration) {
        if let Some(recorded) = &self.0 {
            let nanos = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
            recorded.first.get_or_init(|| nanos);
            recorded.now.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    /// The time of day.
    pub fn timestamp(&self) -> Timestamp {
        match &self.0 {
            None => Timestamp::now(),
            Some(recorded) => Timestamp::from_nanosecond(recorded.now.load(Ordering::Relaxed).into())
                .unwrap_or(Timestamp::MAX),
        }
    }

    /// The same for measuring how long something takes.
    pub fn instant(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(recorded) => {
                let first = recorded.first.get().copied().unwrap_or(0);
                let passed = recorded.now.load(Ordering::Relaxed).saturating_sub(first);
                recorded.origin.checked_add(Duration::from_nanos(passed)).unwrap_or(recorded.origin)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_clock_goes_forward_only_and_as_far_as_it_is_told() {
        let clock = Clock::recorded();
        clock.advance(Duration::from_secs(1_700_000_000));
        let start = clock.instant();
        clock.advance(Duration::from_millis(1_700_000_000_250));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.instant() - start, Duration::from_millis(250));
        assert_eq!(clock.timestamp().to_string(), "2023-11-14T22:13:20.25Z");
    }
}
