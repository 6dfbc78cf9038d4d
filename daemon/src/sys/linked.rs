//! Decoders of libraries that a build may have or lack: bcg729 (feature `g729`), opencore-amr (feature `amr`).
//!
//! Each allocates its state by itself, once for a stream, with its first packet.

#![allow(unsafe_code, reason = "they are C libraries without bindings that are kept")]

use std::ffi::{c_int, c_void};
use std::fmt;
use std::ptr::NonNull;

/// A library that decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Library {
    /// G.729 with Annexes A and B: 10 bytes become 80 samples at 8 kHz.
    Bcg729,
    /// AMR: a frame as files hold it becomes 160 samples at 8 kHz.
    AmrNarrow,
    /// AMR-WB: the same, 320 samples at 16 kHz.
    AmrWide,
}

impl Library {
    /// Whether this build has it.
    pub const fn is_linked(self) -> bool {
        match self {
            Self::Bcg729 => cfg!(feature = "g729"),
            Self::AmrNarrow | Self::AmrWide => cfg!(feature = "amr"),
        }
    }

    /// Most bytes of a frame: what a frame is decoded from has room for so many, whatever its header says.
    const fn frame(self) -> usize {
        match self {
            Self::Bcg729 => 10,
            Self::AmrNarrow | Self::AmrWide => crate::wire::amr::MAX_FRAME,
        }
    }

    /// Samples that a frame becomes.
    pub const fn samples(self) -> usize {
        match self {
            Self::Bcg729 => 80,
            Self::AmrNarrow => 160,
            Self::AmrWide => 320,
        }
    }

    /// What is called of it; nothing where a build lacks it.
    const fn calls(self) -> Option<Calls> {
        match self {
            #[cfg(feature = "g729")]
            Self::Bcg729 => Some(Calls {
                open: ffi::initBcg729DecoderChannel,
                close: ffi::closeBcg729DecoderChannel,
                decode: Decode::Bcg729(ffi::bcg729Decoder),
            }),
            #[cfg(feature = "amr")]
            Self::AmrNarrow => Some(Calls {
                open: ffi::Decoder_Interface_init,
                close: ffi::Decoder_Interface_exit,
                decode: Decode::Amr(ffi::Decoder_Interface_Decode),
            }),
            #[cfg(feature = "amr")]
            Self::AmrWide => Some(Calls {
                open: ffi::D_IF_init,
                close: ffi::D_IF_exit,
                decode: Decode::Amr(ffi::D_IF_decode),
            }),
            #[allow(unreachable_patterns, reason = "a build may have all")]
            _ => None,
        }
    }
}

/// The functions of a library: `open` gives a state or null, `close` ends it.
struct Calls {
    open: unsafe extern "C" fn() -> *mut c_void,
    close: unsafe extern "C" fn(*mut c_void),
    decode: Decode,
}

/// What decodes a frame, by what it takes beside state, frame and samples.
#[allow(dead_code, reason = "a build may have one or none")]
enum Decode {
    /// Length of the frame; whether it was lost, describes silence, and that as RFC 3389 does.
    Bcg729(unsafe extern "C" fn(*mut c_void, *const u8, u8, u8, u8, u8, *mut i16)),
    /// Whether the frame is damaged.
    Amr(unsafe extern "C" fn(*mut c_void, *const u8, *mut i16, c_int)),
}

/// Decoder of one stream, by one library at a time.
#[derive(Default)]
pub struct LinkedDecoder(Option<(Library, NonNull<c_void>)>);

// SAFETY: a state is memory that nobody else knows of; the libraries keep nothing by thread.
unsafe impl Send for LinkedDecoder {}

impl fmt::Debug for LinkedDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinkedDecoder").field(&self.0.map(|(library, _)| library)).finish()
    }
}

impl LinkedDecoder {
    /// Forgets what was heard; the next frame begins a stream.
    pub fn reset(&mut self) {
        if let Some((library, state)) = self.0.take()
            && let Some(calls) = library.calls()
        {
            // SAFETY: the state came from `open` of the same library, and goes once.
            unsafe { (calls.close)(state.as_ptr()) }
        }
    }

    /// Decodes one frame of speech into the front of `pcm`; how many samples that are. A frame of another length than the
    /// library reads, too little room, or a library that is not there give none.
    pub fn decode(&mut self, library: Library, frame: &[u8], pcm: &mut [i16]) -> usize {
        let Some(calls) = library.calls() else { return 0 };
        if frame.len() != library.frame() || pcm.len() < library.samples() {
            return 0;
        }
        if self.0.is_none_or(|(current, _)| current != library) {
            self.reset();
            // SAFETY: it takes nothing, and gives a state of its own or null.
            let state = unsafe { (calls.open)() };
            self.0 = NonNull::new(state).map(|state| (library, state));
        }
        let Some((_, state)) = self.0 else { return 0 };
        let (state, length, frame) = (state.as_ptr(), frame.len() as u8, frame.as_ptr());
        // SAFETY: the state is of this library; the frame has as many bytes as it reads at most, and `pcm` room for the samples
        // that it writes.
        unsafe {
            match calls.decode {
                Decode::Bcg729(decode) => decode(state, frame, length, 0, 0, 0, pcm.as_mut_ptr()),
                Decode::Amr(decode) => decode(state, frame, pcm.as_mut_ptr(), 0),
            }
        }
        library.samples()
    }
}

