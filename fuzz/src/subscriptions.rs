//! Subscriptions to results (RFC 6665): SUBSCRIBEs, the application's states, the peer's answers to NOTIFYs, and time, in any
//! order.
//!
//! Steps are letters (see `Scene::step`). What must hold after each stands in `Scene::watch`: a NOTIFY follows each SUBSCRIBE
//! that was accepted, one at a time and not too often; the last one says so, comes in time, and is the last.

use crate::choices::Choices;
use crate::clock::Timed;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vouch::sip::agent::{Agent, AgentConfig, Event, Output, Reply, RequestKey};
use vouch::sip::counters::SipCounters;
use vouch::sip::dialog::DialogId;
use vouch::sip::flow::{ConnectionId, Flow, Transport};
use vouch::sip::message::{Body, Builder, Message, Method, Request, Response, Via};
use vouch::sip::peers::Peers;
use vouch::sip::subscription::{MAX_EXPIRES, MIN_EXPIRES, NOTIFY_GAP, Notice};

const MAX_SUBSCRIPTIONS: usize = 3;
/// How long a peer may leave a NOTIFY unanswered: timer F.
const SILENCE: Duration = Duration::from_secs(32);

/// Plays a conversation, then lets all subscriptions expire.
pub fn subscriptions(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut scene = Scene::new();
    while let Some(step) = choices.step() {
        scene.step(step, &mut choices);
    }
    scene.pass(Duration::from_secs(u64::from(MAX_EXPIRES) + 100));
    assert_eq!(scene.agent.subscription_count(), 0, "subscriptions live for ever");
    assert_eq!(scene.agent.transaction_count(), 0, "transactions live for ever");
    for known in scene.known.values() {
        assert!(known.over, "a subscription was accepted and its end not told");
    }
}

/// What the peer and the application know of a subscription that was accepted.
struct Known {
    call: String,
    tag: String,
    expires: Instant,
    /// A SUBSCRIBE was accepted, and no NOTIFY came since.
    owed: bool,
    /// Branch of the newest NOTIFY, until it is answered, and when it was sent.
    in_flight: Option<(String, Instant)>,
    last: Option<Instant>,
    number: u32,
    /// The last NOTIFY was sent, or the peer took one no more.
    over: bool,
    /// The application was told the end.
    told: bool,
}

