//! The keyring: the small file beside the database that makes deletion final and loss visible.
//!
//! ```text
//! offset 0      identity   "VOUCHKEY", format (u32), store id (16), check value (32), SHA-256 of these 60
//! offset 4096   floor, even generations   generation (u64), HMAC-SHA256 (32)
//! offset 8192   floor, odd generations    the same
//! offset 12288  slots      32 random bytes each, all zero when free
//! ```
//!
//! *Slots.* Half of each record's key stands here and nowhere else. The database keeps what was removed
//! from it readable in its log for a long time; overwriting 32 bytes in place makes that unreadable at once.
//! (In place as far as the file system goes: copy-on-write file systems, snapshots, flash translation and
//! backups may keep older blocks, which is why the master key should be kept apart from them.)
//!
//! *Floor.* The newest generation that was acknowledged. A database that comes back older, such as after a
//! truncation that it repaired by forgetting, is refused. The two copies are written in turn, so that a
//! torn write leaves the one before.
//!
//! All writes go to blocks that were written when the file grew, so a full disk cannot fail them.

use super::StoreError;
use super::keys::{Keys, MasterKey, SlotSecret, StoreId, array, random};
use ring::{digest, hmac};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Format of the whole store; what an older program would misread raises it.
pub(super) const FORMAT: u32 = 1;

const FILE: &str = "keyring";
const MAGIC: &[u8; 8] = b"VOUCHKEY";
/// One block, so that no two parts share a sector.
const BLOCK: u64 = 4096;
const SLOTS: u64 = 3 * BLOCK;
const SLOT: u64 = 32;
const IDENTITY: usize = 8 + 4 + 16 + 32;

/// The open keyring.
#[derive(Debug)]
pub(super) struct Keyring {
    file: File,
    path: PathBuf,
}

impl Keyring {
    /// Opens the keyring in `directory`; `None` when there is none.
    pub(super) fn open(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join(FILE);
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Ok(Some(Self { file, path })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("open", &path)(error)),
        }
    }

    /// Makes the keyring of a new store, whole before it gets its name.
    pub(super) fn create(directory: &Path, master: &MasterKey) -> Result<(Self, Keys), StoreError> {
        let keys = Keys::derive(master, random()?);
        let (path, new) = (directory.join(FILE), directory.join("keyring.new"));
        let written = (|| {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new)?;
            let ring = Self { file, path: path.clone() };
            ring.file.write_all_at(&[0; SLOTS as usize], 0)?;
            ring.file.write_all_at(&identity(&keys), 0)?;
            ring.file.write_all_at(&floor(&keys, 0), BLOCK)?;
            ring.file.write_all_at(&floor(&keys, 0), 2 * BLOCK)?;
            ring.file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(directory)?.sync_all()?;
            Ok(ring)
        })();
        Ok((written.map_err(StoreError::io("make", &path))?, keys))
    }

    /// The keys of the store, if `master` is its master key.
    pub(super) fn unlock(&self, master: &MasterKey) -> Result<Keys, StoreError> {
        let mut bytes = [0; IDENTITY + 32];
        self.read(&mut bytes, 0)?;
        let (identity, sum) = bytes.split_at(IDENTITY);
        if !identity.starts_with(MAGIC) || digest::digest(&digest::SHA256, identity).as_ref() != sum {
            return Err(self.damaged("its head is not as it was written"));
        }
        let found = u32::from_le_bytes(array(&identity[8..12]));
        if found > FORMAT {
            return Err(StoreError::Newer { found, supported: FORMAT });
        }
        let store_id: StoreId = array(&identity[12..28]);
        let keys = Keys::derive(master, store_id);
        if keys.check == identity[28..] { Ok(keys) } else { Err(StoreError::WrongKey(self.directory())) }
    }

    /// The newest generation that was acknowledged.
    pub(super) fn floor(&self, keys: &Keys) -> Result<u64, StoreError> {
        let mut newest = None;
        for copy in 0..2 {
            let mut bytes = [0; 8 + 32];
            self.read(&mut bytes, BLOCK * (1 + copy))?;
            let (generation, tag) = bytes.split_at(8);
            if hmac::verify(&keys.floor, generation, tag).is_ok() {
                newest = newest.max(Some(u64::from_le_bytes(array(generation))));
            }
        }
        newest.ok_or_else(|| self.damaged("neither copy of its floor is as it was written"))
    }

    /// Raises the floor to `generation` and wipes `slots`, durably.
    pub(super) fn settle(
        &self,
        keys: &Keys,
        generation: u64,
        slots: impl IntoIterator<Item = u32>,
    ) -> Result<(), StoreError> {
        self.write(&floor(keys, generation), BLOCK * (1 + generation % 2))?;
        for slot in slots {
            self.write(&[0; SLOT as usize], place(slot))?;
        }
        self.sync()
    }

    /// Puts a secret into a slot, durably.
    pub(super) fn fill(&self, slot: u32, secret: &SlotSecret) -> Result<(), StoreError> {
        self.write(secret, place(slot))?;
        self.sync()
    }

    /// The secret in a slot; all zero when it is free.
    pub(super) fn secret(&self, slot: u32) -> Result<SlotSecret, StoreError> {
        let mut secret = [0; SLOT as usize];
        self.read(&mut secret, place(slot))?;
        Ok(secret)
    }

    /// Number of slots, free ones included.
    pub(super) fn slots(&self) -> Result<u32, StoreError> {
        let length = self.file.metadata().map_err(StoreError::io("read", &self.path))?.len();
        u32::try_from(length.saturating_sub(SLOTS) / SLOT).map_err(|_| self.damaged("it is far too long"))
    }

    /// Appends a block of free slots, durably, and tells which.
    pub(super) fn grow(&self) -> Result<std::ops::Range<u32>, StoreError> {
        let first = self.slots()?;
        self.write(&[0; BLOCK as usize], place(first))?;
        self.file.sync_all().map_err(StoreError::io("write", &self.path))?;
        Ok(first..first + (BLOCK / SLOT) as u32)
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), StoreError> {
        self.file.read_exact_at(bytes, at).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("it is too short"),
            _ => StoreError::io("read", &self.path)(error),
        })
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), StoreError> {
        self.file.write_all_at(bytes, at).map_err(StoreError::io("write", &self.path))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("write", &self.path))
    }

    fn directory(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("/")).to_owned()
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged { path: self.directory(), what: format!("the keyring: {what}") }
    }
}