impl Drop for LinkedDecoder {
    fn drop(&mut self) {
        self.reset();
    }
}

/// The functions used, as `bcg729/decoder.h`, `opencore-amrnb/interf_dec.h` and `opencore-amrwb/dec_if.h` declare them.
#[cfg(any(feature = "g729", feature = "amr"))]
mod ffi {
    #[cfg(feature = "amr")]
    use super::c_int;
    use super::c_void;

    #[cfg(feature = "g729")]
    #[link(name = "bcg729")]
    unsafe extern "C" {
        pub(super) fn initBcg729DecoderChannel() -> *mut c_void;
        pub(super) fn closeBcg729DecoderChannel(state: *mut c_void);
        pub(super) fn bcg729Decoder(
            state: *mut c_void,
            frame: *const u8,
            length: u8,
            erased: u8,
            silence: u8,
            rfc3389: u8,
            pcm: *mut i16,
        );
    }

    #[cfg(feature = "amr")]
    #[link(name = "opencore-amrnb")]
    unsafe extern "C" {
        pub(super) fn Decoder_Interface_init() -> *mut c_void;
        pub(super) fn Decoder_Interface_exit(state: *mut c_void);
        pub(super) fn Decoder_Interface_Decode(
            state: *mut c_void,
            frame: *const u8,
            pcm: *mut i16,
            bad: c_int,
        );
    }

    #[cfg(feature = "amr")]
    #[link(name = "opencore-amrwb")]
    unsafe extern "C" {
        pub(super) fn D_IF_init() -> *mut c_void;
        pub(super) fn D_IF_exit(state: *mut c_void);
        pub(super) fn D_IF_decode(state: *mut c_void, frame: *const u8, pcm: *mut i16, bad: c_int);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Library; 3] = [Library::Bcg729, Library::AmrNarrow, Library::AmrWide];

    /// A frame of the lowest rate whose bits are of `seed`.
    fn frame(library: Library, seed: u8) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            (0..library.frame() as u8).map(|at| at.wrapping_mul(37).wrapping_add(seed)).collect();
        if library != Library::Bcg729 {
            bytes[0] = 1 << 2;
        }
        bytes
    }

    #[test]
    fn a_library_that_is_there_decodes_and_one_that_is_not_gives_nothing() {
        for library in ALL {
            let (mut decoder, mut pcm) = (LinkedDecoder::default(), [0; 320]);
            let expected = if library.is_linked() { library.samples() } else { 0 };
            assert_eq!(decoder.decode(library, &frame(library, 1), &mut pcm), expected, "{library:?}");
            assert_eq!(decoder.decode(library, &frame(library, 1)[1..], &mut pcm), 0, "a short frame");
            assert_eq!(decoder.decode(library, &frame(library, 1), &mut pcm[..79]), 0, "no room");
        }
    }

    #[test]
    fn a_reset_decoder_begins_anew() {
        for library in ALL.into_iter().filter(|library| library.is_linked()) {
            let mut decoder = LinkedDecoder::default();
            let mut decode = |reset: bool| {
                if reset {
                    decoder.reset();
                }
                let mut pcm = [0; 320];
                (0..5).for_each(|seed| {
                    decoder.decode(library, &frame(library, seed), &mut pcm);
                });
                pcm
            };
            let first = decode(false);
            assert_ne!(decode(false), first, "{library:?}: the state counts");
            assert_eq!(decode(true), first, "{library:?}");
        }
    }

    proptest! {
        #[test]
        fn any_frames_decode_without_fault(
            frames in proptest::collection::vec((0..3_usize, proptest::collection::vec(any::<u8>(), 61)), 1..20)
        ) {
            let (mut decoder, mut pcm) = (LinkedDecoder::default(), [0; 320]);
            for (which, mut bytes) in frames {
                let library = ALL[which];
                bytes.truncate(library.frame());
                // Types of speech frames alone come here.
                if library != Library::Bcg729 {
                    bytes[0] = (bytes[0] & 7) << 3 | 4;
                }
                let samples = decoder.decode(library, &bytes, &mut pcm);
                prop_assert!(samples == 0 || samples == library.samples());
            }
        }
    }
}
