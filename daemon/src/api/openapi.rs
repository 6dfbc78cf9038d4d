//! The description of the API (OpenAPI 3.1), made from the routes and the types they show.

use super::{calls, captures, router, speakers, stream};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Vouch",
        description = "Real-time caller authentication on a SIP gateway, over HTTP/1.1 on the Unix socket \
                       /run/vouch/vouch.sock. Members of group vouch may read; of vouch-agent also set speakers, \
                       enroll, evaluate, start and stop captures, opt out and in; of vouch-admin, and root, also delete."
    ),
    paths(
        router::status,
        calls::list,
        calls::show,
        calls::result,
        calls::speaker,
        calls::set_speaker,
        calls::enroll,
        calls::evaluate,
        captures::list,
        captures::start,
        captures::stop,
        speakers::list,
        speakers::show,
        speakers::delete,
        speakers::opt_out,
        speakers::opt_in,
        speakers::enroll,
        stream::events,
        router::metrics,
        router::openapi_json,
    )
)]
struct Description;

/// The description as JSON, the same text at every call.
pub fn json() -> String {
    // Maps with text keys and plain values: serde_json has no way to fail on them.
    let mut text = Description::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
