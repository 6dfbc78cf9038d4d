//! Where gateways are received: INVITEs become calls, answers carry the headers, results are pushed and polled.

use super::Exchange;
use super::line::{Beginning, Line, Way};
use super::names::{Parties, call_names};
use super::session::{Arrival, Failure, Session};
use super::subscribers::Subscribers;
use crate::call::identity::{CallNames, IdentityInputs, speaker_id};
use crate::call::{Call, Standing};
use crate::config::{Config, InfoRule, Peer};
use crate::pii::{Pii, SpeakerId};
use crate::sip::agent::{AgentConfig, Event, Reply};
use crate::sip::dialog::DialogId;
use crate::sip::flow::Flow;
use crate::sip::headers::{Header, HeaderPrefix, HeaderStyle, takes_info};
use crate::sip::message::Request;
use crate::sip::peers::Peers;
use crate::sip::transport::{Sip, SipCommand, SipConfig};
use crate::sip::verification::Asked;
use crate::verdict::Verdict;
use crate::view::Source;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long calls in progress may take to say goodbye when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// Content types that an INVITE may bring; RFC 9806 writes the metadata's without `+xml`.
const ACCEPTED: [&str; 4] =
    ["application/sdp", "multipart/mixed", "application/rs-metadata+xml", "application/rs-metadata"];

/// Subscriptions that there is room for, for each call.
const SUBSCRIPTIONS_PER_CALL: usize = 4;

/// What the reception keeps between messages.
#[derive(Debug)]
pub(super) struct Reception {
    pub(super) prefix: HeaderPrefix,
    /// Who is told of changes by NOTIFY.
    pub(super) subscribers: Subscribers,
    /// Commands that do not answer an event: results, hang-ups.
    outbox: mpsc::UnboundedSender<SipCommand>,
    sent: Mutex<Option<mpsc::UnboundedReceiver<SipCommand>>>,
}

impl Reception {
    pub(super) fn new(config: &Config) -> Self {
        let (outbox, sent) = mpsc::unbounded_channel();
        let (prefix, subscribers) = (config.sip.header_prefix.clone(), Subscribers::default());
        Self { prefix, subscribers, outbox, sent: Mutex::new(Some(sent)) }
    }

    /// How a peer is told.
    pub(super) fn style(&self, peer: &Peer) -> HeaderStyle {
        peer.header_style(&self.prefix)
    }

    /// What an answer says in headers, for a peer that gets them.
    pub(super) fn headers(&self, peer: &Peer, verdict: &Verdict) -> Vec<Header> {
        self.style(peer).headers(verdict)
    }
}

impl Exchange {
    /// How the SIP part is to be started.
    pub fn sip_config(&self) -> SipConfig {
        let config = &self.0.config;
        let networks = config.peers.iter().flat_map(|peer| peer.address.iter().copied());
        let defaults = AgentConfig::default();
        SipConfig {
            listen: config.sip.listen.clone(),
            tls: config.sip.tls_files(),
            agent: AgentConfig {
                peers: Peers::new(networks),
                product: config.sip.user_agent.clone(),
                // Room for re-INVITEs and calls being refused beside those in progress.
                accept: ACCEPTED.map(str::to_owned).to_vec(),
                max_dialogs: config.limits.max_calls as usize + defaults.max_dialogs,
                max_subscriptions: config.limits.max_calls as usize * SUBSCRIPTIONS_PER_CALL,
                ..defaults
            },
            ..SipConfig::default()
        }
    }

    /// Receives calls for as long as the SIP part runs.
    pub async fn receive_calls(self, mut sip: Sip) {
        let outbox = self.0.reception.sent.lock().ok().and_then(|mut sent| sent.take());
        let Some(mut outbox) = outbox else { return };
        let mut round = tokio::time::interval(Duration::from_secs(1));
        loop {
            let command = tokio::select! {
                event = sip.events.recv() => match event {
                    Some(event) => self.received(event),
                    None => return,
                },
                command = outbox.recv() => command,
                _ = round.tick() => { self.0.metrics.sip.mirror(sip.handle.counters()); None }
            };
            if let Some(command) = command
                && sip.handle.send(command).await.is_err()
            {
                return;
            }
        }
    }

