//! What the end-to-end tests and the demo share: recorded human voices, a daemon of one's own, real SIP
//! clients (sipp, and a recording client with impairments), and the socket.

pub mod authority;
pub mod clients;
pub mod crowd;
pub mod daemon;
pub mod line;
pub mod namespace;
#[path = "../../daemon/tests/support/opus.rs"]
pub mod opus;
pub mod sniffer;
pub mod srtp;
pub mod voices;
pub mod wire;
