//! TCP and TLS: listeners, connections of peers, connections of our own. One way to serve a stream, whatever carries it.

mod places;
mod serve;

use super::super::counters::SipCounters;
use super::super::flow::{ConnectionId, Flow, Transport};
use super::super::message::Wire;
use super::super::peers::Peers;
use super::tls::Certificates;
use super::udp::LocalAddresses;
use super::{Inbound, TcpLimits};
use nix::sys::socket::{setsockopt, sockopt};
use places::{Place, Places};
use serve::serve;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;

/// Connections that may wait for being accepted.
const BACKLOG: u32 = 256;
/// Messages that wait to be written to one connection.
const WRITE_QUEUE: usize = 64;
/// Connections of strangers at once: enough to tell them 403, too few to keep others out.
const STRANGERS: usize = 8;
/// How long a stranger's connection, or one that broke, lives on for the answer.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Pause after a failed accept, such as for want of file descriptors.
const ERROR_PAUSE: Duration = Duration::from_millis(50);
/// Room made for each read.
const READ_SIZE: usize = 4096;

/// All TCP and TLS connections.
#[derive(Debug)]
pub(super) struct Connections {
    shared: Arc<Shared>,
    writers: HashMap<ConnectionId, mpsc::Sender<Wire>>,
    /// Connections that we opened, by where they lead.
    dialled: HashMap<SocketAddr, ConnectionId>,
}

#[derive(Debug)]
struct Shared {
    limits: TcpLimits,
    peers: Peers,
    inbound: mpsc::Sender<Inbound>,
    counters: Arc<SipCounters>,
    last_id: AtomicU64,
    places: Arc<Places>,
    strangers: Arc<Places>,
}

impl Connections {
    pub(super) fn new(
        limits: TcpLimits,
        peers: &Peers,
        inbound: mpsc::Sender<Inbound>,
        counters: Arc<SipCounters>,
    ) -> Self {
        let places = |most| Places::new(most, limits, Arc::clone(&counters));
        let shared = Shared {
            limits,
            peers: peers.clone(),
            inbound,
            places: places(limits.max_connections),
            strangers: places(STRANGERS),
            counters,
            last_id: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), writers: HashMap::new(), dialled: HashMap::new() }
    }

    /// Binds a listener, of TLS where it has certificates, and starts its task; gives the address it got.
    pub(super) fn listen(
        &mut self,
        address: SocketAddr,
        certificates: Option<Arc<Certificates>>,
    ) -> io::Result<SocketAddr> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        if address.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
        }
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let local = listener.local_addr()?;
        tokio::spawn(accept(listener, Arc::clone(&self.shared), certificates));
        Ok(local)
    }

    pub(super) fn opened(&mut self, id: ConnectionId, writer: mpsc::Sender<Wire>) {
        self.writers.insert(id, writer);
    }

    pub(super) fn closed(&mut self, id: ConnectionId) {
        self.writers.remove(&id);
        self.dialled.retain(|_, dialled| *dialled != id);
    }

    /// Sends along the connection of `flow`; over TCP also along the one we have to its remote end, or a new one.
    pub(super) fn send(&mut self, flow: Flow, bytes: Wire) -> io::Result<()> {
        let id = flow.connection.filter(|id| self.writers.contains_key(id));
        let id = match flow.transport {
            // Nobody told us whose certificate a peer would show us.
            Transport::Tls => Some(id.ok_or(io::ErrorKind::NotConnected)?),
            _ => id.or_else(|| self.dialled.get(&flow.remote).copied()),
        };
        let writer = match id.and_then(|id| self.writers.get(&id)) {
            Some(writer) => writer,
            None => self.dial(flow)?,
        };
        writer.try_send(bytes).map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    fn dial(&mut self, flow: Flow) -> io::Result<&mpsc::Sender<Wire>> {
        if !self.shared.peers.allow(flow.remote.ip()) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let id = self.shared.next_id();
        let place = self.shared.places.take(id, flow.remote.ip(), Instant::now()).ok_or_else(|| {
            self.shared.counters.refused_connections.add();
            io::Error::from(io::ErrorKind::QuotaExceeded)
        })?;
        let (writer, writes) = mpsc::channel(WRITE_QUEUE);
        tokio::spawn(dial(Arc::clone(&self.shared), id, flow, (writes, place)));
        self.dialled.insert(flow.remote, id);
        Ok(self.writers.entry(id).or_insert(writer))
    }
}

