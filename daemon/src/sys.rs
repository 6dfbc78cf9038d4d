//! System calls: the only place of the daemon where `unsafe` is allowed.

pub mod inherited;
pub mod media_socket;
pub mod opus;
pub mod priority;
