//! Conversations with the user agent: messages, answers of the application and time in any order.
//!
//! Steps are letters (see `Scene::step`), each followed by its arguments. What must hold after each of them stands in
//! `Scene::watch`: state is bounded, nobody gets two final answers, strangers change nothing, and the application hears a
//! story that makes sense.

mod finals;

use crate::choices::Choices;
use crate::clock::Timed;
use finals::Finals;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vouch::sip::agent::{Agent, AgentConfig, CommandError, Event, Output, Reply, RequestKey};
use vouch::sip::counters::SipCounters;
use vouch::sip::dialog::DialogId;
use vouch::sip::flow::{ConnectionId, Flow, Transport};
use vouch::sip::message::{Builder, Message, Method, Request};
use vouch::sip::peers::Peers;

const MAX_DIALOGS: usize = 3;
const MAX_TRANSACTIONS: usize = 8;

/// Plays a conversation, then lets ten minutes pass in silence.
pub fn dialogs(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut scene = Scene::new();
    while let Some(step) = choices.step() {
        scene.step(step, &mut choices);
    }
    scene.pass(Duration::from_secs(600));
    assert_eq!(scene.agent.transaction_count(), 0, "transactions live for ever");
    let confirmed = scene.dialogs.values().filter(|dialog| dialog.acked).count();
    assert!(scene.agent.dialog_count() <= confirmed, "half-open dialogs live for ever");
}

/// What the application knows of a dialog.
#[derive(Default)]
struct Known {
    waits: bool,
    acked: bool,
}

struct Scene {
    agent: Agent,
    counters: Arc<SipCounters>,
    now: Instant,
    flow: Flow,
    /// Connections that the peer has made; all but the last are closed.
    connections: u64,
    dialogs: HashMap<DialogId, Known>,
    gone: HashSet<DialogId>,
    options: Vec<RequestKey>,
    asked: Vec<Request>,
    tag: String,
    last: Vec<u8>,
    /// Requests of ours, by branch, retransmissions aside.
    branches: HashSet<String>,
    finals: Finals,
}

impl Scene {
    fn new() -> Self {
        let peers = ["192.0.2.0/24", "2001:db8::/32"].map(|network| network.parse());
        let config = AgentConfig {
            peers: Peers::new(peers.into_iter().flatten()),
            max_dialogs: MAX_DIALOGS,
            max_transactions: MAX_TRANSACTIONS,
            ..AgentConfig::default()
        };
        let counters = Arc::new(SipCounters::default());
        Self {
            agent: Agent::new(config, Arc::clone(&counters)),
            counters,
            now: Instant::now(),
            flow: flow([192, 0, 2, 7], Transport::Udp),
            connections: 1,
            dialogs: HashMap::new(),
            gone: HashSet::new(),
            options: Vec::new(),
            asked: Vec::new(),
            tag: String::new(),
            last: Vec::new(),
            branches: HashSet::new(),
            finals: Finals::default(),
        }
    }

    fn step(&mut self, step: u8, choices: &mut Choices<'_>) {
        match step {
            b'i' => self.request("INVITE", choices.number()),
            b'a' => self.request("ACK", choices.number()),
            b'b' => self.request("BYE", choices.number()),
            b'c' => self.request("CANCEL", choices.number()),
            b'o' => self.request("OPTIONS", choices.number()),
            b'n' => self.request("INFO", choices.number()),
            b'u' => self.request("UPDATE", choices.number()),
            b'k' => self.request("SUBSCRIBE", choices.number() | 0xe0),
            b'q' => self.receive(self.last.clone()),
            b'd' => self.damaged(choices),
            b's' => self.stranger(choices),
            b'm' => self.receive(choices.rest().to_vec()),
            b'w' => self.pass(Duration::from_millis(u64::from(choices.byte()) * 20)),
            b'z' => self.pass(Duration::from_secs(u64::from(choices.byte()))),
            b't' => self.pass_until_due(),
            b'l' => self.flow = self.connected(Transport::Tcp),
            b'j' => self.reconnect(),
            b'e' => self.flow = flow([192, 0, 2, 8], Transport::Udp),
            b'x' => self.respond(choices),
            _ => self.decide(step),
        }
    }

    /// The way of the peer's newest connection.
    fn connected(&self, transport: Transport) -> Flow {
        Flow { connection: Some(ConnectionId(self.connections)), ..flow([192, 0, 2, 7], transport) }
    }

    /// The peer's connection is closed, and it makes another one, over TLS.
    fn reconnect(&mut self) {
        self.agent.closed(ConnectionId(self.connections));
        self.connections += 1;
        self.flow = self.connected(Transport::Tls);
    }