impl Shared {
    fn next_id(&self) -> ConnectionId {
        ConnectionId(self.last_id.fetch_add(1, Ordering::Relaxed))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, certificates: Option<Arc<Certificates>>) {
    let mut locals = LocalAddresses::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.inbound.closed() => return,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting a connection failed");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        let known = shared.peers.allow(remote.ip());
        if !known && certificates.is_some() {
            // A 403 is not worth a handshake.
            shared.counters.refused_peers.add();
            continue;
        }
        let places = if known { &shared.places } else { &shared.strangers };
        let id = shared.next_id();
        let Some(mut place) = places.take(id, remote.ip(), Instant::now()) else {
            let counters = &shared.counters;
            if known {
                counters.refused_connections.add();
            } else {
                counters.refused_peers.add();
            }
            continue;
        };
        let Ok(local) = stream.local_addr().map(|local| locals.towards(remote.ip(), local)) else {
            continue;
        };
        let transport = if certificates.is_some() { Transport::Tls } else { Transport::Tcp };
        let flow = Flow { transport, local, remote, connection: Some(id) };
        let (writer, writes) = mpsc::channel(WRITE_QUEUE);
        if shared.inbound.send(Inbound::Opened { id, writer }).await.is_err() {
            return;
        }
        let (shared, certificates) = (Arc::clone(&shared), certificates.clone());
        tokio::spawn(async move {
            no_delay(&stream);
            if let Some(certificates) = certificates {
                if let Some(stream) = secured(&shared, &certificates, stream, flow).await {
                    serve(&shared, stream, flow, writes, &mut place).await;
                }
            } else if known {
                serve(&shared, stream, flow, writes, &mut place).await;
            } else {
                // Time for one request and its 403.
                let _ = timeout(LAST_WORDS, serve(&shared, stream, flow, writes, &mut place)).await;
            }
            let _ = shared.inbound.send(Inbound::Closed(id)).await;
            drop(place);
        });
    }
}

async fn dial(
    shared: Arc<Shared>,
    id: ConnectionId,
    flow: Flow,
    (writes, mut place): (mpsc::Receiver<Wire>, Place),
) {
    match timeout(shared.limits.message_within, TcpStream::connect(flow.remote)).await {
        Ok(Ok(stream)) => {
            no_delay(&stream);
            serve(&shared, stream, Flow { connection: Some(id), ..flow }, writes, &mut place).await;
        }
        Ok(Err(error)) => {
            shared.counters.send_failures.add();
            tracing::debug!(peer = %flow.remote, %error, "connecting failed");
        }
        Err(_) => {
            shared.counters.send_failures.add();
            tracing::debug!(peer = %flow.remote, "connecting took too long");
        }
    }
    let _ = shared.inbound.send(Inbound::Closed(id)).await;
    drop(place);
}

/// Small messages must not wait for each other; where this fails they merely do.
fn no_delay(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

/// Shakes hands, within the time that a message has; nothing, counted, where that fails.
async fn secured(
    shared: &Shared,
    certificates: &Certificates,
    stream: TcpStream,
    flow: Flow,
) -> Option<TlsStream<TcpStream>> {
    let cause = match timeout(shared.limits.message_within, certificates.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it took too long".to_owned(),
    };
    shared.counters.failed_handshakes.add();
    tracing::info!(peer = %flow.remote, cause, "a TLS handshake failed");
    None
}
