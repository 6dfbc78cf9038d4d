//! Telephone codecs.
