//! What the fuzz targets do with their bytes: each function takes any input and panics where Vouch breaks a promise.
//!
//! `make fuzz` runs them under libFuzzer; `cargo test` in this folder runs them over the seeds in `seeds/`.

mod calls;
mod choices;
mod clock;
mod dialogs;
mod media;
mod messages;
mod offers;
mod secured;
#[path = "../../tests/common/srtp.rs"]
mod srtp;
mod subscriptions;
mod taps;

pub use calls::calls;
pub use dialogs::dialogs;
pub use media::{rtcp, rtp};
pub use messages::{metadata, multipart, sdp, sip};
pub use offers::offer_answer;
pub use secured::srtp;
pub use subscriptions::subscriptions;
pub use taps::{capture, fragments, frames, segments, tapped};

/// A fuzz target: a function of any bytes.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 16] = [
    ("sip", sip),
    ("sdp", sdp),
    ("multipart", multipart),
    ("metadata", metadata),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("srtp", srtp),
    ("dialogs", dialogs),
    ("calls", calls),
    ("offer_answer", offer_answer),
    ("subscriptions", subscriptions),
    ("capture", capture),
    ("frames", frames),
    ("fragments", fragments),
    ("segments", segments),
    ("tapped", tapped),
];
