//! What can go wrong with the store, in words for the administrator.

use super::keys::KeyError;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not be opened, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the store {} is in use by another process; is vouchd running already?", .0.display())]
    InUse(PathBuf),
    /// The master key is missing or unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The master key is not the one that the store was made with.
    #[error("the master key is not the one that the store {} was made with", .0.display())]
    WrongKey(PathBuf),
    /// A later version of vouchd made the store.
    #[error("the store has format {found}; this vouchd reads formats up to {supported}")]
    Newer {
        /// Format of the store.
        found: u32,
        /// Newest format that this program reads.
        supported: u32,
    },
    /// The files of the store are not as they were left: nothing is read from them.
    #[error("the store {} is damaged: {what}; restore it from a backup", path.display())]
    Damaged {
        /// Directory of the store.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// One speaker's record is not as it was written; the others are not concerned.
    #[error("the record of this speaker is damaged; delete the speaker and enroll anew, or restore a backup")]
    RecordDamaged,
    /// The speaker opted out: no voiceprint is stored.
    #[error("the speaker opted out")]
    OptedOut,
    /// The voiceprint is not one that could be stored.
    #[error("the voiceprint cannot be stored: {0}")]
    Unfit(&'static str),
    /// Too little room on the disk; nothing was changed.
    #[error("the disk of {} is full: {free} bytes are free, {needed} are kept in reserve", path.display())]
    DiskFull {
        /// Directory of the store.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be.
        needed: u64,
    },
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database refused something, or panicked.
    #[error("the database failed to {doing}: {reason}")]
    Engine {
        /// What was to be done.
        doing: &'static str,
        /// What the database says.
        reason: String,
    },
    /// After a fault nothing more is written until a restart has checked what is on the disk.
    #[error("the store takes no more changes since a fault; restart vouchd")]
    Stopped,
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    NoRandomness,
}

impl StoreError {
    /// An [`StoreError::Io`] for use in `map_err`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}
