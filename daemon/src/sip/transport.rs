//! Sockets and timers around the [`Agent`]: one task owns it, readers feed it, nothing in between waits.

#[cfg(test)]
mod sipp;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod udp;

pub use tls::{TlsError, TlsFiles};

use super::agent::{Agent, AgentConfig, CommandError, Event, Output, Reply, RequestKey};
use super::counters::SipCounters;
use super::dialog::DialogId;
use super::flow::{ConnectionId, Flow, Transport};
use super::message::{Body, Wire};
use super::subscription::Notice;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Messages that wait for the agent before the readers stop reading.
const INBOUND_QUEUE: usize = 1024;
/// Commands that wait for the agent before the application waits.
const COMMAND_QUEUE: usize = 1024;
/// Events that the application has not fetched, in the channel and behind it, before the agent stops listening.
const EVENT_QUEUE: usize = 1024;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What carries SIP there.
    pub transport: Transport,
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
}

/// As the status shows it: `udp:127.0.0.1:5060`.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_str().to_ascii_lowercase(), self.address)
    }
}

/// Bounds of TCP and TLS connections, together.
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// Most connections of configured peers at once.
    pub max_connections: usize,
    /// A connection without traffic is closed after this.
    pub idle: Duration,
    /// A message that began must be complete within this, and one of ours written; and a TLS handshake. While all places
    /// are taken, a connection over which nothing ever went keeps its own for this time.
    pub message_within: Duration,
    /// While all places are taken, a connection that was used keeps its own for this time without traffic.
    pub kept_alive: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            max_connections: 256,
            // Longer than gateways are silent in a call: they refresh sessions every 15 minutes (RFC 4028 section 4).
            idle: Duration::from_secs(3600),
            message_within: Duration::from_secs(10),
            // RFC 5626 section 4.4.1: those who keep a connection alive do so every 120 s at least.
            kept_alive: Duration::from_secs(150),
        }
    }
}

/// Settings of the SIP part.
#[derive(Clone, Debug, Default)]
pub struct SipConfig {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// Bounds of TCP and TLS connections.
    pub tcp: TcpLimits,
    /// Certificates, which listening by TLS needs.
    pub tls: Option<TlsFiles>,
    /// The agent's own.
    pub agent: AgentConfig,
}

/// The SIP part could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}: {source}")]
pub struct StartError {
    /// Where.
    pub listen: Listen,
    /// Why.
    pub source: io::Error,
}

/// The SIP part has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the SIP part has stopped")]
pub struct Stopped;

/// What the application asks for; see the functions of [`Agent`] of the same names.
pub enum SipCommand {
    /// [`Agent::ring`]
    Ring(DialogId),
    /// [`Agent::answer`]
    Answer(DialogId, Reply),
    /// [`Agent::respond`]
    Respond(RequestKey, Reply),
    /// [`Agent::send_info`]
    Info(DialogId, Vec<(String, String)>, Option<Body>),
    /// [`Agent::send_bye`]
    Bye(DialogId),
    /// [`Agent::notify`]
    Notify(DialogId, Notice),
}

/// Gives commands to the agent; cheap to clone. The SIP part stops when the last one is dropped.
#[derive(Clone, Debug)]
pub struct SipHandle {
    commands: mpsc::Sender<SipCommand>,
    counters: Arc<SipCounters>,
}

impl SipHandle {
    /// Gives a command. What it asks for may have become impossible meanwhile (a cancelled call), which is no error.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn send(&self, command: SipCommand) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }

    /// What has been counted.
    pub fn counters(&self) -> &SipCounters {
        &self.counters
    }
}

/// The running SIP part.
#[derive(Debug)]
pub struct Sip {
    /// Gives commands.
    pub handle: SipHandle,
    /// What happens.
    pub events: mpsc::Receiver<Event>,
    /// Where it listens, port 0 resolved.
    pub listening: Vec<Listen>,
    /// The task, which ends when the last handle or the receiver of events is dropped.
    pub task: JoinHandle<()>,
}

