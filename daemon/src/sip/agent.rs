//! The user agent: messages and time in, messages and events out. It does no I/O and reads no clock.
//!
//! The application gets [`Event`]s and gives commands ([`Agent::answer`], [`Agent::respond`],
//! [`Agent::send_info`]...). Each [`Event::Invite`] is followed by exactly one of [`Event::Cancelled`],
//! [`Event::Ended`], or the application's own refusal (an answer of 300 and above).

mod commands;
mod requests;
mod subscriptions;
#[cfg(test)]
mod tests;

use super::counters::SipCounters;
use super::dialog::{Dialog, DialogId, DialogKey};
use super::flow::{ConnectionId, Flow, Transport};
use super::message::{
    Body, Builder, Headers, Message, Refusal, Request, Via, Wire, default_reason, skip_line_ends,
};
use super::peers::Peers;
use super::subscription::Subscription;
use super::timers::Timers;
use super::transaction::{ClientTransaction, GIVE_UP, ServerKey, ServerTransaction};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Methods answered.
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, SUBSCRIBE";

/// Settings of an [`Agent`].
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Who may talk to us; everybody else gets 403.
    pub peers: Peers,
    /// User part of our Contact.
    pub contact_user: String,
    /// What Server and User-Agent say.
    pub product: String,
    /// Option tags that Supported lists.
    pub supported: Vec<String>,
    /// Option tags that a Require may hold besides. `100rel` costs nothing: it binds only provisional answers
    /// above 100, and a peer that requires it gets none.
    pub understood: Vec<String>,
    /// Content types that an INVITE may bring, parameters aside.
    pub accept: Vec<String>,
    /// Most dialogs at once; further INVITEs get 503.
    pub max_dialogs: usize,
    /// Most subscriptions at once; further SUBSCRIBEs get 503.
    pub max_subscriptions: usize,
    /// Most server transactions at once outside dialogs, half of them for requests that are no INVITE; further ones get
    /// 503. Those inside may be as many again.
    pub max_transactions: usize,
    /// How long the application may take to answer.
    pub answer_within: Duration,
}

impl Default for AgentConfig {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            peers: Peers::default(),
            contact_user: "vouch".to_owned(),
            product: concat!("vouch/", env!("CARGO_PKG_VERSION")).to_owned(),
            supported: list(&["timer", "siprec"]),
            understood: list(&["100rel"]),
            accept: list(&["application/sdp", "multipart/mixed"]),
            max_dialogs: 1000,
            max_subscriptions: 1000,
            max_transactions: 10_000,
            answer_within: GIVE_UP,
        }
    }
}

/// What the agent wants done.
#[derive(Debug)]
pub enum Output {
    /// This goes out.
    Send {
        /// Where to.
        flow: Flow,
        /// One message.
        bytes: Wire,
    },
    /// The application should know this.
    Event(Event),
}

/// Names a request that waits for [`Agent::respond`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey(u64);

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A call comes in; [`Agent::answer`] it.
    Invite {
        /// Its dialog.
        dialog: DialogId,
        /// The INVITE.
        request: Arc<Request>,
        /// The way it came.
        flow: Flow,
    },
    /// A session changes; [`Agent::answer`] it.
    Reinvite {
        /// Its dialog.
        dialog: DialogId,
        /// The INVITE.
        request: Arc<Request>,
        /// The way it came.
        flow: Flow,
    },
    /// The peer acknowledged our 2xx.
    Acked {
        /// Its dialog.
        dialog: DialogId,
        /// What the ACK brought: the answer, where our 2xx made the offer.
        body: Option<Body>,
    },
    /// The peer cancelled the call before it was answered.
    Cancelled {
        /// Its dialog, which is gone.
        dialog: DialogId,
    },
    /// The call is over.
    Ended {
        /// Its dialog, which is gone.
        dialog: DialogId,
        /// Who ended it.
        why: EndReason,
    },
    /// The peer sent an INFO; it has been answered with 200.
    Info {
        /// Its dialog.
        dialog: DialogId,
        /// The INFO.
        request: Arc<Request>,
    },
    /// The peer asks; [`Agent::respond`] to it.
    Options {
        /// Names the request in the response.
        key: RequestKey,
        /// The OPTIONS.
        request: Arc<Request>,
        /// The dialog it came in, if any.
        dialog: Option<DialogId>,
        /// The way it came.
        flow: Flow,
    },
    /// The peer updates a session: an offer, metadata, or a refresh alone; [`Agent::respond`] to it.
    Update {
        /// Names the request in the response.
        key: RequestKey,
        /// Its dialog.
        dialog: DialogId,
        /// The UPDATE.
        request: Arc<Request>,
        /// The way it came.
        flow: Flow,
    },
    /// The peer subscribes to the results of a call; [`Agent::respond`] to it, and after a 2xx [`Agent::notify`]
    /// the state at once. [`Event::Unsubscribed`] follows an accepted one.
    Subscribe {
        /// Names the request in the response.
        key: RequestKey,
        /// The subscription.
        subscription: DialogId,
        /// The SUBSCRIBE.
        request: Arc<Request>,
        /// Name of the call, where the Event header gives one.
        call: Option<String>,
        /// The way it came.
        flow: Flow,
    },
    /// A subscription was refreshed or ended by its peer, who waits for the state: [`Agent::notify`].
    Resubscribed {
        /// The subscription.
        subscription: DialogId,
    },
    /// A subscription is over.
    Unsubscribed {
        /// The subscription, which is gone.
        subscription: DialogId,
    },
    /// The peer answered our INFO, or did not (408).
    InfoAnswered {
        /// Its dialog.
        dialog: DialogId,
        /// Final status.
        status: u16,
    },
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The peer hung up.
    Bye,
    /// We did.
    HungUp,
    /// Our 2xx was never acknowledged.
    NoAck,
    /// Nobody refreshed the session (RFC 4028).
    SessionExpired,
    /// The application did not answer in time.
    Unanswered,
    /// The peer no longer knows the dialog (481).
    PeerForgot,
}

