//! The daemon: what it is started with, and what it starts.

pub mod args;
