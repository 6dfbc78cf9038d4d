//! RTCP compounds; see `vouch_fuzz::rtcp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::rtcp(data));