/// A response, as the application gives it.
#[derive(Clone, Default)]
pub struct Reply {
    /// Status code, 200 to 699.
    pub status: u16,
    /// Phrase, if not the usual one.
    pub reason: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<Body>,
}

impl Reply {
    /// An empty response of this status.
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(Body::new(content_type, bytes));
        self
    }
}

/// Status and names of headers: their values may identify people.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "Reply({} {names:?} {:?})", self.status, self.body)
    }
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The dialog is gone: cancelled, ended, refused.
    #[error("the dialog is gone")]
    NoSuchDialog,
    /// The request is answered already, or gone.
    #[error("no request waits for this answer")]
    NothingToAnswer,
    /// Not a final status.
    #[error("{0} is no final status")]
    BadStatus(u16),
    /// The connection that the request has to take is closed, and the peer has made no other in the dialog.
    #[error("the peer's connection is closed")]
    NotConnected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum TimerKey {
    Server(u64),
    Unanswered(u64),
    Client(u64),
    Answer(DialogId),
    Session(DialogId),
    Subscription(DialogId),
}

#[derive(Debug)]
struct Server {
    key: ServerKey,
    machine: ServerTransaction,
    /// The request, until its final answer.
    request: Option<Arc<Request>>,
    answer_to: Flow,
    dialog: Option<DialogId>,
    merge: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Info,
    Bye,
    Refresh,
    Notify,
}

#[derive(Debug)]
struct Client {
    machine: ClientTransaction,
    branch: String,
    send_to: Flow,
    dialog: DialogId,
    purpose: Purpose,
}

/// The user agent.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    counters: Arc<SipCounters>,
    secret: RandomState,
    last_id: u64,
    servers: HashMap<u64, Server>,
    server_keys: HashMap<ServerKey, u64>,
    merges: HashMap<u64, u64>,
    clients: HashMap<u64, Client>,
    client_branches: HashMap<String, u64>,
    dialogs: HashMap<DialogId, Dialog>,
    subscriptions: HashMap<DialogId, Subscription>,
    /// Of dialogs and subscriptions.
    dialog_keys: HashMap<DialogKey, DialogId>,
    timers: Timers<TimerKey>,
    outputs: VecDeque<Output>,
}

