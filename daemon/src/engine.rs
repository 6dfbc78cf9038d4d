//! engine.
pub mod jitter;
