//! The tap on network interfaces: rings are opened while there is the right to, then a thread reads them.

use super::filter;
use super::{Frame, Link};
use crate::config;
use crate::exchange::{Exchange, Wiretap};
use crate::sys::packet_ring::{LinkKind, PacketRing, wait};
use crate::view::TapView;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::runtime::Handle;

/// Longest wait for frames, in milliseconds.
const WAIT_MS: u16 = 100;
/// How often the tap is asked to give up what it waits for, and the interfaces what they dropped.
const ROUND: Duration = Duration::from_secs(1);

/// An interface cannot be captured on.
#[derive(Debug, thiserror::Error)]
#[error("tap.interfaces: {interface}: {source}{}", hint(.source))]
pub struct OpenError {
    interface: String,
    source: io::Error,
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; vouchd needs CAP_NET_RAW: see vouchd-tap.conf in /usr/share/doc/vouch/examples"
        }
        _ => "",
    }
}

/// The interfaces, captured on and not yet read.
#[derive(Debug, Default)]
pub struct Interfaces {
    names: Vec<String>,
    rings: Vec<PacketRing>,
}

impl Interfaces {
    /// Opens the interfaces of the configuration.
    ///
    /// # Errors
    /// [`OpenError`] names the first that cannot be captured on.
    pub fn open(config: &config::Tap) -> Result<Self, OpenError> {
        let mut interfaces = Self::default();
        for name in &config.interfaces {
            let filter = |kind| match kind {
                LinkKind::Ethernet => filter::ethernet(&config.sip_ports),
                LinkKind::Raw => Vec::new(),
            };
            let ring = PacketRing::open(name, config.promiscuous, filter)
                .map_err(|source| OpenError { interface: name.clone(), source })?;
            interfaces.names.push(name.clone());
            interfaces.rings.push(ring);
        }
        Ok(interfaces)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// Starts to read them, if there are any; their calls go to `exchange`.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn start(self, exchange: Exchange, runtime: Handle) -> io::Result<Live> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let run = move || {
            // What calls want done in the background is done there.
            let _context = runtime.enter();
            Reader { interfaces: self, tap: Wiretap::new(exchange.clone(), None), exchange }.run(&stopping);
        };
        let thread = Builder::new().name("tap".to_owned()).spawn(run)?;
        Ok(Live { stop, thread: Some(thread) })
    }
}

/// The thread that reads the interfaces; it ends when this is dropped.
#[derive(Debug)]
pub struct Live {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that panicked has said so on its own.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Reader {
    interfaces: Interfaces,
    tap: Wiretap,
    exchange: Exchange,
}

impl Reader {
    fn run(mut self, stop: &AtomicBool) {
        let mut last = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = wait(&self.interfaces.rings, WAIT_MS) {
                tracing::error!(%error, "the tap's interfaces cannot be waited for");
                std::thread::sleep(ROUND);
            }
            let Self { interfaces, tap, .. } = &mut self;
            for ring in &mut interfaces.rings {
                let link = match ring.kind() {
                    LinkKind::Ethernet => Link::Ethernet,
                    LinkKind::Raw => Link::Raw,
                };
                ring.take(&mut |at, bytes| {
                    let taken = catch_unwind(AssertUnwindSafe(|| tap.take(&Frame { at, link, bytes })));
                    if taken.is_err() {
                        tracing::error!(
                            "the tap failed on a frame, which is a bug; it goes on with the next"
                        );
                    }
                });
            }
            if last.elapsed() >= ROUND {
                last = Instant::now();
                self.look_round();
            }
        }
        self.tap.finish();
    }

    fn look_round(&mut self) {
        self.tap.tick(UNIX_EPOCH.elapsed().unwrap_or_default());
        let Interfaces { names, rings } = &mut self.interfaces;
        let figures = names.iter().zip(rings).map(|(name, ring)| {
            let counts = ring.counts().unwrap_or_default();
            TapView { interface: name.clone(), packets: counts.packets, dropped: counts.dropped }
        });
        self.exchange.note_tap(figures.collect(), &self.tap.counts());
    }
}
