//! Opening a store: everything that is in it is held against what was acknowledged before anybody gets an
//! answer from it.

use super::engine::Engine;
use super::keyring::Keyring;
use super::keys::{Keys, MasterKey};
use super::manifest::{self, Manifest};
use super::{Head, RecordKey, Store, StoreError, Writer};
use crate::config;
use std::collections::{HashMap, HashSet};
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, RwLock};

impl Store {
    /// Opens the store that the configuration names, with the key that it names.
    ///
    /// # Errors
    /// [`StoreError`] says what is missing, in use, wrong or damaged.
    pub fn open_configured(config: &config::Store) -> Result<Self, StoreError> {
        // A new key would not open an old store, and would hide that the old key is gone.
        let create = config.create_key && !Self::exists(&config.path);
        Self::open(&config.path, &MasterKey::load(&config.key, create)?)
    }

    /// Whether there is a store, or the remains of one, in `path`.
    pub fn exists(path: &Path) -> bool {
        path.join("keyring").exists() || Engine::exists(&path.join("db"))
    }

    /// Opens the store in the directory `path`, or makes an empty one where there is none.
    ///
    /// # Errors
    /// [`StoreError`] when the store is in use, has another master key or a newer format, or does not hold
    /// exactly what was acknowledged.
    pub fn open(path: &Path, master: &MasterKey) -> Result<Self, StoreError> {
        let damaged = |what: &str| StoreError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let lock = claim(path)?;
        let database = path.join("db");
        let (keyring, keys) = match Keyring::open(path)? {
            Some(keyring) => {
                let keys = keyring.unlock(master)?;
                (keyring, keys)
            }
            None if Engine::exists(&database) => return Err(damaged("its keyring is missing")),
            None => Keyring::create(path, master)?,
        };
        let floor = keyring.floor(&keys)?;
        if floor > 0 && !Engine::exists(&database) {
            return Err(damaged("its database is missing"));
        }
        let opened = Engine::open(&database).and_then(|engine| {
            let content = Content::read(&engine, &keys)?;
            Ok((engine, content))
        });
        let (engine, content) = opened.map_err(|error| match error {
            StoreError::Engine { .. } => damaged(&error.to_string()),
            error => error,
        })?;
        let manifest = content.verify(floor).map_err(|what| damaged(&what))?;
        let free = settle(&keyring, &keys, &content.index, manifest.generation)?;
        let writer = Mutex::new(Writer { manifest, free, stopped: false });
        let index = RwLock::new(content.index);
        Ok(Self { path: path.to_owned(), keys, engine, keyring, index, writer, _lock: lock })
    }
}

/// Makes the directory if need be, shuts it to others, and locks it.
fn claim(path: &Path) -> Result<File, StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(StoreError::io("make", path))?;
    let name = path.join("lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(StoreError::io("open", &name))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", &name)(source)),
    }
}

/// What the database gives when it is opened.
#[derive(Debug, Default)]
struct Content {
    index: HashMap<RecordKey, Head>,
    /// What the manifest says; `None` when it does not open.
    said: Option<Manifest>,
    /// What the records add up to.
    found: Manifest,
    /// Entries that are neither records nor the manifest.
    foreign: u64,
}

impl Content {
    fn read(engine: &Engine, keys: &Keys) -> Result<Self, StoreError> {
        let mut content = Self { said: Some(Manifest::default()), ..Self::default() };
        engine.scan(|key, value| {
            if key == manifest::NAME {
                content.said = Manifest::open(keys, value).ok();
            } else if let (Ok(key), Some(head)) = (RecordKey::try_from(key), Head::of(value)) {
                content.found.add(keys, &key, head);
                content.index.insert(key, head);
            } else {
                content.foreign += 1;
            }
        })?;
        Ok(content)
    }

    /// The manifest, if the records are those that it tells of and none of them is older than `floor`.
    fn verify(&self, floor: u64) -> Result<Manifest, String> {
        let said = self.said.ok_or("its manifest is not as it was written")?;
        if said.generation < floor {
            let lost = floor - said.generation;
            return Err(format!("the last {lost} changes are missing"));
        }
        if self.foreign > 0 {
            return Err(format!("{} records are not as they were written", self.foreign));
        }
        if self.found.count != said.count {
            return Err(format!(
                "there should be {} records, and there are {}",
                said.count, self.found.count
            ));
        }
        if self.found.digest != said.digest {
            return Err("some records are not those that were written last".to_owned());
        }
        Ok(said)
    }
}

/// Completes what a crash may have left, and gives the free slots: the floor rises to a change that was made
/// and not acknowledged, and slots that no record uses are wiped.
fn settle(
    keyring: &Keyring,
    keys: &Keys,
    index: &HashMap<RecordKey, Head>,
    generation: u64,
) -> Result<Vec<u32>, StoreError> {
    let used: HashSet<u32> = index.values().map(|head| head.slot).collect();
    if let Some(&last) = used.iter().max() {
        // Fails when the keyring ends before it.
        keyring.secret(last)?;
    }
    let free: Vec<u32> = (0..keyring.slots()?).rev().filter(|slot| !used.contains(slot)).collect();
    let mut stale = Vec::new();
    for &slot in &free {
        if keyring.secret(slot)? != [0; 32] {
            stale.push(slot);
        }
    }
    if generation > keyring.floor(keys)? || !stale.is_empty() {
        keyring.settle(keys, generation, stale)?;
    }
    Ok(free)
}
