//! TCP and TLS: listeners, connections of peers, connections of our own. One way to serve a stream, whatever carries it.

use super::super::counters::SipCounters;
use super::super::flow::{ConnectionId, Flow, Transport};
use super::super::message::Wire;
use super::super::peers::Peers;
use super::super::stream::{Framer, PONG, Piece};
use super::tls::Certificates;
use super::udp::LocalAddresses;
use super::{Inbound, TcpLimits};
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
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
    places: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(
        limits: TcpLimits,
        peers: &Peers,
        inbound: mpsc::Sender<Inbound>,
        counters: Arc<SipCounters>,
    ) -> Self {
        let shared = Shared {
            limits,
            peers: peers.clone(),
            inbound,
            counters,
            last_id: AtomicU64::new(0),
            places: Arc::new(Semaphore::new(limits.max_connections)),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
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
        let permit = Arc::clone(&self.shared.places).try_acquire_owned().map_err(|_| {
            self.shared.counters.refused_connections.add();
            io::Error::from(io::ErrorKind::QuotaExceeded)
        })?;
        let id = self.shared.next_id();
        let (writer, writes) = mpsc::channel(WRITE_QUEUE);
        tokio::spawn(dial(Arc::clone(&self.shared), id, flow, (writes, permit)));
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
        let Ok(permit) = Arc::clone(places).try_acquire_owned() else {
            let counters = &shared.counters;
            if known {
                counters.refused_connections.add();
            } else {
                counters.refused_peers.add();
            }
            continue;
        };
        let (id, local) = (shared.next_id(), stream.local_addr());
        let Ok(local) = local.map(|local| locals.towards(remote.ip(), local)) else {
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
                    serve(&shared, stream, flow, writes).await;
                }
            } else if known {
                serve(&shared, stream, flow, writes).await;
            } else {
                // Time for one request and its 403.
                let _ = timeout(LAST_WORDS, serve(&shared, stream, flow, writes)).await;
            }
            let _ = shared.inbound.send(Inbound::Closed(id)).await;
            drop(permit);
        });
    }
}

async fn dial(
    shared: Arc<Shared>,
    id: ConnectionId,
    flow: Flow,
    (writes, permit): (mpsc::Receiver<Wire>, OwnedSemaphorePermit),
) {
    match timeout(shared.limits.message_within, TcpStream::connect(flow.remote)).await {
        Ok(Ok(stream)) => {
            no_delay(&stream);
            serve(&shared, stream, Flow { connection: Some(id), ..flow }, writes).await;
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
    drop(permit);
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

/// Reads and writes one connection until either side has had enough.
async fn serve<S>(shared: &Shared, stream: S, flow: Flow, mut writes: mpsc::Receiver<Wire>)
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut framer = Framer::default();
    let mut deadline = Instant::now() + shared.limits.idle;
    loop {
        framer.buffer().reserve(READ_SIZE);
        let was_partial = framer.is_partial();
        tokio::select! {
            read = timeout_at(deadline, reader.read_buf(framer.buffer())) => {
                if !matches!(read, Ok(Ok(1..))) {
                    if read.is_err() && was_partial {
                        shared.counters.unfinished.add();
                    }
                    return;
                }
                let Some(delivered) = deliver(shared, &mut framer, &mut writer, flow).await else {
                    return last_words(shared, &mut reader, &mut writer, &mut writes).await;
                };
                // A message that began must end in time, however its bytes trickle in.
                if !framer.is_partial() {
                    deadline = Instant::now() + shared.limits.idle;
                } else if delivered > 0 || !was_partial {
                    deadline = Instant::now() + shared.limits.message_within;
                }
            }
            bytes = writes.recv() => {
                let Some(bytes) = bytes else { return };
                if !write(shared, &mut writer, &bytes).await {
                    return;
                }
                if !framer.is_partial() {
                    deadline = Instant::now() + shared.limits.idle;
                }
            }
        }
    }
}

/// Hands over what is complete, and says how much that was; `None` if the connection cannot go on.
async fn deliver(
    shared: &Shared,
    framer: &mut Framer,
    writer: &mut (impl AsyncWrite + Unpin),
    flow: Flow,
) -> Option<usize> {
    let mut delivered = 0;
    loop {
        match framer.next_piece() {
            Ok(Some(Piece::Message(bytes))) => {
                shared.inbound.send(Inbound::Message { bytes, flow }).await.ok()?;
                delivered += 1;
            }
            Ok(Some(Piece::Ping)) => write(shared, writer, PONG).await.then_some(())?,
            Ok(None) => return Some(delivered),
            Err(broken) => {
                tracing::debug!(peer = %flow.remote, error = %broken.error, "a SIP stream broke");
                // The agent finds the same fault and answers it.
                let _ = shared.inbound.send(Inbound::Message { bytes: broken.head, flow }).await;
                return None;
            }
        }
    }
}

async fn write(shared: &Shared, writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    let written = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    matches!(timeout(shared.limits.message_within, written).await, Ok(Ok(())))
}

/// Writes what answers a broken stream, and reads on into nothing meanwhile: closing a socket with unread bytes
/// would reset the connection and take the answer with it.
async fn last_words(
    shared: &Shared,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    writes: &mut mpsc::Receiver<Wire>,
) {
    if let Ok(Some(bytes)) = timeout(LAST_WORDS, writes.recv()).await {
        write(shared, writer, &bytes).await;
    }
    let _ = writer.shutdown().await;
    let mut sink = [0; READ_SIZE];
    let _ = timeout(LAST_WORDS, async { while matches!(reader.read(&mut sink).await, Ok(1..)) {} }).await;
}