    /// Says goodbye on all calls, and waits a moment for their last answers.
    pub async fn hang_up_all(&self) {
        self.floor().active_mut().for_each(|line| self.hang_up(line));
        let all_gone = async {
            while !self.floor().active().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, all_gone).await;
    }

    pub(super) fn hang_up(&self, line: &mut Line) {
        if let Some(dialog) = line.dialog() {
            self.send(SipCommand::Bye(dialog));
        }
    }

    /// Pushes an answer to a gateway that takes it, unless it has been told already.
    pub(super) fn send_result(&self, line: &mut Line) {
        let verdict = line.verdict();
        let news = (verdict.status, verdict.result_id.clone());
        let due = line.answered && line.takes_info && line.ended.is_none() && verdict.status.is_final();
        if let Some(dialog) = line.dialog()
            && due
            && line.told.as_ref() != Some(&news)
        {
            self.send(SipCommand::Info(dialog, self.0.reception.style(&line.peer).info(&verdict), None));
            line.told = Some(news);
        }
    }

    pub(super) fn send(&self, command: SipCommand) {
        // The receiver goes when the daemon stops, and nobody waits for this any more.
        let _ = self.0.reception.outbox.send(command);
    }

    fn received(&self, event: Event) -> Option<SipCommand> {
        match event {
            Event::Invite { dialog, request, flow } => {
                Some(SipCommand::Answer(dialog, self.invited(dialog, &request, flow)))
            }
            Event::Reinvite { dialog, request, flow } => {
                Some(SipCommand::Answer(dialog, self.reinvited(dialog, &request, flow)))
            }
            Event::Update { key, dialog, request, flow } => {
                Some(SipCommand::Respond(key, self.updated(dialog, &request, flow)))
            }
            Event::Options { key, request, dialog, flow } => {
                Some(SipCommand::Respond(key, self.polled(&request, dialog, flow)))
            }
            Event::Acked { dialog, body } => {
                let body = body?;
                let mut floor = self.floor();
                let line = floor.of_dialog(dialog)?;
                let Way::Answered { session, .. } = &mut line.way else { return None };
                let before = session.caller_aor().cloned();
                let refused = session.answered(&self.0.engine, &body.bytes).is_err();
                self.changed(line, before.as_ref(), None);
                refused.then_some(SipCommand::Bye(dialog))
            }
            Event::Cancelled { dialog } | Event::Ended { dialog, .. } => {
                self.ended(dialog);
                None
            }
            Event::InfoAnswered { dialog, status } => {
                if status >= 300 {
                    self.floor().of_dialog(dialog)?.takes_info = false;
                }
                None
            }
            Event::Subscribe { key, subscription, request, call, flow } => {
                Some(self.subscribed((key, subscription), &request, call, flow))
            }
            Event::Resubscribed { subscription } => {
                self.resubscribed(subscription);
                None
            }
            Event::Unsubscribed { subscription } => {
                self.0.reception.subscribers.remove(subscription);
                None
            }
            Event::Info { .. } => None,
        }
    }

    /// Makes a call of an INVITE and answers it.
    fn invited(&self, dialog: DialogId, request: &Request, flow: Flow) -> Reply {
        let calls = &self.0.metrics.calls;
        let address = flow.remote.ip();
        let Some(peer) = self.0.config.peers.iter().find(|peer| peer.is_at(address)) else {
            calls.refused.count("unknown-peer");
            return Reply::new(403);
        };
        let arrival = self.arrival(request, flow, peer);
        if let Some(asked) = self.question(&arrival) {
            return self.asked(dialog, &arrival, &asked);
        }
        let media_user = self.0.config.sip.media_user.as_deref();
        self.opened(self.open(dialog, &arrival, media_user, None), peer)
    }

    /// The INVITE as a question to the verification service, if it is one. With a `Route` to the service it is, whatever
    /// else stands in it: that may come from outside, and must not make a recording. Otherwise a recording session is
    /// none, nor is a call to the user part of media legs.
    fn question(&self, arrival: &Arrival<'_>) -> Option<Asked> {
        let sip = &self.0.config.sip;
        let asked = Asked::of(arrival.request, &sip.verify_user)?;
        let is_leg =
            || arrival.is_recording() || sip.media_user.as_deref().is_some_and(|user| arrival.is_to(user));
        (asked.by_route || !is_leg()).then_some(asked)
    }

