//! Views of the bytes that peers send: checked once, then read in place.

pub mod amr;
pub mod multipart;
pub mod rs_metadata;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod srtp;