struct Scene {
    agent: Agent,
    now: Instant,
    flow: Flow,
    /// SUBSCRIBEs that wait for the application.
    waiting: Vec<(RequestKey, DialogId, String)>,
    accepted: HashMap<String, DialogId>,
    known: HashMap<DialogId, Known>,
    order: Vec<DialogId>,
    /// NOTIFYs that wait for their answers.
    asked: VecDeque<Request>,
    branches: HashSet<String>,
    /// Branches of SUBSCRIBEs that were accepted.
    answers: HashSet<String>,
    number: u32,
    last: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let config = AgentConfig {
            peers: Peers::new("192.0.2.0/24".parse()),
            max_subscriptions: MAX_SUBSCRIPTIONS,
            ..AgentConfig::default()
        };
        Self {
            agent: Agent::new(config, Arc::new(SipCounters::default())),
            now: Instant::now(),
            flow: flow(Transport::Udp),
            waiting: Vec::new(),
            accepted: HashMap::new(),
            known: HashMap::new(),
            order: Vec::new(),
            asked: VecDeque::new(),
            branches: HashSet::new(),
            answers: HashSet::new(),
            number: 0,
            last: Vec::new(),
        }
    }

    fn step(&mut self, step: u8, choices: &mut Choices<'_>) {
        match step {
            b'k' => self.subscribe(choices.number(), choices.number()),
            b'r' => self.refresh(choices, "SUBSCRIBE"),
            b'i' => self.refresh(choices, "INFO"),
            b'p' => self.admit(choices.number()),
            b'n' => self.notify(choices.number(), None),
            b'e' => self.notify(choices.number(), Some("noresource")),
            b'x' => self.respond(choices.number()),
            b'q' => self.receive(self.last.clone()),
            b'l' => self.flow = flow(Transport::Tcp),
            b'w' => self.pass(Duration::from_millis(20) * choices.byte().into()),
            b'z' => self.pass(Duration::from_secs(choices.byte().into())),
            b't' => self.pass_until_due(),
            _ => {}
        }
    }

    /// A SUBSCRIBE of its own: two bits choose the subscriber.
    fn subscribe(&mut self, number: u8, expires: u8) {
        let call = format!("s{}", number & 3);
        let event = if number & 4 == 4 { "presence" } else { "voice-id;call=abc" };
        let text = self.text("SUBSCRIBE", (&call, ""), event, expires);
        self.receive(text.into_bytes());
    }

    /// A request in the dialog of a subscription, going on or over.
    fn refresh(&mut self, choices: &mut Choices<'_>, method: &str) {
        let (number, expires) = (usize::from(choices.number()), choices.number());
        let Some(id) = self.order.get(number % self.order.len().max(1)) else { return };
        let known = &self.known[id];
        let (call, tag) = (known.call.clone(), format!(";tag={}", known.tag));
        let text = self.text(method, (&call, &tag), "voice-id;call=abc", expires);
        self.receive(text.into_bytes());
    }

    fn text(&mut self, method: &str, (call, tag): (&str, &str), event: &str, expires: u8) -> String {
        self.number += 1;
        let number = self.number;
        let seconds = ["0", "60", "90", "1800", "30", "x", "4294967295"];
        let expires = seconds
            .get(usize::from(expires & 7))
            .map_or(String::new(), |seconds| format!("Expires: {seconds}\r\n"));
        let transport = self.flow.transport;
        format!(
            "{method} sip:vouch@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.7:5060;branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:gw@192.0.2.7>;tag=peer\r\nTo: <sip:vouch@192.0.2.1>{tag}\r\nCall-ID: {call}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:gw@192.0.2.7>\r\nEvent: {event}\r\n{expires}Content-Length: 0\r\n\r\n"
        )
    }

    /// The application answers a SUBSCRIBE, and tells the state at once.
    fn admit(&mut self, number: u8) {
        if self.waiting.is_empty() {
            return;
        }
        let (key, id, call) = self.waiting.remove(0);
        let status = [200, 404, 503, 202][usize::from(number & 3)];
        // Where it comes too late, nothing goes out.
        let done = self.agent.respond(key, Reply::new(status), self.now).is_ok();
        if done && status < 300 {
            self.accepted.insert(call, id);
            assert_eq!(self.agent.notify(id, notice(None), self.now), Ok(()));
        }
        self.watch();
    }

    fn notify(&mut self, number: u8, end: Option<&'static str>) {
        let Some(id) = self.order.get(usize::from(number) % self.order.len().max(1)).copied() else { return };
        let goes = self.agent.notify(id, notice(end), self.now).is_ok();
        assert_eq!(goes, !self.known[&id].told, "a state for a subscription that is over");
        self.watch();
    }

    /// The peer answers our oldest NOTIFY.
    fn respond(&mut self, number: u8) {
        let status = [200, 202, 100, 481, 500, 603, 200, 200][usize::from(number & 7)];
        let Some(request) = self.asked.pop_front() else { return };
        if status >= 200
            && let Some(known) = self.subscription_of(&request).filter(|known| known.awaits(&request))
        {
            known.in_flight = None;
            known.over |= status >= 300;
        }
        if status < 200 {
            self.asked.push_front(request.clone());
        }
        let builder = Builder::response(status, None);
        let bytes = builder.echo(&request.headers, Some(&request.essentials), "peer").finish(None);
        self.receive(bytes.to_vec());
    }

    fn receive(&mut self, bytes: Vec<u8>) {
        self.agent.receive(&bytes, self.flow, self.now);
        self.last = bytes;
        self.watch();
    }

    /// An answer to a SUBSCRIBE.
    fn answered(&mut self, response: &Response) {
        let essentials = &response.essentials;
        if !(200..300).contains(&response.status) || essentials.cseq.method != Method::Subscribe {
            return;
        }
        let granted: u32 = response.headers.get("Expires").and_then(|it| it.parse().ok()).unwrap_or(u32::MAX);
        assert!(granted == 0 || (MIN_EXPIRES..=MAX_EXPIRES).contains(&granted), "{granted} s granted");
        let (call, tag) = (essentials.call_id.reveal(), essentials.to.tag().unwrap_or_default());
        let expires = self.now + Duration::from_secs(granted.into());
        let known = self.known.values_mut().find(|known| known.call == *call && known.tag == tag);
        if let Some(known) = known {
            // An answer that is only repeated accepts nothing.
            if self.answers.insert(branch(&essentials.via)) {
                (known.expires, known.owed) = (expires, true);
            }
            return;
        }
        self.answers.insert(branch(&essentials.via));
        let Some(id) = self.accepted.remove(call.as_str()) else { panic!("nobody accepted {call}") };
        self.order.push(id);
        let (call, tag) = (call.to_owned(), tag.to_owned());
        let known = Known {
            call,
            tag,
            expires,
            owed: true,
            in_flight: None,
            last: None,
            number: 0,
            over: false,
            told: false,
        };
        assert!(self.known.insert(id, known).is_none(), "a subscription begins twice");
    }

    /// A NOTIFY, or one again.
    fn notified(&mut self, request: Request) {
        assert_eq!(request.method, Method::Notify);
        let branch = branch(&request.essentials.via);
        if !self.branches.insert(branch.clone()) {
            return;
        }
        let now = self.now;
        let Some(known) = self.subscription_of(&request) else { panic!("a NOTIFY for nobody") };
        assert!(!known.over, "a NOTIFY after the last");
        assert!(request.essentials.cseq.number > known.number, "NOTIFYs out of order");
        let state = request.headers.get("Subscription-State").unwrap_or_default();
        let active = state.strip_prefix("active;expires=").map(str::parse);
        if let Some(seconds) = active {
            let Ok(seconds) = seconds else { panic!("{state}") };
            assert!(now + Duration::from_secs(seconds) <= known.expires, "more time than was granted");
            assert!(known.in_flight.is_none(), "two NOTIFYs at once");
            assert!(known.last.is_none_or(|last| now >= last + NOTIFY_GAP), "NOTIFYs too often");
        } else {
            assert!(state.starts_with("terminated;reason="), "{state}");
            known.over = true;
        }
        (known.owed, known.last, known.number) = (false, Some(now), request.essentials.cseq.number);
        known.in_flight = Some((branch, now));
        self.asked.push_back(request);
    }

    /// The application hears that a subscription is over: it has been told its end, or took no NOTIFY.
    fn ended(&mut self, id: DialogId) {
        let now = self.now;
        let Some(known) = self.known.get_mut(&id) else { panic!("the end of what was never accepted") };
        let silent = known.in_flight.as_ref().is_some_and(|(_, sent)| now >= *sent + SILENCE);
        assert!(known.over || silent, "a subscription ends without a reason");
        assert!(!known.told, "a subscription ends twice");
        (known.over, known.told) = (true, true);
    }

    fn subscription_of(&mut self, request: &Request) -> Option<&mut Known> {
        let (call, tag) =
            (request.call_id().to_owned(), request.essentials.from.tag().unwrap_or_default().to_owned());
        self.known.values_mut().find(|known| known.call == call && known.tag == tag)
    }
}

