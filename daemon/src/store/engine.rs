//! The database: everything that touches sled, its panics contained and its writes made durable.
//!
//! sled 0.34 panics on some damaged files, and on Linux it flushes with sync_file_range(2), which neither
//! empties the disk's own cache nor writes the file's length. So each call is guarded, and each commit ends
//! with an fsync of the database file of our own.

use super::StoreError;
pub(super) use sled::Batch;
use sled::IVec;

use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Memory that sled may use for its page cache.
const CACHE: u64 = 32 << 20;

/// Longest wait for sled's threads when the database is closed.
const CLOSING: Duration = Duration::from_secs(2);

/// The open database.
pub(super) struct Engine {
    /// Taken only when the engine is dropped.
    db: Option<sled::Db>,
    file: File,
    path: PathBuf,
}

impl Engine {
    /// Whether there is a database in `directory`.
    pub(super) fn exists(directory: &Path) -> bool {
        directory.join("db").exists()
    }

    /// Opens or makes the database in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(directory)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(CACHE)
            // Every commit flushes by itself; a thread that does so in between gains nothing.
            .flush_every_ms(None);
        let path = directory.join("db");
        let db = contained("open", &path, || config.open())?;
        let file = File::open(&path).map_err(StoreError::io("open", &path))?;
        let engine = Self { db: Some(db), file, path };
        // The names of the database's files are durable before anything is in them.
        for directory in [Some(directory), directory.parent()].into_iter().flatten() {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(StoreError::io("write", directory))?;
        }
        Ok(engine)
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        contained("read", &self.path, || self.db().get(key))
    }

    /// Gives every pair to `take`.
    pub(super) fn scan(&self, mut take: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        contained("read", &self.path, || {
            self.db().iter().try_for_each(|pair| {
                let (key, value) = pair?;
                take(&key, &value);
                Ok(())
            })
        })
    }

    /// Carries out a batch, wholly or not at all, and returns once it is on the disk.
    pub(super) fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        contained("write", &self.path, || {
            self.db().apply_batch(batch)?;
            self.db().flush()
        })?;
        self.file.sync_all().map_err(StoreError::io("write", &self.path))
    }

    /// The database itself.
    pub(super) fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("only dropping the engine takes it")
    }
}

impl Drop for Engine {
    /// Closes the database and waits until nobody works on it any more: sled's threads may hold on to the
    /// file, and to its lock on it, for a moment after the handle is gone.
    fn drop(&mut self) {
        let db = self.db.take();
        // sled flushes when it is dropped, and panics where that fails. Whatever was acknowledged is on the
        // disk already, so there is nobody left to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
        for _ in 0..CLOSING.as_millis() {
            if self.file.try_lock().is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Runs a piece of sled; its errors and panics become ours.
fn contained<T>(
    doing: &'static str,
    path: &Path,
    run: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreError> {
    let reason = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => return Ok(value),
        // A file that ends too early is damage, not a refusal of the system.
        Ok(Err(sled::Error::Io(source))) if source.kind() != ErrorKind::UnexpectedEof => {
            return Err(StoreError::io(doing, path)(source));
        }
        Ok(Err(sled::Error::Corruption { .. })) => "its checksums do not fit its content".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("it panicked: {}", text.unwrap_or("no reason given"))
        }
    };
    Err(StoreError::Engine { doing, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors() {
        let fault = contained::<()>("open", Path::new("db"), || panic!("page {} is odd", 7)).unwrap_err();
        assert_eq!(fault.to_string(), "the database failed to open: it panicked: page 7 is odd");
        let fault = contained::<()>("read", Path::new("db"), || panic!("fixed")).unwrap_err();
        assert_eq!(fault.to_string(), "the database failed to read: it panicked: fixed");
    }

    #[test]
    fn batches_are_there_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!Engine::exists(directory.path()));
        let engine = Engine::open(directory.path()).unwrap();
        let mut batch = Batch::default();
        batch.insert(b"a", b"1");
        batch.insert(b"b", b"2");
        engine.commit(batch).unwrap();
        drop(engine);
        assert!(Engine::exists(directory.path()));
        let engine = Engine::open(directory.path()).unwrap();
        assert_eq!(engine.get(b"a").unwrap().unwrap(), b"1");
        let mut seen = Vec::new();
        engine.scan(|key, value| seen.push((key.to_vec(), value.to_vec()))).unwrap();
        assert_eq!(seen, [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())]);
    }
}