/// Binds all sockets and starts the agent's task.
///
/// # Errors
/// [`StartError`] for the first address that cannot be listened on.
pub async fn start(config: SipConfig) -> Result<Sip, StartError> {
    let counters = Arc::new(SipCounters::default());
    let (inbound_in, inbound) = mpsc::channel(INBOUND_QUEUE);
    let (commands_in, commands) = mpsc::channel(COMMAND_QUEUE);
    let (events, events_out) = mpsc::channel(EVENT_QUEUE);
    let mut udp = udp::Sockets::default();
    let mut tcp =
        tcp::Connections::new(config.tcp, &config.agent.peers, inbound_in.clone(), Arc::clone(&counters));
    let mut listening = Vec::new();
    for listen in config.listen {
        let bound = match listen.transport {
            Transport::Udp => udp.listen(listen.address, inbound_in.clone()),
            Transport::Tcp => tcp.listen(listen.address, None),
            Transport::Tls => certificates(config.tls.as_ref())
                .and_then(|certificates| tcp.listen(listen.address, Some(certificates))),
        };
        let address = bound.map_err(|source| StartError { listen, source })?;
        listening.push(Listen { address, ..listen });
    }
    let agent = Agent::new(config.agent, Arc::clone(&counters));
    let shell = Shell { agent, udp, tcp, counters: Arc::clone(&counters), backlog: VecDeque::new() };
    let task = tokio::spawn(shell.run(inbound, commands, events));
    let handle = SipHandle { commands: commands_in, counters };
    Ok(Sip { handle, events: events_out, listening, task })
}

/// The certificates of one listener.
fn certificates(files: Option<&TlsFiles>) -> io::Result<Arc<tls::Certificates>> {
    let files = files.ok_or_else(|| io::Error::other("no certificate is configured"))?;
    tls::Certificates::load(files.clone()).map(Arc::new).map_err(io::Error::other)
}

/// What the readers give to the agent's task.
#[derive(Debug)]
enum Inbound {
    Message { bytes: Wire, flow: Flow },
    Opened { id: ConnectionId, writer: mpsc::Sender<Wire> },
    Closed(ConnectionId),
}

struct Shell {
    agent: Agent,
    udp: udp::Sockets,
    tcp: tcp::Connections,
    counters: Arc<SipCounters>,
    backlog: VecDeque<Event>,
}

impl Shell {
    async fn run(
        mut self,
        mut inbound: mpsc::Receiver<Inbound>,
        mut commands: mpsc::Receiver<SipCommand>,
        events: mpsc::Sender<Event>,
    ) {
        loop {
            let wake = self.agent.timeout();
            tokio::select! {
                Some(inbound) = inbound.recv(), if self.backlog.len() < EVENT_QUEUE => self.take(inbound),
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                () = sleep_until(wake) => self.agent.tick(Instant::now()),
                permit = events.reserve(), if !self.backlog.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.backlog.pop_front() {
                            permit.send(event);
                        }
                    }
                    Err(_) => return,
                },
            }
            while let Some(output) = self.agent.poll_output() {
                match output {
                    Output::Send { flow, bytes } => self.send(flow, bytes).await,
                    Output::Event(event) => self.backlog.push_back(event),
                }
            }
        }
    }

    fn take(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Message { bytes, flow } => self.agent.receive(&bytes, flow, Instant::now()),
            Inbound::Opened { id, writer } => self.tcp.opened(id, writer),
            Inbound::Closed(id) => {
                self.tcp.closed(id);
                self.agent.closed(id);
            }
        }
    }

    fn obey(&mut self, command: SipCommand) {
        let now = Instant::now();
        let result = match command {
            SipCommand::Ring(dialog) => self.agent.ring(dialog, now),
            SipCommand::Answer(dialog, reply) => self.agent.answer(dialog, reply, now),
            SipCommand::Respond(key, reply) => self.agent.respond(key, reply, now),
            SipCommand::Info(dialog, headers, body) => {
                self.agent.send_info(dialog, &headers, body.as_ref(), now)
            }
            SipCommand::Bye(dialog) => self.agent.send_bye(dialog, now),
            SipCommand::Notify(subscription, notice) => self.agent.notify(subscription, notice, now),
        };
        match result {
            Ok(()) => {}
            Err(CommandError::BadStatus(status)) => {
                tracing::error!(status, "a SIP answer has no final status");
            }
            Err(error) => tracing::debug!(%error, "a SIP command was not carried out"),
        }
    }

    async fn send(&mut self, flow: Flow, bytes: Wire) {
        let sent = match flow.transport {
            Transport::Udp => self.udp.send(flow, &bytes).await,
            Transport::Tcp | Transport::Tls => self.tcp.send(flow, bytes),
        };
        if let Err(error) = sent {
            self.counters.send_failures.add();
            tracing::debug!(transport = %flow.transport, peer = %flow.remote, %error, "a SIP message was not sent");
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
