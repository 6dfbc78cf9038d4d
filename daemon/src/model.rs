//! The voice model that both programs carry.

/// Bytes that begin at a cache line, so that no load of weights crosses one.
#[repr(C, align(64))]
struct Aligned<B: ?Sized>(B);

static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../dsp/model/campplus.vouchnet"));

/// The model blob: header, version, checksum and weights, as `dsp/model/` makes it.
pub static BLOB: &[u8] = &ALIGNED.0;
