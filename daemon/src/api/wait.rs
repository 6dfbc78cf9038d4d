//! Waiting for a final result.

use super::Shared;
use super::problem::{Kind, Problem};
use crate::events;
use crate::verdict::Verdict;
use crate::view::Event;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a duration as a whole number and `s`, `ms` or `m`, such as `12s`")]
pub struct DurationError;

/// Reads a duration such as `12s`, `500ms` or `2m`.
///
/// # Errors
/// [`DurationError`] if it is written otherwise, or beyond what a number holds.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError)?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or(DurationError),
        _ => Err(DurationError),
    }
}

/// The result of `call` as soon as it is final, or as it is after `limit`.
pub(super) async fn settled(shared: &Shared, call: &str, limit: Duration) -> Result<Verdict, Problem> {
    let end = Instant::now() + limit;
    // Subscribed before the first look, so no change falls between.
    let mut events = shared.desk.events(None);
    let mut verdict = shared.desk.result(call).await?;
    while !verdict.status.is_final() {
        let next = tokio::select! {
            next = timeout_at(end, events.next()) => next,
            () = shared.stopping() => Ok(None),
        };
        match next {
            Err(_elapsed) => return Ok(shared.desk.result(call).await?),
            Ok(None) => return Err(Problem::new(Kind::Stopping, "the daemon is stopping")),
            Ok(Some(event)) if event.kind == events::GAP => verdict = shared.desk.result(call).await?,
            Ok(Some(event)) => {
                if let Some(news) = result_of(&event, call) {
                    verdict = news.clone();
                }
            }
        }
    }
    Ok(verdict)
}

/// The result in an event of the call that is named by its own or by its SIP id.
fn result_of<'a>(event: &'a Event, call: &str) -> Option<&'a Verdict> {
    let view = event.call.as_ref()?;
    (view.id == call || view.sip_call_id == call).then_some(&view.result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration("12s"), Ok(Duration::from_secs(12)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for text in
            ["", "12", "s", "-1s", "1.5s", "1 s", "1h", "18446744073709551616s", "18446744073709551615m"]
        {
            assert_eq!(parse_duration(text), Err(DurationError), "{text:?}");
        }
    }
}