impl Agent {
    /// An agent without calls.
    pub fn new(config: AgentConfig, counters: Arc<SipCounters>) -> Self {
        Self {
            config,
            counters,
            secret: RandomState::new(),
            last_id: 0,
            servers: HashMap::new(),
            server_keys: HashMap::new(),
            merges: HashMap::new(),
            clients: HashMap::new(),
            client_branches: HashMap::new(),
            dialogs: HashMap::new(),
            subscriptions: HashMap::new(),
            dialog_keys: HashMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one message, a datagram or what [`stream`](super::stream) cut out of a connection.
    pub fn receive(&mut self, bytes: &[u8], flow: Flow, now: Instant) {
        if skip_line_ends(bytes).is_empty() {
            return;
        }
        self.counters.received.add();
        let allowed = self.config.peers.allow(flow.remote.ip());
        match Message::parse(bytes) {
            _ if !allowed => self.refuse_peer(bytes, flow),
            Ok(Message::Request(request)) => self.take_request(*request, flow, now),
            Ok(Message::Response(response)) => self.take_response(&response, now),
            Err(refusal) => self.refuse_malformed(*refusal, flow),
        }
    }

    /// A connection is closed. What would have to take it waits for the next request of the peer in its dialog.
    pub fn closed(&mut self, connection: ConnectionId) {
        let subscribed = self.subscriptions.values_mut().map(|subscription| &mut subscription.dialog);
        for dialog in self.dialogs.values_mut().chain(subscribed) {
            if dialog.flow.connection == Some(connection) {
                dialog.flow.connection = None;
            }
        }
    }

    /// When [`Agent::tick`] has something to do.
    pub fn timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does all that is due.
    pub fn tick(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Server(id) => self.tick_server(id, now),
                TimerKey::Unanswered(id) => self.tick_unanswered(id, now),
                TimerKey::Client(id) => self.tick_client(id, now),
                TimerKey::Answer(dialog) => self.tick_answer(dialog, now),
                TimerKey::Session(dialog) => self.tick_session(dialog, now),
                TimerKey::Subscription(id) => self.tick_subscription(id, now),
            }
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Dialogs in progress.
    pub fn dialog_count(&self) -> usize {
        self.dialogs.len()
    }

    /// Server and client transactions in progress.
    pub fn transaction_count(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    fn refuse_peer(&mut self, bytes: &[u8], flow: Flow) {
        self.counters.refused_peers.add();
        if let Ok(Message::Request(mut request)) = Message::parse(bytes) {
            request.stamp(flow.remote);
            self.refuse(&request, flow, &Reply::new(403));
        }
    }

    fn refuse_malformed(&mut self, refusal: Refusal, flow: Flow) {
        self.counters.malformed.add();
        let Some((mut headers, mut via)) = refusal.answer else {
            return;
        };
        if let Some(via) = &mut via {
            via.stamp(flow.remote);
            headers.replace_top_via(via);
        }
        let status = refusal.error.status();
        let reason = format!("{} ({})", default_reason(status), refusal.error);
        let tag = self.stateless_tag(&headers);
        let bytes = Builder::response(status, Some(&reason))
            .echo(&headers, None, &tag)
            .header("Server", &self.config.product)
            .finish(None);
        // Where no Via can be read, the source is all that is known.
        self.send(via.map_or(flow, |via| answer_flow(flow, &via)), bytes);
    }

    /// Answers without keeping anything: the request, sent again, gets the same answer again (RFC 3261 section
    /// 8.2.7). An ACK gets none.
    fn refuse(&mut self, request: &Request, flow: Flow, reply: &Reply) {
        if request.method == super::message::Method::Ack {
            return;
        }
        let tag = self.stateless_tag(&request.headers);
        let bytes = self.response(request, &tag, reply).finish(reply.body.as_ref());
        self.send(answer_flow(flow, &request.essentials.via), bytes);
    }

    /// Starts a response: what it takes over from the request, and the headers of `reply`.
    fn response(&self, request: &Request, tag: &str, reply: &Reply) -> Builder {
        Builder::response(reply.status, reply.reason.as_deref())
            .echo(&request.headers, Some(&request.essentials), tag)
            .header("Server", &self.config.product)
            .headers(&reply.headers)
    }

    fn send(&mut self, flow: Flow, bytes: Wire) {
        self.counters.sent.add();
        self.outputs.push_back(Output::Send { flow, bytes });
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// 64 bits that nobody can guess, different for each `input`.
    fn token(&self, input: impl std::hash::Hash) -> String {
        format!("{:016x}", self.secret.hash_one(input))
    }

    /// A tag that is the same each time the same request comes.
    fn stateless_tag(&self, headers: &Headers) -> String {
        let part = |name| headers.get(name).unwrap_or_default();
        self.token((part("Via"), part("Call-ID"), part("From"), part("CSeq")))
    }
}

/// Where an answer goes: over TCP and TLS along the connection, over TCP also to a new one at the port of the Via once that is
/// closed; over UDP as [`Via::answer_to`] says.
fn answer_flow(flow: Flow, via: &Via) -> Flow {
    let remote = match flow.transport {
        Transport::Udp => via.answer_to(flow.remote),
        Transport::Tcp => SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(super::uri::DEFAULT_PORT)),
        Transport::Tls => flow.remote,
    };
    Flow { remote, ..flow }
}
