//! SRTP packets under known keys; see `vouch_fuzz::srtp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::srtp(data));