    /// The application does something, where it can.
    fn decide(&mut self, step: u8) {
        let now = self.now;
        if step == b'p' {
            if let Some(key) = self.options.pop() {
                // The answer may come too late; then nothing goes out.
                let _ = self.agent.respond(key, Reply::new(200), now);
            }
            return self.watch();
        }
        let oldest = |waits: bool| {
            let open = self.dialogs.iter().filter(move |(_, known)| !waits || known.waits);
            open.map(|(id, _)| *id).min()
        };
        let Some(dialog) = oldest(!matches!(step, b'h' | b'f')) else { return };
        let outcome = match step {
            b'g' => self.answer(dialog, Reply::new(200).body("application/sdp", "v=0\r\n")),
            b'r' => self.answer(dialog, Reply::new(486)),
            b'v' => self.answer(dialog, Reply::new(302).header("X-Voice-ID-Status", "pending")),
            b'y' => self.agent.ring(dialog, now),
            b'h' => self.agent.send_bye(dialog, now),
            b'f' => self.agent.send_info(dialog, &[], None, now),
            _ => return,
        };
        if outcome == Err(CommandError::NothingToAnswer) {
            // A change that was cancelled, or took too long, is answered without the application.
            self.dialogs.entry(dialog).and_modify(|known| known.waits = false);
        } else if step != b'f' || outcome != Err(CommandError::NotConnected) {
            assert_eq!(outcome, Ok(()), "the application was told of what is not there");
        }
        self.watch();
    }

    fn answer(&mut self, dialog: DialogId, reply: Reply) -> Result<(), CommandError> {
        let status = reply.status;
        let outcome = self.agent.answer(dialog, reply, self.now);
        // What goes out tells whether the dialog lives on: a refused change leaves it as it was.
        if outcome.is_ok() {
            let confirmed = self.dialogs.get_mut(&dialog).is_some_and(|known| {
                known.waits = false;
                known.acked
            });
            let probe = |agent: &mut Agent| agent.send_info(dialog, &[], None, self.now);
            if status >= 300 && !confirmed && probe(&mut self.agent) == Err(CommandError::NoSuchDialog) {
                self.dialogs.remove(&dialog);
                self.gone.insert(dialog);
            }
        }
        outcome
    }

    /// A request of the peer. `number` is its place in the conversation: two bits choose the call, the next two the
    /// transaction, the others whether it is in the dialog and what else it says.
    fn request(&mut self, method: &str, number: u8) {
        let text = self.text(method, number, self.flow.transport);
        self.receive(text.into_bytes());
    }

    fn text(&self, method: &str, number: u8, transport: Transport) -> String {
        let (call, branch) = (number & 3, number >> 2 & 3);
        let tag = if number & 16 != 0 { format!(";tag={}", self.tag) } else { String::new() };
        let of = if method == "CANCEL" || method == "ACK" { "INVITE" } else { method };
        let more = match number >> 5 {
            1 => "Session-Expires: 90;refresher=uas\r\nSupported: timer\r\nAllow: UPDATE\r\n",
            2 => "Session-Expires: 90\r\nSupported: timer\r\n",
            3 => "Expires: 1\r\n",
            4 => "Require: 100rel\r\nRecord-Route: <sip:192.0.2.9;lr>\r\n",
            5 => "Record-Route: <sip:203.0.113.9>\r\nContact: <sip:x@203.0.113.9>\r\n",
            6 => "Content-Type: application/sdp\r\n",
            7 => "Event: voice-id\r\nExpires: 60\r\nX-Voice-ID-Call: call-0\r\n",
            _ => "",
        };
        let body = if number >> 5 == 6 { "v=0\r\n" } else { "" };
        format!(
            "{method} sip:vouch@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.7:5060;branch=z9hG4bK{of}{call}{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:gw@192.0.2.7>;tag=peer\r\nTo: <sip:vouch@192.0.2.1>{tag}\r\n\
             Call-ID: call-{call}\r\nCSeq: {} {method}\r\nContact: <sip:gw@192.0.2.7>\r\n{more}Content-Length: {}\r\n\r\n{body}",
            1 + branch,
            body.len()
        )
    }

    fn damaged(&mut self, choices: &mut Choices<'_>) {
        let methods = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE"];
        let method = methods[usize::from(choices.byte()) % methods.len()];
        let mut bytes = self.text(method, choices.number(), self.flow.transport).into_bytes();
        let place = usize::from(choices.byte()) << 8 | usize::from(choices.byte());
        let length = bytes.len();
        bytes[place % length] ^= choices.byte();
        self.receive(bytes);
    }

    /// A message of somebody whom nobody configured, about a call of the peer's: it changes nothing, and one answer at
    /// most goes back to where it came from.
    fn stranger(&mut self, choices: &mut Choices<'_>) {
        let methods = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE"];
        let method = methods[usize::from(choices.byte()) % methods.len()];
        let text = self.text(method, choices.number(), Transport::Udp);
        let before = (self.agent.dialog_count(), self.agent.transaction_count(), self.agent.timeout());
        let refused = self.counters.refused_peers.get();
        let from = flow([203, 0, 113, 5], Transport::Udp);
        self.agent.receive(text.as_bytes(), from, self.now);
        let after = (self.agent.dialog_count(), self.agent.transaction_count(), self.agent.timeout());
        assert_eq!(before, after, "a stranger changed something");
        assert_eq!(self.counters.refused_peers.get(), refused + 1, "a stranger was not counted");
        let mut answers = 0;
        while let Some(output) = self.agent.poll_output() {
            let Output::Send { flow, bytes } = output else { panic!("the application hears a stranger") };
            assert_eq!(flow.remote.ip(), from.remote.ip(), "a stranger's answer goes elsewhere");
            assert!(bytes.starts_with(b"SIP/2.0 403 "), "a stranger got something else than 403");
            answers += 1;
        }
        assert!(answers <= 1);
    }