impl Known {
    /// Whether this is the NOTIFY that waits for its answer.
    fn awaits(&self, request: &Request) -> bool {
        self.in_flight.as_ref().is_some_and(|(waits, _)| *waits == branch(&request.essentials.via))
    }
}

fn branch(via: &Via) -> String {
    via.branch().unwrap_or_default().to_owned()
}

fn notice(end: Option<&'static str>) -> Notice {
    Notice { body: Some(Body::new("application/json", "{}")), end }
}

impl Timed for Scene {
    fn clock(&mut self) -> (&mut Agent, &mut Instant) {
        (&mut self.agent, &mut self.now)
    }

    /// Takes what the agent wants done, and looks whether all of it is allowed.
    fn watch(&mut self) {
        let mut refreshed = Vec::new();
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Event(Event::Subscribe { key, subscription, request, .. }) => {
                    self.waiting.push((key, subscription, request.call_id().to_owned()));
                }
                Output::Event(Event::Resubscribed { subscription }) => refreshed.push(subscription),
                Output::Event(Event::Unsubscribed { subscription }) => self.ended(subscription),
                Output::Event(event) => panic!("{event:?} of a subscription"),
                Output::Send { bytes, .. } => match Message::parse(&bytes) {
                    Ok(Message::Response(response)) => self.answered(&response),
                    Ok(Message::Request(request)) => self.notified(*request),
                    Err(_) => panic!("a message that cannot be read"),
                },
            }
        }
        // The application tells the state of each that was refreshed; one that ended meanwhile has been told.
        for id in &refreshed {
            let _ = self.agent.notify(*id, notice(None), self.now);
        }
        if !refreshed.is_empty() {
            return self.watch();
        }
        assert!(self.agent.subscription_count() <= MAX_SUBSCRIPTIONS, "too many subscriptions");
        for known in self.known.values() {
            let resting = known.last.is_some_and(|last| self.now < last + NOTIFY_GAP);
            assert!(
                !known.owed || known.over || known.in_flight.is_some() || resting,
                "no NOTIFY after a SUBSCRIBE"
            );
            assert!(known.over || self.now <= known.expires, "a subscription outlives its time");
            assert_eq!(known.over, known.told, "its peer and the application differ on whether it goes on");
        }
    }
}

fn flow(transport: Transport) -> Flow {
    let connection = transport.is_reliable().then_some(ConnectionId(1));
    let [local, remote] = [1, 7].map(|last| SocketAddr::from(([192, 0, 2, last], 5060)));
    Flow { transport, local, remote, connection }
}
