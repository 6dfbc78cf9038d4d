//! Telephone codecs: G.711, and what to play when a packet is missing.

pub mod conceal;
pub mod g711;
