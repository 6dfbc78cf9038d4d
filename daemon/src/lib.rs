//! Vouch: real-time caller authentication on a SIP gateway box.
//!
//! The library behind `vouchd` and `vouchctl`. Modules in the order a call passes them:
//! [`sip`] and [`wire`] (what the gateway says), [`call`] (what it means), [`engine`] (from packets to
//! embeddings), [`exchange`] (all calls, and who asks about them), [`store`] (voiceprints), [`api`] and
//! [`ctl`] (the socket and the technician's tool).

pub mod api;
pub mod ask;
pub mod audio;
pub mod calibration;
pub mod call;
pub mod capture;
pub mod clock;
pub mod config;
pub mod ctl;
pub mod daemon;
pub mod decision;
pub mod engine;
pub mod events;
pub mod exchange;
pub mod log;
pub mod metrics;
pub mod model;
pub mod output;
pub mod pii;
pub mod sip;
pub mod store;
pub mod sys;
pub mod tap;
pub mod trials;
pub mod verdict;
pub mod view;
pub mod wire;
