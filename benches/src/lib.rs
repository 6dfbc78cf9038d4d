//! Benchmarks of Vouch live beside this file, one `[[bench]]` each.
