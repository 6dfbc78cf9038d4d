//! The master key, and the keys that are derived from it.
//!
//! Everything follows from 32 random bytes: HKDF-SHA256 (RFC 5869) with the store's own id as salt and a
//! label for each purpose, so that no two purposes and no two stores share a key.

use super::RecordKey;
use nix::unistd::geteuid;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY_LEN: usize = 32;

/// Name of the credential that the package's unit passes.
pub(super) const CREDENTIAL: &str = "vouch-master-key";

/// Key file of a daemon that is passed no credential.
pub(super) const KEY_FILE: &str = "/var/lib/vouch/master.key";

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The systemd credential `vouch-master-key` where systemd passes one, otherwise the file `/var/lib/vouch/master.key`; written
    /// `auto`.
    Auto,
    /// A systemd credential of this name, written `credential:vouch-master-key`.
    Credential(String),
    /// A file, written `file:/var/lib/vouch/master.key`.
    File(PathBuf),
}

impl FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is none of `auto`, `credential:NAME` and `file:/PATH`");
        if text == "auto" {
            return Ok(Self::Auto);
        }
        match text.split_once(':').ok_or_else(form)? {
            ("credential", name) if !name.is_empty() && !name.contains('/') && !name.starts_with('.') => {
                Ok(Self::Credential(name.to_owned()))
            }
            ("file", path) if path.starts_with('/') => Ok(Self::File(PathBuf::from(path))),
            _ => Err(form()),
        }
    }
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The service was started without credentials.
    #[error("there is no credential {0}: systemd passed none (LoadCredential= in vouchd.service)")]
    NoCredentials(String),
    /// The key file does not exist and may not be made.
    #[error("the master key {} is missing; restore it, since the store cannot be read without it", .0.display())]
    Missing(PathBuf),
    /// The key is not a plain file.
    #[error("the master key {} is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// Others than the owner may read the key.
    #[error("the master key {} has mode {mode:04o}, which lets others at it; it must be 0600", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key belongs to somebody else.
    #[error("the master key {} belongs to user {owner}, who is neither vouchd's user nor root", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// The key is no key.
    #[error("the master key {} must have {KEY_LEN} bytes, not {length}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: u64,
    },
    /// The system refused something.
    #[error("cannot {doing} the master key {}: {source}", path.display())]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Where systemd puts a credential, if it passes any.
fn credential(name: &str) -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(|directory| Path::new(&directory).join(name))
}

/// The 32 bytes that everything is derived from; wiped when dropped, never printed.
pub struct MasterKey(Zeroizing<[u8; KEY_LEN]>);

impl MasterKey {
    /// A key of these bytes.
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Fetches the key. A key file that does not exist is made if `create` allows it.
    ///
    /// # Errors
    /// [`KeyError`] when there is no key, or one that others could have read or changed.
    pub fn load(source: &KeySource, create: bool) -> Result<Self, KeyError> {
        match source {
            KeySource::Auto => {
                let passed = credential(CREDENTIAL).is_some_and(|path| path.exists());
                let source = if passed {
                    KeySource::Credential(CREDENTIAL.to_owned())
                } else {
                    KeySource::File(PathBuf::from(KEY_FILE))
                };
                Self::load(&source, create)
            }
            KeySource::Credential(name) => {
                let path = credential(name).ok_or_else(|| KeyError::NoCredentials(name.clone()))?;
                // systemd mounts credentials for this service alone, read-only (systemd.exec(5)).
                Self::read(&path, |_| Ok(()))
            }
            KeySource::File(path) => {
                // What a crash while the key was made may have left behind.
                let _ = std::fs::remove_file(path.with_extension("new"));
                match Self::read(path, private) {
                    Err(KeyError::Missing(_)) if create => Self::create(path),
                    read => read,
                }
            }
        }
    }

