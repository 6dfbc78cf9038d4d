//! Subscriptions and their NOTIFYs; see `vouch_fuzz::subscriptions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::subscriptions(data));
