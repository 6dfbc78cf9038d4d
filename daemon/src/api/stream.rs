//! The event stream as server-sent events.

use super::problem::{Kind, Problem};
use super::{Shared, SharedState};
use crate::events::Subscription;
use crate::view::Event;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Header in which a reader names the last event it has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// Events as they happen, as server-sent events.
///
/// With `Last-Event-ID`, begins after that one. An event of kind `gap` says that some in between are no longer known,
/// and that the calls should be read anew.
#[utoipa::path(get, path = "/v1/events", tag = "events", operation_id = "getEvents",
    params(("Last-Event-ID" = Option<u64>, Header, description = "Last event seen")),
    responses(
        (status = 200, body = Event, content_type = "text/event-stream", description = "One event each: `id`, `event` (its kind), `data` (JSON)"),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "What went wrong"),
    ))]
pub(super) async fn events(State(shared): SharedState, headers: HeaderMap) -> Result<Response, Problem> {
    let last = last_event_id(&headers)?;
    let permit = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| {
        shared.metrics.api.refused.count("streams");
        let detail =
            format!("{} event streams are open, which is the limit", shared.config.max_event_streams);
        Problem::new(Kind::Busy, detail)
    })?;
    let heartbeat = KeepAlive::new().interval(shared.config.heartbeat).text("heartbeat");
    let subscription = shared.desk.events(last);
    Ok(Sse::new(frames(Reader::new(shared, subscription, permit))).keep_alive(heartbeat).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| Problem::new(Kind::Invalid, "`Last-Event-ID` is the number of an event"))
}

/// An open event stream and its place among those allowed.
struct Reader {
    shared: Arc<Shared>,
    subscription: Subscription,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    fn new(shared: Arc<Shared>, subscription: Subscription, permit: OwnedSemaphorePermit) -> Self {
        shared.metrics.api.event_streams.inc();
        Self { shared, subscription, _permit: permit }
    }

    async fn next(&mut self) -> Option<Arc<Event>> {
        tokio::select! {
            event = self.subscription.next() => event,
            () = self.shared.stopping() => None,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.metrics.api.event_streams.dec();
    }
}

fn frames(reader: Reader) -> impl Stream<Item = Result<Frame, axum::Error>> {
    stream::unfold(reader, async |mut reader| {
        let event = reader.next().await?;
        let frame = Frame::default().id(event.id.to_string()).event(&event.kind).json_data(&*event);
        Some((frame, reader))
    })
}
