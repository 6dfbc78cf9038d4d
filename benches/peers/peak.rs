//! The machine's peak of 8-bit multiply-accumulates: nothing but the kernel's instructions, in registers.
#![allow(unsafe_code)]

use vouch_benches::ThreadTime;

/// Billions of multiply-accumulates a second of the instructions that this kernel uses, where a loop for it is here.
pub(crate) fn gmacs(kernel: &str) -> Option<f64> {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        "avx512-vnni" => Some(rate(|rounds| {
            // SAFETY: the engine runs this kernel only where the processor has the instructions.
            unsafe { x86::avx512(rounds) }
        })),
        #[cfg(target_arch = "x86_64")]
        "avx2" => Some(rate(|rounds| {
            // SAFETY: as above.
            unsafe { x86::avx2(rounds) }
        })),
        _ => None,
    }
}

/// Best of some runs; `work` gives the multiply-accumulates that it did.
fn rate(work: impl Fn(u64) -> u64) -> f64 {
    const ROUNDS: u64 = 1_000_000;
    let once = || {
        let start = ThreadTime::now();
        let done = work(ROUNDS);
        done as f64 / start.elapsed_ms() / 1e6
    };
    (0..7).map(|_| once()).fold(0.0, f64::max)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::asm;
    use core::arch::x86_64::*;
    use std::hint::black_box;

    /// 24 independent sums, as the kernel has.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn avx512(rounds: u64) -> u64 {
        let mut sums = [_mm512_setzero_si512(); 24];
        let (mut inputs, weights) = (_mm512_set1_epi32(7), _mm512_set1_epi32(3));
        for _ in 0..rounds {
            // SAFETY: no instruction at all; the inputs count as changed, so that the work cannot be folded.
            unsafe { asm!("/* {0} */", inout(zmm_reg) inputs, options(nomem, nostack, preserves_flags)) };
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, inputs, weights);
            }
        }
        black_box(sums);
        rounds * 24 * 64
    }

    /// Eight independent sums, as the kernel has.
    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(rounds: u64) -> u64 {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [[_mm256_setzero_si256(); 2]; 4];
        let mut inputs = [_mm256_set1_epi32(7); 4];
        let weights = [_mm256_set1_epi32(3), _mm256_set1_epi32(5)];
        for _ in 0..rounds {
            for (sums, inputs) in sums.iter_mut().zip(&mut inputs) {
                // SAFETY: as above.
                unsafe {
                    asm!("/* {0} */", inout(ymm_reg) * inputs, options(nomem, nostack, preserves_flags));
                }
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    let pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(*inputs, weights), ones);
                    *sum = _mm256_add_epi32(*sum, pairs);
                }
            }
        }
        black_box(sums);
        rounds * 8 * 32
    }
}
