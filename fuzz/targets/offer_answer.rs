//! Offers, their answers, and who is the caller; see `vouch_fuzz::offer_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vouch_fuzz::offer_answer(data));
