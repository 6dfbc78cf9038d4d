//! Many calls at once: one recording client that signals them all, and one thread that sends their media.

mod gateway;
mod media;

pub use gateway::Gateway;
pub use media::{Media, Stream};
