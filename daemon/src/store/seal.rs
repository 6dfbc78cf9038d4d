//! Sealing with ChaCha20-Poly1305 (RFC 8439): constant time on gateway boxes without AES instructions too.

use super::keys::KEY_LEN;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a nonce.
pub(super) const NONCE: usize = NONCE_LEN;

/// The nonce of keys that seal one text only: (key, nonce) then never comes twice, whatever its value.
pub(super) const ONLY: [u8; NONCE] = [0; NONCE];

/// Bytes that a sealed text is longer than the text.
pub(super) const OVERHEAD: usize = 16;

/// The text is not what was sealed under this key for this place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Appends the sealed `text` to `out`. `place` says where it belongs; it opens nowhere else.
pub(super) fn seal(key: &[u8; KEY_LEN], nonce: [u8; NONCE], place: &[u8], text: &[u8], out: &mut Vec<u8>) {
    let mut sealed = Zeroizing::new(text.to_vec());
    let tag = cipher(key)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut sealed)
        .expect("ring refuses only texts of 256 GiB and more");
    out.extend_from_slice(&sealed);
    out.extend_from_slice(tag.as_ref());
}

/// Opens a sealed text.
pub(super) fn open(
    key: &[u8; KEY_LEN],
    nonce: [u8; NONCE],
    place: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let mut text = Zeroizing::new(sealed.to_vec());
    let length = cipher(key)
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut text)
        .map_err(|_| Broken)?
        .len();
    text.truncate(length);
    Ok(text)
}

fn cipher(key: &[u8; KEY_LEN]) -> LessSafeKey {
    let key =
        UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the 32 bytes that the cipher takes");
    LessSafeKey::new(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_nothing_else_does(
            text in proptest::collection::vec(any::<u8>(), 0..300),
            place in proptest::collection::vec(any::<u8>(), 0..40),
            at: proptest::sample::Index,
            bit in 0..8_u32,
        ) {
            let (key, nonce) = ([7; 32], [9; 12]);
            let mut sealed = Vec::new();
            seal(&key, nonce, &place, &text, &mut sealed);
            prop_assert_eq!(sealed.len(), text.len() + OVERHEAD);
            prop_assert_eq!(&*open(&key, nonce, &place, &sealed).unwrap(), &text);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(open(&key, nonce, &place, &sealed), Err(Broken));
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(open(&[8; 32], nonce, &place, &sealed), Err(Broken));
            prop_assert_eq!(open(&key, [8; 12], &place, &sealed), Err(Broken));
            prop_assert_eq!(open(&key, nonce, &[&place[..], b"x"].concat(), &sealed), Err(Broken));
            prop_assert_eq!(open(&key, nonce, &place, &sealed[..at]), Err(Broken));
        }
    }
}
