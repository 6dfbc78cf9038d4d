//! The store of voiceprints.

mod keys;

pub use keys::KeySource;
