//! System calls: the only place of the daemon where `unsafe` is allowed.

pub mod media_socket;