    /// The peer answers our oldest request.
    fn respond(&mut self, choices: &mut Choices<'_>) {
        let status = [100, 200, 405, 408, 481, 488, 500, 699][usize::from(choices.number() & 7)];
        if self.asked.is_empty() {
            return;
        }
        let request = self.asked.remove(0);
        let builder = Builder::response(status, None);
        let bytes = builder.echo(&request.headers, Some(&request.essentials), "peer").finish(None);
        self.receive(bytes.to_vec());
    }

    fn receive(&mut self, bytes: Vec<u8>) {
        if let Ok(Message::Request(request)) = Message::parse(&bytes)
            && request.method == Method::Ack
        {
            self.finals.acknowledged(&request, self.now);
        }
        self.agent.receive(&bytes, self.flow, self.now);
        self.last = bytes;
        self.watch();
    }

    fn note_request(&mut self, request: Request) {
        assert!(matches!(request.method, Method::Bye | Method::Info | Method::Update | Method::Notify));
        let branch = request.essentials.via.branch().unwrap_or_default().to_owned();
        if self.branches.insert(branch) {
            self.asked.push(request);
        }
    }

    /// The application's story: a dialog begins once, nothing happens in one that is gone.
    fn hear(&mut self, event: Event) {
        let dialog = match &event {
            Event::Invite { dialog, .. } => {
                let known = Known { waits: true, acked: false };
                assert!(self.dialogs.insert(*dialog, known).is_none() && !self.gone.contains(dialog));
                return;
            }
            Event::Options { key, dialog, .. } => {
                self.options.push(*key);
                match dialog {
                    Some(dialog) => *dialog,
                    None => return,
                }
            }
            Event::Update { key, dialog, .. } => {
                self.options.push(*key);
                *dialog
            }
            Event::Subscribe { key, .. } => return self.options.push(*key),
            Event::Resubscribed { .. } | Event::Unsubscribed { .. } => return,
            Event::Reinvite { dialog, .. }
            | Event::Acked { dialog, .. }
            | Event::Cancelled { dialog }
            | Event::Ended { dialog, .. }
            | Event::Info { dialog, .. }
            | Event::InfoAnswered { dialog, .. } => *dialog,
        };
        let Some(known) = self.dialogs.get_mut(&dialog) else { panic!("{event:?} of a dialog that is gone") };
        match event {
            Event::Reinvite { .. } => known.waits = true,
            Event::Acked { .. } => known.acked = true,
            Event::Cancelled { .. } | Event::Ended { .. } => {
                self.dialogs.remove(&dialog);
                self.gone.insert(dialog);
            }
            _ => {}
        }
    }
}

impl Timed for Scene {
    fn clock(&mut self) -> (&mut Agent, &mut Instant) {
        (&mut self.agent, &mut self.now)
    }

    /// Takes what the agent wants done, and looks whether all of it is allowed.
    fn watch(&mut self) {
        let mut sent = 0;
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Event(event) => self.hear(event),
                Output::Send { flow, bytes } => {
                    sent += 1;
                    let ip = flow.remote.ip().to_string();
                    assert!(ip.starts_with("192.0.2.") || ip.starts_with("2001:db8:"), "sent to a stranger");
                    match Message::parse(&bytes) {
                        Ok(Message::Response(response)) => {
                            let essentials = &response.essentials;
                            if let (Method::Invite, Some(tag)) =
                                (&essentials.cseq.method, essentials.to.tag())
                            {
                                tag.clone_into(&mut self.tag);
                            }
                            self.finals.answered(&response, flow.transport, self.now);
                        }
                        Ok(Message::Request(request)) => {
                            let open = Some(ConnectionId(self.connections));
                            assert!(
                                flow.transport != Transport::Tls || flow.connection == open,
                                "sent to nobody"
                            );
                            self.note_request(*request);
                        }
                        // The answer to a broken request repeats what is broken.
                        Err(_) => assert!(bytes.starts_with(b"SIP/2.0 4") || bytes.starts_with(b"SIP/2.0 5")),
                    }
                }
            }
        }
        // Several timers may be due at once: one a request of ours, and those of the dialogs.
        assert!(sent <= 4 + self.branches.len() + 2 * MAX_TRANSACTIONS, "{sent} messages at once");
        assert!(self.agent.dialog_count() <= MAX_DIALOGS, "too many dialogs");
        let most = 2 * MAX_TRANSACTIONS + self.branches.len();
        assert!(self.agent.transaction_count() <= most, "too many transactions");
    }
}

fn flow(remote: [u8; 4], transport: Transport) -> Flow {
    let local = SocketAddr::from(([192, 0, 2, 1], 5060));
    Flow { transport, local, remote: SocketAddr::from((remote, 5060)), connection: None }
}
