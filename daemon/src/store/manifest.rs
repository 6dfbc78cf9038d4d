//! The manifest: what the store holds, sealed, and written together with every change.
//!
//! It counts the changes and the records, and digests which record stands at which generation. The digest
//! is the exclusive or of a keyed hash of each record's name and head: independent of their order, changed
//! with one step when a record changes, and not to be forged by who lacks the key (Bellare and Micciancio,
//! EUROCRYPT 1997; Clarke et al., ASIACRYPT 2003: with a secret key and each element at most once, as here,
//! exclusive or is enough).

use super::RecordKey;
use super::keys::{Keys, array, random};
use super::seal::{self, Broken, NONCE};
use super::{Head, StoreError};
use ring::hmac;

/// Name under which the manifest stands among the records, whose names have 32 bytes.
pub(super) const NAME: &[u8] = b"manifest";

/// Format of the manifest's bytes.
const FORMAT: u8 = 1;
const LENGTH: usize = 8 + 8 + 32;

/// What the store holds. The default is a store in which nothing was ever written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Changes so far.
    pub(super) generation: u64,
    /// Records now.
    pub(super) count: u64,
    /// Digest of the records' names and heads.
    pub(super) digest: [u8; 32],
}

impl Manifest {
    /// Counts the record `key` with this head in.
    pub(super) fn add(&mut self, keys: &Keys, key: &RecordKey, head: Head) {
        self.count += 1;
        self.toggle(keys, key, head);
    }

    /// Counts it out again.
    pub(super) fn remove(&mut self, keys: &Keys, key: &RecordKey, head: Head) {
        // Only records that were counted in are counted out.
        self.count -= 1;
        self.toggle(keys, key, head);
    }

    fn toggle(&mut self, keys: &Keys, key: &RecordKey, head: Head) {
        let element: [u8; 32] =
            array(hmac::sign(&keys.digest, &[&key[..], &head.to_bytes()].concat()).as_ref());
        self.digest.iter_mut().zip(element).for_each(|(sum, byte)| *sum ^= byte);
    }

    /// The manifest's bytes. One key seals all manifests, each with a random nonce: 2^32 of them may be
    /// written before two nonces coincide with a probability of 2^-33 (NIST SP 800-38D section 8.3 draws
    /// the same line), more than a store that is flushed at every change writes in its life.
    pub(super) fn seal(&self, keys: &Keys) -> Result<Vec<u8>, StoreError> {
        let mut text = Vec::with_capacity(LENGTH);
        text.extend(self.generation.to_le_bytes());
        text.extend(self.count.to_le_bytes());
        text.extend(self.digest);
        let nonce = random::<NONCE>()?;
        let mut out = vec![FORMAT];
        out.extend(nonce);
        seal::seal(&keys.manifest, nonce, &place(keys), &text, &mut out);
        Ok(out)
    }

    /// The manifest that [`Manifest::seal`] wrote.
    pub(super) fn open(keys: &Keys, bytes: &[u8]) -> Result<Self, Broken> {
        let (&[format], rest) = bytes.split_first_chunk().ok_or(Broken)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(Broken)?;
        if format != FORMAT {
            return Err(Broken);
        }
        let text = seal::open(&keys.manifest, *nonce, &place(keys), sealed)?;
        let text: &[u8; LENGTH] = text.as_slice().try_into().map_err(|_| Broken)?;
        let number = |at: usize| u64::from_le_bytes(array(&text[at..at + 8]));
        Ok(Self { generation: number(0), count: number(8), digest: array(&text[16..]) })
    }
}

/// What the manifest's seal is bound to.
fn place(keys: &Keys) -> Vec<u8> {
    [b"manifest\0", &[FORMAT][..], &keys.store_id].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MasterKey;
    use proptest::prelude::*;

    fn keys(store: u8) -> Keys {
        Keys::derive(&MasterKey::from_bytes([1; 32]), [store; 16])
    }

    #[test]
    fn a_sealed_manifest_opens_in_its_store_only() {
        let manifest = Manifest { generation: 7, count: 3, digest: [9; 32] };
        let sealed = manifest.seal(&keys(1)).unwrap();
        assert_eq!(Manifest::open(&keys(1), &sealed), Ok(manifest));
        assert_eq!(Manifest::open(&keys(2), &sealed), Err(Broken));
        assert_ne!(sealed, manifest.seal(&keys(1)).unwrap());
        for cut in 0..sealed.len() {
            assert_eq!(Manifest::open(&keys(1), &sealed[..cut]), Err(Broken));
        }
    }

    proptest! {
        #[test]
        fn the_digest_forgets_the_order_and_nothing_else(mut set in proptest::collection::btree_set(0..50_u8, 2..20)
            .prop_map(|set| set.into_iter().collect::<Vec<_>>()), shift in 1..19_usize) {
            let keys = keys(1);
            let sum = |set: &[u8]| {
                let mut manifest = Manifest::default();
                for &i in set {
                    manifest.add(&keys, &[i; 32], Head { generation: u64::from(i), slot: 0 });
                }
                manifest
            };
            let whole = sum(&set);
            let turn = shift % set.len();
            set.rotate_left(turn);
            prop_assert_eq!(sum(&set), whole);
            let last = set.pop().unwrap();
            prop_assert_ne!(sum(&set).digest, whole.digest);
            let mut less = whole;
            less.remove(&keys, &[last; 32], Head { generation: u64::from(last), slot: 0 });
            prop_assert_eq!(sum(&set), less);
            less.add(&keys, &[last; 32], Head { generation: u64::from(last) + 1, slot: 0 });
            prop_assert_ne!(less.digest, whole.digest);
        }
    }
}
