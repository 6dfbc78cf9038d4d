//! Fragments of IP datagrams; see `vouch_fuzz::fragments`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::fragments(data));
