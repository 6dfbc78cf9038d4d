//! sip.

pub mod headers;
