//! Who is at the other end of a connection, as far as the system knows.

use super::roles::{Gatekeeper, Peer, Role};
use nix::sys::socket::{UnixCredentials, getsockopt, sockopt::PeerCredentials};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Questions to the user database at once. It may be a remote directory that does not answer, each question then keeps
/// a thread for as long, and the store needs those threads, too.
const LOOKUPS_AT_ONCE: usize = 32;

/// Tells who peers are; cheap to clone.
#[derive(Clone)]
pub(super) struct Identity {
    gatekeeper: Arc<dyn Gatekeeper>,
    lookups: Arc<Semaphore>,
    limit: Duration,
}

impl Identity {
    /// As `gatekeeper` knows within `limit`.
    pub(super) fn new(gatekeeper: Arc<dyn Gatekeeper>, limit: Duration) -> Self {
        Self { gatekeeper, lookups: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)), limit }
    }

    /// Credentials and role of the process at the other end; `None` if the system does not tell. A peer of whom nothing is
    /// known in time has no role.
    pub(super) async fn of(&self, stream: &UnixStream) -> Option<Peer> {
        let credentials = getsockopt(stream, PeerCredentials)
            .inspect_err(|error| tracing::warn!(%error, "a peer of the socket cannot be identified"))
            .ok()?;
        let uid = credentials.uid();
        let role = match self.gatekeeper.own_role(&credentials) {
            Some(role) => role,
            None => {
                timeout(self.limit, self.look_up(credentials)).await.ok().flatten().unwrap_or_else(|| {
                    tracing::warn!(uid, "the user database does not answer, so a peer is refused");
                    Role::Nobody
                })
            }
        };
        Some(Peer { uid, role })
    }

    /// Asks the gatekeeper, on a thread, since it may block. Nobody can end such a thread, so its permit is its own.
    async fn look_up(&self, credentials: UnixCredentials) -> Option<Role> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.ok()?;
        let gatekeeper = Arc::clone(&self.gatekeeper);
        let asked = tokio::task::spawn_blocking(move || {
            let role = gatekeeper.role(&credentials);
            drop(permit);
            role
        });
        asked.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, channel};
    use std::sync::{Mutex, PoisonError};

    /// A user database that does not answer while there is a sender.
    struct Directory {
        hangs: Mutex<Receiver<()>>,
        asked: AtomicUsize,
        knows_us: AtomicBool,
    }

    impl Gatekeeper for Directory {
        fn own_role(&self, _peer: &UnixCredentials) -> Option<Role> {
            self.knows_us.load(Ordering::Relaxed).then_some(Role::Admin)
        }

        fn role(&self, _peer: &UnixCredentials) -> Role {
            self.asked.fetch_add(1, Ordering::Relaxed);
            // Ends with an error, as nothing is sent.
            let _ = self.hangs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            Role::Reader
        }
    }

    async fn role(identity: &Identity) -> Role {
        let (near, _far) = UnixStream::pair().unwrap();
        identity.of(&near).await.unwrap().role
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_user_database_that_hangs_keeps_few_threads_and_nobody_who_needs_none() {
        let (hanging, hangs) = channel();
        let directory = Directory { hangs: Mutex::new(hangs), asked: 0.into(), knows_us: false.into() };
        let directory = Arc::new(directory);
        let impatient = Identity::new(directory.clone(), Duration::from_millis(1));
        for _ in 0..LOOKUPS_AT_ONCE + 20 {
            assert_eq!(role(&impatient).await, Role::Nobody);
        }
        assert!(directory.asked.load(Ordering::Relaxed) <= LOOKUPS_AT_ONCE);
        directory.knows_us.store(true, Ordering::Relaxed);
        assert_eq!(role(&impatient).await, Role::Admin);
        directory.knows_us.store(false, Ordering::Relaxed);
        drop(hanging);
        let patient = Identity { limit: Duration::from_secs(20), ..impatient };
        assert_eq!(role(&patient).await, Role::Reader, "it answers again");
    }
}
