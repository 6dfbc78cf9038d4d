//! The voice engine of Vouch: from telephone samples to a speaker score, in integers.
//!
//! `no_std`, no allocator, no I/O: slices in, slices out, scratch memory from the caller.
//! Read in the order the audio flows: [`codec`], [`features`] and [`speech`] (joined in [`listener`]),
//! [`network`], [`score`].
#![no_std]

pub mod bandwidth;
pub mod codec;
pub mod enrollment;
pub mod features;
pub mod kernel;
pub mod listener;
pub mod network;
pub mod noise;
pub mod ring;
pub mod score;
pub mod sizes;
pub mod speech;
