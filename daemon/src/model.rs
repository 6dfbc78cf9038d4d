//! The voice model that both programs carry.

/// The model blob: header, version, checksum and weights, as `dsp/model/` makes it.
pub static BLOB: &[u8] = include_bytes!("../../dsp/model/campplus.vouchnet");
