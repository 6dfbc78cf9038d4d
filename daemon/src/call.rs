//! call.

pub mod identity;