    /// The answer to an INVITE that made a call, or could not.
    pub(super) fn opened(&self, opened: Result<Reply, Failure>, peer: &Peer) -> Reply {
        opened.unwrap_or_else(|failure| {
            self.0.metrics.calls.refused.count(failure.word());
            tracing::info!(peer = peer.name, reason = failure.word(), "call refused: {failure}");
            failure.reply()
        })
    }

    /// Makes a call. `about` is the answer about another call that the INVITE asks for: then the new one goes by
    /// its own Call-ID only, or the question after it would fit both.
    pub(super) fn open(
        &self,
        dialog: DialogId,
        arrival: &Arrival<'_>,
        media_user: Option<&str>,
        about: Option<&Verdict>,
    ) -> Result<Reply, Failure> {
        let (request, peer) = (arrival.request, arrival.peer);
        let (session, answer) = Session::open(&self.0.engine, arrival, media_user)?;
        let style = self.0.reception.style(peer);
        let names = match about {
            Some(_) => CallNames::collect([request.call_id()], None, None),
            None => call_names(&style.prefix, peer, request, session.recording()),
        };
        // An opt-out that comes now waits until the call is on the floor, and then reaches it.
        let mut floor = self.floor();
        let call =
            Call::new(self.0.policy, session.obstacle(), self.claim(session.caller_aor(), peer, request));
        let beginning = Beginning {
            sip_call_id: Some(request.call_id().to_owned()),
            names,
            parties: Parties::of(&session),
            source: if session.is_recording() { Source::Siprec } else { Source::MediaLeg },
            address: Some(arrival.from),
            peer: peer.clone(),
            slot: session.slot(),
            way: Way::Answered { dialog, session: Box::new(session) },
        };
        let mut line = Line::new(beginning, call, self.now());
        line.takes_info = peer.headers.any() && takes_results(peer, request);
        self.carry_out(&mut line);
        line.answered = true;
        let verdict = line.verdict();
        let mut reply = Reply::new(200).body("application/sdp", answer);
        reply.headers = style.headers(about.unwrap_or(&verdict));
        line.told = Some((verdict.status, verdict.result_id));
        self.announce(&line);
        floor.add(line);
        Ok(reply)
    }

    /// Applies a changed session: hold, resume, moved media, new metadata.
    fn reinvited(&self, dialog: DialogId, request: &Request, flow: Flow) -> Reply {
        let mut floor = self.floor();
        let Some(line) = floor.of_dialog(dialog) else { return Reply::new(481) };
        let arrival = self.arrival(request, flow, &line.peer);
        let Way::Answered { session, .. } = &mut line.way else { return Reply::new(481) };
        let before = session.caller_aor().cloned();
        match session.change(&self.0.engine, &arrival) {
            Ok(answer) => {
                let headers = self.changed(line, before.as_ref(), Some(request));
                Reply { headers, ..Reply::new(200).body("application/sdp", answer) }
            }
            Err(failure) => failure.reply(),
        }
    }

    /// The same by UPDATE, which also just asks.
    fn updated(&self, dialog: DialogId, request: &Request, flow: Flow) -> Reply {
        let mut floor = self.floor();
        let Some(line) = floor.of_dialog(dialog) else { return Reply::new(481) };
        let peer = line.peer.clone();
        let arrival = self.arrival(request, flow, &peer);
        let Way::Answered { session, .. } = &mut line.way else { return Reply::new(481) };
        let before = session.caller_aor().cloned();
        match session.update(&self.0.engine, &arrival) {
            Ok(answer) => {
                let headers = self.changed(line, before.as_ref(), Some(request));
                let reply = Reply { headers, ..Reply::new(200) };
                match answer {
                    Some(answer) => reply.body("application/sdp", answer),
                    None => reply,
                }
            }
            Err(failure) => failure.reply(),
        }
    }

