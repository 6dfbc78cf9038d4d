//! sip.

pub mod headers;
pub mod offer_answer;
pub mod siprec;
