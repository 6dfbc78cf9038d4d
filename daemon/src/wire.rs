//! Views of the bytes that peers send: checked once, then read in place.

pub mod rtcp;
pub mod rtp;
