//! What an x86-64 processor has, asked once: `core` cannot tell, and `std` is not here.
#![allow(unsafe_code)]

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

/// Bits of CPUID leaf 1, ECX (Intel SDM volume 2, CPUID).
const OSXSAVE: u32 = 1 << 27;
const AVX: u32 = 1 << 28;
/// Bits of CPUID leaf 7, EBX.
const AVX2: u32 = 1 << 5;
const AVX512_F_BW_VL: u32 = 1 << 16 | 1 << 30 | 1 << 31;
/// Bit of CPUID leaf 7, ECX.
const AVX512_VNNI: u32 = 1 << 11;
/// Register state that the operating system saves (Intel SDM volume 1, 13.3): SSE and AVX, and with them the mask
/// registers and both halves of the wide ones.
const AVX_STATE: u64 = 0b110;
const AVX512_STATE: u64 = 0b1110_0110;

/// Instructions that may be used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Features {
    pub(super) avx2: bool,
    /// AVX-512 F, BW and VL with VNNI.
    pub(super) avx512_vnni: bool,
}

impl Features {
    /// Asks the processor, and whether the operating system saves the registers.
    pub(super) fn detect() -> Self {
        let first = __cpuid(1).ecx;
        if __cpuid(0).eax < 7 || first & OSXSAVE == 0 || first & AVX == 0 {
            return Self::default();
        }
        // SAFETY: OSXSAVE says that the instruction is enabled.
        let state = unsafe { saved_state() };
        let seventh = __cpuid_count(7, 0);
        let avx2 = state & AVX_STATE == AVX_STATE && seventh.ebx & AVX2 != 0;
        let avx512 = state & AVX512_STATE == AVX512_STATE && seventh.ebx & AVX512_F_BW_VL == AVX512_F_BW_VL;
        Self { avx2, avx512_vnni: avx2 && avx512 && seventh.ecx & AVX512_VNNI != 0 }
    }
}

#[target_feature(enable = "xsave")]
fn saved_state() -> u64 {
    // SAFETY: register 0 exists wherever XGETBV is enabled, and the caller made sure of that.
    unsafe { _xgetbv(0) }
}
