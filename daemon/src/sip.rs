//! SIP: the user agent server that gateways call.
//!
//! Protocol logic takes bytes and time and gives work back; only [`transport`] holds sockets. From the wire
//! inwards: [`transport`] and [`stream`] (bytes to messages), [`message`] (what a message says), [`transaction`]
//! (RFC 3261 section 17), [`dialog`] (section 12), [`agent`] (all of them together, as the application sees it).
//! What the bodies and headers of a call mean is in [`offer_answer`], [`siprec`] and [`headers`].

pub mod agent;
pub mod counters;
pub mod dialog;
pub mod flow;
pub mod headers;
pub mod message;
pub mod offer_answer;
pub mod params;
pub mod peers;
pub mod session;
pub mod siprec;
pub mod stream;
pub mod subscription;
pub mod timers;
pub mod transaction;
pub mod transport;
pub mod uri;
pub mod verification;