    /// What follows from a changed session, whose caller had the address `before`; gives the headers of the answer.
    fn changed(
        &self,
        line: &mut Line,
        before: Option<&Pii<String>>,
        request: Option<&Request>,
    ) -> Vec<Header> {
        line.learn();
        self.claim_anew(line, before, request);
        if let Way::Answered { session, .. } = &line.way {
            line.call.set_obstacle(session.obstacle(), self.now());
        }
        self.hear(line);
        self.carry_out(line);
        self.0.reception.headers(&line.peer, &line.verdict())
    }

    /// Lets the claim follow the metadata: somebody else who calls has a claim of their own or none, and the same caller
    /// may have got another name. What came from elsewhere, from the socket or a header, stays for the same caller.
    fn claim_anew(&self, line: &mut Line, before: Option<&Pii<String>>, request: Option<&Request>) {
        let Way::Answered { session, .. } = &mut line.way else { return };
        let (replaced, aor) = (session.take_replaced(), session.caller_aor().cloned());
        if replaced {
            // From and P-Asserted-Identity of the dialog tell of its beginning.
            let header = self.0.reception.style(&line.peer).prefix.speaker();
            let named = request.and_then(|request| Some((header.as_str(), request.headers.get(&header)?)));
            let claim = self.claim_by(aor.as_ref(), &line.peer, named.as_slice());
            line.call.replace_caller(claim, self.now());
        } else if aor.as_ref() != before
            && let Some(request) = request
        {
            let was = self.claim(before, &line.peer, request).map(|(speaker, _)| speaker);
            if was.as_ref() == line.call.speaker()
                && let Some((speaker, standing)) = self.claim(aor.as_ref(), &line.peer, request)
            {
                line.call.claim(speaker, standing, self.now());
            }
        }
    }

    fn ended(&self, dialog: DialogId) {
        let mut floor = self.floor();
        if let Some(line) = floor.of_dialog(dialog) {
            self.end(line);
        }
        self.clear_away(&mut floor);
    }

    /// Ends a call, unless it has ended.
    pub(super) fn end(&self, line: &mut Line) {
        if line.ended.is_some() {
            return;
        }
        let now = self.now();
        self.hear(line);
        line.ended = Some(now);
        line.call.end(now);
        self.carry_out(line);
        tracing::info!(call = line.id, "call ended");
        self.publish("call-ended", Some(line.view()), None);
    }

    /// Who the gateway says is calling, and what the store says of that speaker.
    pub(super) fn claim(
        &self,
        caller_aor: Option<&Pii<String>>,
        peer: &Peer,
        request: &Request,
    ) -> Option<(SpeakerId, Standing)> {
        let headers = request.headers.iter().map(|header| (header.name(), header.value()));
        self.claim_by(caller_aor, peer, &headers.collect::<Vec<_>>())
    }

    /// The same, by these headers.
    fn claim_by(
        &self,
        caller_aor: Option<&Pii<String>>,
        peer: &Peer,
        headers: &[(&str, &str)],
    ) -> Option<(SpeakerId, Standing)> {
        let speaker_header = self.0.reception.style(peer).prefix.speaker();
        let believed = |name: &str| peer.may_claim || !name.eq_ignore_ascii_case(&speaker_header);
        let headers: Vec<_> = headers.iter().copied().filter(|(name, _)| believed(name)).collect();
        let inputs = IdentityInputs { speaker_header: &speaker_header, headers: &headers, caller_aor };
        let speaker = speaker_id(&self.0.config.identity.rules, &inputs)?;
        let standing = self.standing(&speaker);
        Some((speaker, standing))
    }

    pub(super) fn arrival<'a>(&self, request: &'a Request, flow: Flow, peer: &'a Peer) -> Arrival<'a> {
        let local = flow.local.ip();
        let advertised = self.0.config.sip.advertise.unwrap_or(local);
        Arrival { request, peer, from: flow.remote.ip(), local, advertised }
    }
}

/// Whether results are pushed within the call: a gateway that did not ask for them may choke on an INFO.
fn takes_results(peer: &Peer, request: &Request) -> bool {
    match peer.info {
        InfoRule::Always => true,
        InfoRule::Never => false,
        InfoRule::Auto => takes_info(request.headers.all("Recv-Info")),
    }
}