    /// Reads a key file that passes `check`.
    fn read(path: &Path, check: fn(&CheckedFile<'_>) -> Result<(), KeyError>) -> Result<Self, KeyError> {
        let no_follow = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let mut file = match OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing(path.to_owned()));
            }
            Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
                return Err(KeyError::NotAFile(path.to_owned()));
            }
            Err(source) => return Err(failed("open", path)(source)),
        };
        let metadata = file.metadata().map_err(failed("read", path))?;
        if !metadata.is_file() {
            return Err(KeyError::NotAFile(path.to_owned()));
        }
        check(&CheckedFile { path, mode: metadata.mode() & 0o7777, owner: metadata.uid() })?;
        if metadata.len() != KEY_LEN as u64 {
            return Err(KeyError::Length { path: path.to_owned(), length: metadata.len() });
        }
        let mut key = Zeroizing::new([0; KEY_LEN]);
        file.read_exact(&mut *key).map_err(failed("read", path))?;
        Ok(Self(key))
    }

    /// Makes a key file: complete under another name first, so that no crash leaves half a key.
    fn create(path: &Path) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        let no_random = |_| failed("make", path)(io::Error::other("the system gave no random numbers"));
        SystemRandom::new().fill(&mut *key).map_err(no_random)?;
        let new = path.with_extension("new");
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(&*key)?;
            file.sync_all()?;
            // Unlike a rename, a link never replaces a key that appeared meanwhile.
            std::fs::hard_link(&new, path)?;
            std::fs::remove_file(&new)?;
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
        })();
        written.map_err(failed("make", path))?;
        Ok(Self(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<master key>")
    }
}

/// What of a key file is checked before it is read.
struct CheckedFile<'p> {
    path: &'p Path,
    mode: u32,
    owner: u32,
}

/// Nobody else may read or change the file.
fn private(file: &CheckedFile<'_>) -> Result<(), KeyError> {
    if file.mode & 0o077 != 0 {
        return Err(KeyError::Mode { path: file.path.to_owned(), mode: file.mode });
    }
    if file.owner != 0 && file.owner != geteuid().as_raw() {
        return Err(KeyError::Owner { path: file.path.to_owned(), owner: file.owner });
    }
    Ok(())
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    move |source| KeyError::Io { doing, path: path.to_owned(), source }
}

/// Random id of a store: salt of its keys, and part of what every seal is bound to.
pub(super) type StoreId = [u8; 16];

/// A secret that only the keyring holds; with the records key it makes the key of one record.
pub(super) type SlotSecret = [u8; KEY_LEN];

/// The keys of one store.
pub(super) struct Keys {
    /// The store they belong to.
    pub(super) store_id: StoreId,
    /// Names records: keyed hash of the speaker id.
    names: hmac::Key,
    /// Half of every record's key; the other half is in the keyring.
    records: Zeroizing<[u8; KEY_LEN]>,
    /// Seals the manifest.
    pub(super) manifest: Zeroizing<[u8; KEY_LEN]>,
    /// Digests the records for the manifest.
    pub(super) digest: hmac::Key,
    /// Authenticates the keyring's floor.
    pub(super) floor: hmac::Key,
    /// Tells whether a master key is the right one.
    pub(super) check: [u8; KEY_LEN],
}

impl Keys {
    /// Derives the keys of the store `store_id`.
    pub(super) fn derive(master: &MasterKey, store_id: StoreId) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, &store_id).extract(&*master.0);
        let key = |label: &str| expand(&root, &[b"vouch store 1: ", label.as_bytes()]);
        let mac = |label: &str| hmac::Key::new(hmac::HMAC_SHA256, &*key(label));
        Self {
            store_id,
            names: mac("record names"),
            records: key("records"),
            manifest: key("manifest"),
            digest: mac("manifest digest"),
            floor: mac("keyring floor"),
            // An output of HKDF says nothing about the other outputs, so this one may be public.
            check: *key("check value"),
        }
    }

    /// The name under which the record of a speaker is stored.
    pub(super) fn record_key(&self, speaker: &str) -> RecordKey {
        array(hmac::sign(&self.names, speaker.as_bytes()).as_ref())
    }

    /// The key of one record. Since every record gets a new secret, it seals one text only.
    pub(super) fn data_key(&self, secret: &SlotSecret, bound_to: &[u8]) -> Zeroizing<[u8; KEY_LEN]> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, secret).extract(&*self.records);
        expand(&root, &[b"vouch record 1: ", bound_to])
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<keys>")
    }
}

