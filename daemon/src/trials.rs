//! trials.
