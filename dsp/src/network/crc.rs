//! CRC-32 (IEEE 802.3, as in zlib), eight bytes a step.

const STEP: usize = 8;
const TABLES: [[u32; 256]; STEP] = tables();

/// CRC-32 of the parts joined.
pub(super) fn crc32(parts: &[&[u8]]) -> u32 {
    !parts.iter().fold(!0, |state, part| update(state, part))
}

fn update(mut state: u32, bytes: &[u8]) -> u32 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    for step in steps {
        let mixed = state.to_le_bytes();
        state = 0;
        for (index, &byte) in step.iter().enumerate() {
            let byte = byte ^ mixed.get(index).copied().unwrap_or(0);
            state ^= TABLES[STEP - 1 - index][usize::from(byte)];
        }
    }
    rest.iter().fold(state, |state, &byte| (state >> 8) ^ TABLES[0][usize::from(state as u8 ^ byte)])
}

/// `TABLES[n][byte]`: the effect of a byte that n more bytes follow.
const fn tables() -> [[u32; 256]; STEP] {
    let mut tables = [[0u32; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let mut state = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            state = (state >> 1) ^ if state & 1 == 1 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        tables[0][byte] = state;
        byte += 1;
    }
    let mut step = 1;
    while step < STEP {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[step - 1][byte];
            tables[step][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        step += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The check value that the catalogue of CRC algorithms gives for CRC-32/ISO-HDLC.
    #[test]
    fn check_value() {
        assert_eq!(crc32(&[b"123456789"]), 0xCBF4_3926);
        assert_eq!(crc32(&[]), 0);
    }

    proptest! {
        #[test]
        fn parts_join(bytes in proptest::collection::vec(any::<u8>(), 0..100), at in 0usize..100) {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(crc32(&[first, second]), crc32(&[&bytes]));
        }
    }
}