/// Fills an array with random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], super::StoreError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| super::StoreError::NoRandomness)?;
    Ok(bytes)
}

fn expand(root: &hkdf::Prk, info: &[&[u8]]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    root.expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *key))
        .expect("HKDF-SHA256 gives up to 255 x 32 bytes, and 32 are asked for");
    key
}

/// The first `N` bytes of a digest.
pub(super) fn array<const N: usize>(digest: &[u8]) -> [u8; N] {
    digest[..N].try_into().expect("SHA-256 gives 32 bytes, and N is at most that")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    fn file(directory: &Path) -> KeySource {
        KeySource::File(directory.join("master.key"))
    }

    #[test]
    fn a_key_file_is_made_once_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let source = file(directory.path());
        assert!(matches!(MasterKey::load(&source, false), Err(KeyError::Missing(_))));
        let made = MasterKey::load(&source, true).unwrap();
        let read = MasterKey::load(&source, true).unwrap();
        assert_eq!(made.0, read.0);
        assert_ne!(*made.0, [0; KEY_LEN]);
        let metadata = directory.path().join("master.key").metadata().unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.len()), (0o600, 32));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_exposed_short_or_odd_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let source = file(directory.path());
        let path = directory.path().join("master.key");
        MasterKey::load(&source, true).unwrap();
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let fault = MasterKey::load(&source, true).unwrap_err();
        assert!(fault.to_string().contains("mode 0640"), "{fault}");
        set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        MasterKey::load(&source, false).unwrap();
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, [7; 31]).unwrap();
        assert!(matches!(MasterKey::load(&source, true), Err(KeyError::Length { length: 31, .. })));
        std::fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(MasterKey::load(&source, true), Err(KeyError::NotAFile(_))));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(MasterKey::load(&source, true), Err(KeyError::NotAFile(_))));
    }

    #[test]
    fn a_file_of_somebody_else_is_refused() {
        let path = Path::new("key");
        let me = geteuid().as_raw();
        private(&CheckedFile { path, mode: 0o600, owner: me }).unwrap();
        private(&CheckedFile { path, mode: 0o600, owner: 0 }).unwrap();
        assert!(matches!(
            private(&CheckedFile { path, mode: 0o600, owner: me + 4711 }),
            Err(KeyError::Owner { .. })
        ));
    }

    #[test]
    fn keys_differ_by_master_store_and_purpose() {
        let master = |byte| MasterKey::from_bytes([byte; KEY_LEN]);
        let one = Keys::derive(&master(1), [1; 16]);
        for other in [Keys::derive(&master(2), [1; 16]), Keys::derive(&master(1), [2; 16])] {
            assert_ne!(one.check, other.check);
            assert_ne!(one.record_key("alice"), other.record_key("alice"));
            assert_ne!(one.data_key(&[3; 32], b"x"), other.data_key(&[3; 32], b"x"));
        }
        assert_ne!(one.check, *one.manifest);
        assert_ne!(one.record_key("alice"), one.record_key("alicf"));
        assert_ne!(one.data_key(&[3; 32], b"x"), one.data_key(&[4; 32], b"x"));
        assert_ne!(one.data_key(&[3; 32], b"x"), one.data_key(&[3; 32], b"y"));
        assert_eq!(one.check, Keys::derive(&master(1), [1; 16]).check);
    }

    #[test]
    fn keys_are_never_printed() {
        let master = MasterKey::from_bytes([0xA5; KEY_LEN]);
        assert_eq!(format!("{master:?} {:?}", Keys::derive(&master, [0; 16])), "<master key> <keys>");
    }
}
