//! Sizes that several stages share, in one place.

/// Mel bins of one feature frame (the network was trained on 80, of a Kaldi filter bank).
pub const MELS: usize = 80;
/// Dimensions of a speaker embedding.
pub const EMBEDDING: usize = 192;
/// Feature frames per second (10 ms shift).
pub const FRAMES_PER_SECOND: usize = 100;
/// Most net speech that one embedding is made of: 30 s.
pub const MAX_FRAMES: usize = 30 * FRAMES_PER_SECOND;
/// Fewest frames of which an embedding can be made: 1 s (below that the statistics mean nothing).
pub const MIN_FRAMES: usize = FRAMES_PER_SECOND;
