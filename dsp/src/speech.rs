//! Net-speech detection.
