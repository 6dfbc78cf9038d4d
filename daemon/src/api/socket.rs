//! The Unix socket the API listens on: handed over by systemd, or made here.

use nix::unistd::{Group, chown};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Who may connect: owner and group.
const MODE: u32 = 0o660;

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Something that is no socket stands at the path, and is left alone.
    #[error("{0} exists and is no socket; move it away or set another `api.socket`")]
    NotASocket(PathBuf),
    /// Another process answers at the path.
    #[error("another process listens on {0}; is vouchd running already?")]
    InUse(PathBuf),
    /// The system refused.
    #[error("the socket {path} cannot be {action}: {source}")]
    System {
        /// Path of the socket.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// systemd handed over something else.
    #[error(
        "systemd handed over {found} descriptors of which none can be used: {why}; one ListenStream= is needed"
    )]
    Activation {
        /// How many descriptors there were.
        found: usize,
        /// What is wrong.
        why: String,
    },
}

/// A listening socket; its path is removed with it, unless systemd owns it.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    made: Option<Made>,
}

/// The path made here, with the inode that tells it from a successor's.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// The socket that systemd handed over, or else one made at `path`, open to owner and `group`.
    ///
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError`] names the path and the cause.
    pub fn open(path: &Path, group: &str) -> Result<Self, SocketError> {
        match crate::sys::inherited::unix_listener() {
            Ok(None) => Self::make(path, group),
            Ok(Some(listener)) => {
                let listener = to_tokio(listener)
                    .map_err(|error| SocketError::Activation { found: 1, why: error.to_string() })?;
                Ok(Self { listener, made: None })
            }
            Err((found, why)) => Err(SocketError::Activation { found, why }),
        }
    }

    /// A socket made at `path`, open to owner and `group`. One left behind by a dead daemon is replaced.
    ///
    /// # Errors
    /// [`SocketError`] names the path and the cause.
    pub fn make(path: &Path, group: &str) -> Result<Self, SocketError> {
        let refused = |action| move |source| SocketError::System { path: path.to_owned(), action, source };
        remove_stale(path)?;
        // Between bind and chmod the umask decides who may connect; roles are checked on every connection anyway.
        let listener = StdListener::bind(path).map_err(refused("made"))?;
        fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(refused("given its mode"))?;
        give_to_group(path, group).map_err(refused("given to its group"))?;
        let inode = fs::symlink_metadata(path).map_err(refused("inspected"))?.ino();
        let listener = to_tokio(listener).map_err(refused("used"))?;
        Ok(Self { listener, made: Some(Made { path: path.to_owned(), inode }) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Some(made) = &self.made else { return };
        // A daemon started meanwhile may have put its own socket there.
        if fs::symlink_metadata(&made.path).is_ok_and(|found| found.ino() == made.inode) {
            // Nothing is lost when it stays: the next start replaces it.
            let _ = fs::remove_file(&made.path);
        }
    }
}

fn to_tokio(listener: StdListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Removes a socket at `path` that nobody answers on.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let refused = |action| move |source| SocketError::System { path: path.to_owned(), action, source };
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused("inspected")(error)),
        Ok(found) => found.file_type(),
    };
    if !kind.is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    match StdStream::connect(path) {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused("removed, though nobody listens on it"))
        }
        Err(error) => Err(refused("tried")(error)),
    }
}

/// Gives the socket to `group`, if this system has one of that name: without it, only root and the daemon's own user
/// can connect, which is the safe side.
fn give_to_group(path: &Path, group: &str) -> io::Result<()> {
    match Group::from_name(group)? {
        Some(found) => Ok(chown(path, None, Some(found.gid))?),
        None => {
            tracing::warn!(
                group,
                "there is no such group, so only root and the daemon's user reach the socket"
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group that no system has.
    const NO_GROUP: &str = "vouch-no-such-group";

    #[tokio::test]
    async fn the_socket_has_its_mode_and_goes_with_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vouch.sock");
        let socket = Socket::make(&path, NO_GROUP).unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, MODE);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_is_given_to_the_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vouch.sock");
        // The own group is the one that everybody may give files to.
        let own = Group::from_gid(nix::unistd::getgid()).unwrap().expect("the own group has a name");
        let _socket = Socket::make(&path, &own.name).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().gid(), own.gid.as_raw());
    }

    #[tokio::test]
    async fn only_a_dead_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vouch.sock");
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead daemon leaves its socket");
        let alive = Socket::make(&path, NO_GROUP).unwrap();
        assert!(matches!(Socket::make(&path, NO_GROUP), Err(SocketError::InUse(_))));
        drop(alive);
        fs::write(&path, "keep me").unwrap();
        let error = Socket::make(&path, NO_GROUP).unwrap_err();
        assert!(matches!(&error, SocketError::NotASocket(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "keep me");
    }

    #[tokio::test]
    async fn a_successors_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vouch.sock");
        let first = Socket::make(&path, NO_GROUP).unwrap();
        fs::rename(&path, folder.path().join("old.sock")).unwrap();
        let second = Socket::make(&path, NO_GROUP).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
    }

    #[tokio::test]
    async fn errors_name_the_path() {
        let error = Socket::make(Path::new("/nonexistent/vouch.sock"), NO_GROUP).unwrap_err();
        assert!(
            error.to_string().starts_with("the socket /nonexistent/vouch.sock cannot be made: No such file")
        );
    }
}
