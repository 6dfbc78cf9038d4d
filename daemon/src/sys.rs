//! System calls that no crate wraps safely: the only unsafe code of this crate.

pub mod inherited;
