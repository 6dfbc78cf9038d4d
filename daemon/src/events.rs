//! The event stream: numbered, resumable from a bounded history.

/// A place in the event stream.
#[derive(Debug, Default)]
pub struct Subscription {}

impl Subscription {
    /// The next event; `None` when the daemon stops.
    pub async fn next(&mut self) -> Option<crate::view::Event> {
        None
    }
}
