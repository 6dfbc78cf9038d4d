//! The technician's tool.

fn main() {}
