//! Lives of a call; see `vouch_fuzz::calls`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::calls(data));
