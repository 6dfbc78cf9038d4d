//! Conversations with the user agent; see `vouch_fuzz::dialogs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::dialogs(data));
