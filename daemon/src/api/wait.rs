//! Waiting for a final result.

use super::Shared;
use super::problem::{Kind, Problem};
use crate::events;
use crate::verdict::Verdict;
use crate::view::Event;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

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
