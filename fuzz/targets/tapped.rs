//! Calls of others; see `vouch_fuzz::tapped`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::tapped(data));
