//! Encoders of the libraries that a build may have, for tests that send their codecs: RTP payloads of 20 ms.

#![allow(unsafe_code, reason = "C libraries; their encoders are used in tests alone")]

use vouch::wire::amr::{Packing, Rate};

/// G.729, two frames a payload.
///
/// # Panics
/// In a build that lacks it.
pub fn g729(pcm: &[i16]) -> Vec<Vec<u8>> {
    #[cfg(not(feature = "g729"))]
    panic!("{} samples, and no bcg729", pcm.len());
    #[cfg(feature = "g729")]
    {
        let mut encode = bcg729::Encoder::open();
        pcm.chunks_exact(160)
            .map(|pair| pair.chunks_exact(80).flat_map(|half| encode.frame(half)).collect())
            .collect()
    }
}

/// AMR at 12.2 kbit/s or AMR-WB at 12.65 kbit/s, a frame a payload.
///
/// # Panics
/// In a build that lacks it.
pub fn amr(pcm: &[i16], rate: Rate, packing: Packing) -> Vec<Vec<u8>> {
    #[cfg(not(feature = "amr"))]
    panic!("{} samples of {rate:?}, {packing:?}, and no opencore-amr", pcm.len());
    #[cfg(feature = "amr")]
    {
        let mut encoder = opencore::Encoder::open(rate);
        let size = if rate == Rate::Wide { 320 } else { 160 };
        pcm.chunks_exact(size).map(|samples| pack(&encoder.frame(samples), packing)).collect()
    }
}

/// A payload of one frame, which comes as files hold it (RFC 4867 sections 4.3, 4.4 and 5.3), without a mode request.
#[cfg(feature = "amr")]
fn pack(frame: &[u8], packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Aligned => [&[0xF0], frame].concat(),
        Packing::Dense => {
            // Four bits of request, six of contents, then those of the frame.
            let mut bits = vec![0xF0 | frame[0] >> 4, frame[0] << 4];
            for byte in &frame[1..] {
                *bits.last_mut().expect("never empty") |= byte >> 2;
                bits.push(byte << 6);
            }
            bits
        }
    }
}

#[cfg(feature = "g729")]
mod bcg729 {
    use std::ffi::c_void;

    #[link(name = "bcg729")]
    unsafe extern "C" {
        fn initBcg729EncoderChannel(silence: u8) -> *mut c_void;
        fn closeBcg729EncoderChannel(state: *mut c_void);
        fn bcg729Encoder(state: *mut c_void, pcm: *const i16, frame: *mut u8, length: *mut u8);
    }

    pub struct Encoder(*mut c_void);

    impl Encoder {
        pub fn open() -> Self {
            // SAFETY: gives a state of its own.
            Self(unsafe { initBcg729EncoderChannel(0) })
        }

        pub fn frame(&mut self, pcm: &[i16]) -> Vec<u8> {
            assert_eq!(pcm.len(), 80);
            let (mut frame, mut length) = ([0; 10], 0);
            // SAFETY: the state lives until `drop`; 80 samples are read, and 10 bytes written at most.
            unsafe { bcg729Encoder(self.0, pcm.as_ptr(), frame.as_mut_ptr(), &raw mut length) };
            frame[..usize::from(length)].to_vec()
        }
    }

    impl Drop for Encoder {
        fn drop(&mut self) {
            // SAFETY: made by its opposite, and closed once.
            unsafe { closeBcg729EncoderChannel(self.0) }
        }
    }
}

#[cfg(feature = "amr")]
mod opencore {
    use std::ffi::{c_int, c_void};
    use vouch::wire::amr::Rate;

    #[link(name = "opencore-amrnb")]
    unsafe extern "C" {
        fn Encoder_Interface_init(silence: c_int) -> *mut c_void;
        fn Encoder_Interface_exit(state: *mut c_void);
        fn Encoder_Interface_Encode(
            state: *mut c_void,
            mode: c_int,
            pcm: *const i16,
            frame: *mut u8,
            speech: c_int,
        ) -> c_int;
    }

    #[link(name = "vo-amrwbenc")]
    unsafe extern "C" {
        fn E_IF_init() -> *mut c_void;
        fn E_IF_exit(state: *mut c_void);
        fn E_IF_encode(
            state: *mut c_void,
            mode: c_int,
            pcm: *const i16,
            frame: *mut u8,
            silence: c_int,
        ) -> c_int;
    }

    pub struct Encoder(Rate, *mut c_void);

    impl Encoder {
        pub fn open(rate: Rate) -> Self {
            // SAFETY: both give a state of their own.
            let state = unsafe {
                match rate {
                    Rate::Narrow => Encoder_Interface_init(0),
                    Rate::Wide => E_IF_init(),
                }
            };
            Self(rate, state)
        }

        pub fn frame(&mut self, pcm: &[i16]) -> Vec<u8> {
            let mut frame = [0; 64];
            let (pcm_at, frame_at) = (pcm.as_ptr(), frame.as_mut_ptr());
            // SAFETY: the state lives until `drop`; so many samples are read, and 61 bytes written at most.
            let length = unsafe {
                match self.0 {
                    Rate::Narrow => {
                        assert_eq!(pcm.len(), 160);
                        Encoder_Interface_Encode(self.1, 7, pcm_at, frame_at, 1)
                    }
                    Rate::Wide => {
                        assert_eq!(pcm.len(), 320);
                        E_IF_encode(self.1, 2, pcm_at, frame_at, 0)
                    }
                }
            };
            frame[..usize::try_from(length).expect("any samples can be encoded")].to_vec()
        }
    }

    impl Drop for Encoder {
        fn drop(&mut self) {
            // SAFETY: made by its opposite, and closed once.
            unsafe {
                match self.0 {
                    Rate::Narrow => Encoder_Interface_exit(self.1),
                    Rate::Wide => E_IF_exit(self.1),
                }
            }
        }
    }
}
