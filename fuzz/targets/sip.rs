//! SIP messages and streams of them; see `vouch_fuzz::sip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::sip(data));
