//! System calls: the only place of the daemon where `unsafe` is allowed.

pub mod capabilities;
pub mod inherited;
pub mod linked;
pub mod media_socket;
pub mod opus;
pub mod packet_ring;
pub mod priority;
