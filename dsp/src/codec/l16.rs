//! L16 (RFC 3551 section 4.5.11): 16-bit linear samples in network byte order.

/// Decodes a payload into `pcm` as far as both reach; returns the number of samples. Half a sample at the end is
/// left out.
pub fn decode_into(payload: &[u8], pcm: &mut [i16]) -> usize {
    let (samples, _) = payload.as_chunks::<2>();
    for (out, sample) in pcm.iter_mut().zip(samples) {
        *out = i16::from_be_bytes(*sample);
    }
    samples.len().min(pcm.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_byte_comes_first_and_half_a_sample_is_left_out() {
        let mut pcm = [7; 3];
        assert_eq!(decode_into(&[0x01, 0x02, 0xff, 0xfe, 0x55], &mut pcm), 2);
        assert_eq!(pcm, [258, -2, 7]);
        assert_eq!(decode_into(&[0; 10], &mut pcm), 3);
    }
}
