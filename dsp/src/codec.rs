//! Telephone codecs, and what to play when a packet is missing.

mod arithmetic;
pub mod conceal;
pub mod g711;
pub mod g722;
pub mod gsm;
pub mod l16;