const fn place(slot: u32) -> u64 {
    SLOTS + slot as u64 * SLOT
}

fn identity(keys: &Keys) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &FORMAT.to_le_bytes(), &keys.store_id, &keys.check].concat();
    bytes.extend(digest::digest(&digest::SHA256, &bytes).as_ref());
    bytes
}

fn floor(keys: &Keys, generation: u64) -> Vec<u8> {
    let generation = generation.to_le_bytes();
    [&generation[..], hmac::sign(&keys.floor, &generation).as_ref()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master() -> MasterKey {
        MasterKey::from_bytes([3; 32])
    }

    fn rewrite_identity(path: &Path, change: impl Fn(&mut [u8])) {
        let mut bytes = std::fs::read(path).unwrap();
        change(&mut bytes[..IDENTITY]);
        let sum = digest::digest(&digest::SHA256, &bytes[..IDENTITY]);
        bytes[IDENTITY..IDENTITY + 32].copy_from_slice(sum.as_ref());
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn the_floor_survives_the_loss_of_one_copy() {
        let directory = tempfile::tempdir().unwrap();
        let (ring, keys) = Keyring::create(directory.path(), &master()).unwrap();
        for generation in 1..5 {
            ring.settle(&keys, generation, []).unwrap();
            assert_eq!(ring.floor(&keys).unwrap(), generation);
        }
        ring.write(&[0xFF; 40], BLOCK).unwrap();
        assert_eq!(ring.floor(&keys).unwrap(), 3);
        ring.write(&[0xFF; 1], 2 * BLOCK).unwrap();
        assert!(matches!(ring.floor(&keys), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn slots_are_filled_and_wiped() {
        let directory = tempfile::tempdir().unwrap();
        let (ring, keys) = Keyring::create(directory.path(), &master()).unwrap();
        assert_eq!(ring.slots().unwrap(), 0);
        assert_eq!(ring.grow().unwrap(), 0..128);
        ring.fill(5, &[7; 32]).unwrap();
        let ring = Keyring::open(directory.path()).unwrap().unwrap();
        assert_eq!((ring.secret(4).unwrap(), ring.secret(5).unwrap()), ([0; 32], [7; 32]));
        ring.settle(&keys, 1, [5]).unwrap();
        assert_eq!(ring.secret(5).unwrap(), [0; 32]);
        assert!(matches!(ring.secret(128), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn wrong_keys_newer_formats_and_damage_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let (ring, keys) = Keyring::create(directory.path(), &master()).unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(ring.unlock(&master()).unwrap().check, keys.check);
        let wrong = MasterKey::from_bytes([4; 32]);
        assert!(matches!(ring.unlock(&wrong), Err(StoreError::WrongKey(_))));
        rewrite_identity(&path, |bytes| bytes[8] = 2);
        assert!(matches!(ring.unlock(&master()), Err(StoreError::Newer { found: 2, supported: 1 })));
        rewrite_identity(&path, |bytes| bytes[8] = 1);
        ring.unlock(&master()).unwrap();
        for at in 0..IDENTITY + 32 {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            assert!(matches!(ring.unlock(&master()), Err(StoreError::Damaged { .. })), "byte {at}");
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
        }
    }
}
