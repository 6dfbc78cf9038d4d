//! Waiting for a final result.

use super::Shared;
use super::problem::{Kind, Problem};
use crate::ask::AskError;
use crate::events;
use crate::verdict::Verdict;
use crate::view::CallView;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The result of `call` as soon as it is final, or as it is after `limit`. A call that is not there yet is waited
/// for, too: a dialplan asks as soon as it has sent the call here.
pub(super) async fn settled(shared: &Shared, call: &str, limit: Duration) -> Result<Verdict, Problem> {
    let end = Instant::now() + limit;
    // Subscribed before the first look, so no change falls between.
    let mut events = shared.desk.events(None);
    let mut seen = look(shared, call).await?;
    loop {
        if let Some(view) = seen.take_if(|view| view.result.status.is_final()) {
            return Ok(view.result);
        }
        let next = tokio::select! {
            next = timeout_at(end, events.next()) => next,
            () = shared.stopping() => Ok(None),
        };
        match next {
            Err(_elapsed) => return Ok(shared.desk.result(call).await?),
            Ok(None) => return Err(Problem::new(Kind::Stopping, "the daemon is stopping")),
            Ok(Some(event)) => match (&event.call, &seen) {
                // It goes by more names than an event has; its name on the socket is one of its own.
                (Some(news), Some(before)) if news.id == before.id => seen = Some(news.clone()),
                (Some(_), Some(_)) => {}
                _ if event.kind == events::GAP || event.call.is_some() => seen = look(shared, call).await?,
                _ => {}
            },
        }
    }
}

/// The call, if there is one of this name.
async fn look(shared: &Shared, call: &str) -> Result<Option<CallView>, Problem> {
    match shared.desk.call(call).await {
        Ok(view) => Ok(Some(view)),
        Err(AskError::NoSuchCall) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
