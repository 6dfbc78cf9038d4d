//! Requests that come in, and the server transactions they make.

use super::super::dialog::{Dialog, DialogId, DialogKey};
use super::super::flow::Flow;
use super::super::message::{Body, Method, Request, Wire};
use super::super::session::{MIN_INTERVAL, SessionTimer};
use super::super::transaction::{ServerKey, ServerTransaction, Tick};
use super::super::uri::Scheme;
use super::{ALLOW, Agent, EndReason, Event, Reply, RequestKey, Server, TimerKey, answer_flow};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What Retry-After says when all transactions or dialogs are in use, in seconds.
pub(super) const RETRY_AFTER_FULL: &str = "5";

impl Agent {
    pub(super) fn take_request(&mut self, mut request: Request, flow: Flow, now: Instant) {
        request.stamp(flow.remote);
        let key = ServerKey::of(&request);
        if request.method == Method::Ack {
            return self.take_ack(&request, &key, now);
        }
        if let Some(&id) = self.server_keys.get(&key) {
            return self.repeat(id);
        }
        if request.method == Method::Cancel {
            return self.take_cancel(&request, flow, now);
        }
        let taken = self.check(&request).and_then(|()| match DialogKey::of(&request) {
            Some(dialog) => match self.dialog_keys.get(&dialog) {
                Some(&id) if self.subscriptions.contains_key(&id) => {
                    self.take_resubscribe(id, &request, key, (flow, now))
                }
                Some(&dialog) => self.take_in_dialog(dialog, &request, key, (flow, now)),
                None => Err(Reply::new(481)),
            },
            None => self.take_out_of_dialog(&request, key, (flow, now)),
        });
        if let Err(reply) = taken {
            let counters = &self.counters;
            if reply.status == 503 {
                counters.refused_full.add();
            } else {
                counters.refused_requests.add();
            }
            self.refuse(&request, flow, &reply);
        }
    }

    /// Looks at a request in the order of RFC 3261 section 8.2; nothing is kept of one that is refused here.
    fn check(&self, request: &Request) -> Result<(), Reply> {
        if matches!(request.method, Method::Notify | Method::Other(_)) {
            return Err(Reply::new(405).header("Allow", ALLOW));
        }
        if request.uri.scheme() == Scheme::Other {
            return Err(Reply::new(416));
        }
        let in_dialog = request.essentials.to.tag().is_some();
        if !in_dialog && self.merges.contains_key(&self.merge_hash(request)) {
            return Err(Reply::new(482));
        }
        let known = |tag: &str| {
            let mut tags = self.config.supported.iter().chain(&self.config.understood);
            tags.any(|known| known.eq_ignore_ascii_case(tag))
        };
        let unknown: Vec<&str> = request.headers.list("Require").filter(|tag| !known(tag)).collect();
        if !unknown.is_empty() {
            return Err(Reply::new(420).header("Unsupported", &unknown.join(", ")));
        }
        // A flood of OPTIONS leaves room for INVITEs, and one of INVITEs for what belongs to calls.
        let limit = match request.method {
            _ if in_dialog => 2 * self.config.max_transactions,
            Method::Invite => self.config.max_transactions,
            _ => self.config.max_transactions / 2,
        };
        if self.servers.len() >= limit {
            return Err(Reply::new(503).header("Retry-After", RETRY_AFTER_FULL));
        }
        if request.method == Method::Invite { self.check_invite(request) } else { Ok(()) }
    }

    /// Whether the body of an INVITE or UPDATE is one that we read.
    fn check_body(&self, request: &Request) -> Result<(), Reply> {
        let accept = self.config.accept.join(", ");
        let encoded =
            request.headers.get("Content-Encoding").is_some_and(|e| !e.eq_ignore_ascii_case("identity"));
        if encoded {
            return Err(Reply::new(415).header("Accept-Encoding", "identity"));
        }
        let optional =
            request.headers.get("Content-Disposition").is_some_and(|d| d.contains("handling=optional"));
        let content_type = request.content_type().unwrap_or_default();
        let known = self.config.accept.iter().any(|known| is_media_type(content_type, known));
        if !request.body.is_empty() && !known && !optional {
            return Err(Reply::new(415).header("Accept", &accept));
        }
        Ok(())
    }

    fn check_invite(&self, request: &Request) -> Result<(), Reply> {
        self.check_body(request)?;
        let mut wanted = request.headers.list("Accept").peekable();
        let any = ["application/sdp", "application/*", "*/*"];
        if wanted.peek().is_some() && !wanted.any(|type_| any.iter().any(|any| is_media_type(type_, any))) {
            return Err(Reply::new(406).header("Accept", &self.config.accept.join(", ")));
        }
        if SessionTimer::negotiate(&request.headers, true).is_err() {
            return Err(Reply::new(422).header("Min-SE", &MIN_INTERVAL.to_string()));
        }
        Ok(())
    }

    fn take_out_of_dialog(
        &mut self,
        request: &Request,
        key: ServerKey,
        at: (Flow, Instant),
    ) -> Result<(), Reply> {
        match request.method {
            Method::Invite => self.take_invite(request, key, at),
            Method::Options => {
                self.take_options(request, key, at, None);
                Ok(())
            }
            Method::Subscribe => self.take_subscribe(request, key, at),
            // BYE, INFO and UPDATE have no meaning outside a dialog.
            _ => Err(Reply::new(481)),
        }
    }

    fn take_invite(
        &mut self,
        request: &Request,
        key: ServerKey,
        (flow, now): (Flow, Instant),
    ) -> Result<(), Reply> {
        if self.dialogs.len() >= self.config.max_dialogs {
            return Err(Reply::new(503).header("Retry-After", RETRY_AFTER_FULL));
        }
        let id = DialogId(self.next_id());
        let tag = self.token(("tag", id));
        let mut dialog = Dialog::from_invite(request, &tag, flow).map_err(|error| {
            let reason = format!("Bad Request ({error})");
            Reply { reason: Some(reason), ..Reply::new(400) }
        })?;
        let transaction = self.open_server(request, key, (flow, now), Some(id));
        dialog.open_invite = Some(transaction);
        self.dialog_keys.insert(dialog.key.clone(), id);
        self.dialogs.insert(id, dialog);
        if let Some(request) = self.open_request(transaction) {
            self.emit(Event::Invite { dialog: id, request, flow });
        }
        Ok(())
    }

    fn take_in_dialog(
        &mut self,
        id: DialogId,
        request: &Request,
        key: ServerKey,
        at: (Flow, Instant),
    ) -> Result<(), Reply> {
        let retry_after = self.secret_digit(request);
        match request.method {
            Method::Update => self.check_body(request)?,
            // Subscriptions have dialogs of their own.
            Method::Subscribe => return Err(Reply::new(481)),
            _ => {}
        }
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return Err(Reply::new(481));
        };
        let offers = request.method == Method::Update && !request.body.is_empty();
        if request.method == Method::Invite || offers {
            // RFC 3261 section 14.2, RFC 3311 section 5.2.
            if dialog.open_invite.is_some() {
                return Err(Reply::new(500).header("Retry-After", &retry_after));
            }
            // A lost ACK does not matter unless it brings the answer to our offer (RFC 5407 sections 3.1.4, 3.1.5).
            if dialog.unacknowledged.as_ref().is_some_and(|waiting| waiting.offered) {
                return Err(Reply::new(491));
            }
        }
        if request.method == Method::Update && SessionTimer::negotiate(&request.headers, true).is_err() {
            return Err(Reply::new(422).header("Min-SE", &MIN_INTERVAL.to_string()));
        }
        if request.method == Method::Info && request.headers.get("Info-Package").is_some() {
            // We take no packages, which an empty Recv-Info says (RFC 6086 section 4.2.2).
            return Err(Reply::new(469).header("Recv-Info", ""));
        }
        if !dialog.take_cseq(request.essentials.cseq.number) {
            return Err(Reply::new(500).header("Retry-After", &retry_after));
        }
        match request.method {
            Method::Invite => self.take_reinvite(id, request, key, at),
            Method::Bye => self.take_bye(id, request, key, at),
            Method::Info => self.take_info(id, request, key, at),
            Method::Update => self.take_update(id, request, key, at),
            _ => self.take_options(request, key, at, Some(id)),
        }
        Ok(())
    }

    fn take_reinvite(&mut self, id: DialogId, request: &Request, key: ServerKey, at: (Flow, Instant)) {
        let transaction = self.open_server(request, key, at, Some(id));
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.open_invite = Some(transaction);
            dialog.refresh(request, at.0);
        }
        if let Some(request) = self.open_request(transaction) {
            self.emit(Event::Reinvite { dialog: id, request, flow: at.0 });
        }
    }

    fn take_bye(&mut self, id: DialogId, request: &Request, key: ServerKey, at: (Flow, Instant)) {
        let transaction = self.open_server(request, key, at, None);
        self.send_reply(transaction, &Reply::new(200), at.1);
        self.end_dialog(id, 487, Event::Ended { dialog: id, why: EndReason::Bye }, at.1);
    }

    fn take_info(&mut self, id: DialogId, request: &Request, key: ServerKey, at: (Flow, Instant)) {
        let transaction = self.open_server(request, key, at, Some(id));
        if let Some(request) = self.open_request(transaction) {
            self.emit(Event::Info { dialog: id, request });
        }
        self.send_reply(transaction, &Reply::new(200), at.1);
    }

    fn take_update(&mut self, id: DialogId, request: &Request, key: ServerKey, at: (Flow, Instant)) {
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.refresh(request, at.0);
        }
        let transaction = self.open_server(request, key, at, Some(id));
        if let Some(request) = self.open_request(transaction) {
            self.emit(Event::Update { key: RequestKey(transaction), dialog: id, request, flow: at.0 });
        }
    }

    fn take_options(
        &mut self,
        request: &Request,
        key: ServerKey,
        at: (Flow, Instant),
        dialog: Option<DialogId>,
    ) {
        let transaction = self.open_server(request, key, at, dialog);
        if let Some(request) = self.open_request(transaction) {
            self.emit(Event::Options { key: RequestKey(transaction), request, dialog, flow: at.0 });
        }
    }

    /// An ACK belongs to a transaction that refused, or to a dialog that accepted; else to nothing here.
    fn take_ack(&mut self, request: &Request, key: &ServerKey, now: Instant) {
        if let Some(&id) = self.server_keys.get(key)
            && let Some(server) = self.servers.get_mut(&id)
            && server.machine.acknowledged(now)
        {
            return self.arm_server(id);
        }
        let id = DialogKey::of(request).and_then(|key| self.dialog_keys.get(&key).copied());
        let Some((id, dialog)) = id.and_then(|id| Some((id, self.dialogs.get_mut(&id)?))) else {
            return self.counters.stray.add();
        };
        if dialog.unacknowledged.take_if(|waiting| waiting.cseq == request.essentials.cseq.number).is_none() {
            return self.counters.absorbed.add();
        }
        let hang_up = dialog.hang_up;
        self.timers.set(TimerKey::Answer(id), None);
        let body = request.content_type().map(|content_type| Body::new(content_type, request.body.clone()));
        self.emit(Event::Acked { dialog: id, body });
        if hang_up {
            self.hang_up(id, EndReason::HungUp, now);
        }
    }

    /// RFC 3261 section 9.2: the CANCEL gets its own answer, the INVITE 487 unless it has a final one.
    fn take_cancel(&mut self, cancel: &Request, flow: Flow, now: Instant) {
        let Some(&id) = self.server_keys.get(&ServerKey::of_cancelled(cancel)) else {
            self.counters.refused_requests.add();
            return self.refuse(cancel, flow, &Reply::new(481));
        };
        let Some(server) = self.servers.get(&id) else {
            return;
        };
        let (open, dialog) = (server.machine.is_open(), server.dialog);
        let tag = dialog.and_then(|id| Some(self.dialogs.get(&id)?.local_tag().to_owned()));
        let tag = tag.unwrap_or_else(|| self.stateless_tag(&cancel.headers));
        let bytes = self.response(cancel, &tag, &Reply::new(200)).finish(None);
        self.send(answer_flow(flow, &cancel.essentials.via), bytes);
        let Some(id) = dialog.filter(|_| open) else {
            return;
        };
        match self.dialogs.get_mut(&id) {
            Some(dialog) if !dialog.confirmed => {
                self.end_dialog(id, 487, Event::Cancelled { dialog: id }, now);
            }
            Some(dialog) => {
                if let Some(transaction) = dialog.open_invite.take() {
                    self.send_reply(transaction, &Reply::new(487), now);
                }
            }
            None => {}
        }
    }

    fn repeat(&mut self, id: u64) {
        self.counters.absorbed.add();
        let Some(server) = self.servers.get(&id) else {
            return;
        };
        if let Some(bytes) = server.machine.repeated() {
            let flow = server.answer_to;
            self.counters.resent.add();
            self.send(flow, bytes);
        }
    }

    /// Starts a server transaction.
    pub(super) fn open_server(
        &mut self,
        request: &Request,
        key: ServerKey,
        at: (Flow, Instant),
        dialog: Option<DialogId>,
    ) -> u64 {
        let (flow, now) = at;
        let (id, reliable) = (self.next_id(), flow.transport.is_reliable());
        let machine = if request.method == Method::Invite {
            ServerTransaction::invite(reliable, trying(request), now)
        } else {
            ServerTransaction::other(reliable)
        };
        let merge = request.essentials.to.tag().is_none().then(|| self.merge_hash(request));
        if let Some(merge) = merge {
            self.merges.insert(merge, id);
        }
        let expires = request.headers.get("Expires").filter(|_| request.method == Method::Invite);
        let expires = expires.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let within = expires.unwrap_or(Duration::MAX).min(self.config.answer_within);
        self.timers.set(TimerKey::Unanswered(id), Some(now + within));
        self.server_keys.insert(key.clone(), id);
        let answer_to = answer_flow(flow, &request.essentials.via);
        let request = Some(Arc::new(request.clone()));
        self.servers.insert(id, Server { key, machine, request, answer_to, dialog, merge });
        self.arm_server(id);
        id
    }

    /// The request of a transaction that has no final answer yet.
    pub(super) fn open_request(&self, id: u64) -> Option<Arc<Request>> {
        self.servers.get(&id)?.request.clone()
    }

    /// Gives the answer of a transaction, provisional or final.
    pub(super) fn send_reply(&mut self, id: u64, reply: &Reply, now: Instant) -> Option<Wire> {
        let request = self.open_request(id)?;
        let dialog = self.servers.get(&id)?.dialog;
        let tag = dialog.and_then(|dialog| self.local_tag(dialog)).map(str::to_owned);
        let tag = tag.unwrap_or_else(|| self.stateless_tag(&request.headers));
        let bytes = self.response(&request, &tag, reply).finish(reply.body.as_ref());
        let server = self.servers.get_mut(&id)?;
        server.machine.answered(reply.status, &bytes, now);
        let flow = server.answer_to;
        if reply.status >= 200 {
            server.request = None;
            self.timers.set(TimerKey::Unanswered(id), None);
        }
        self.send(flow, bytes.clone());
        self.arm_server(id);
        Some(bytes)
    }

    /// Our tag in a dialog or subscription.
    fn local_tag(&self, id: DialogId) -> Option<&str> {
        let subscribed = self.subscriptions.get(&id).map(|subscription| &subscription.dialog);
        self.dialogs.get(&id).or(subscribed).map(Dialog::local_tag)
    }

    pub(super) fn tick_server(&mut self, id: u64, now: Instant) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let (flow, is_trying) = (server.answer_to, server.machine.is_open());
        match server.machine.tick(now) {
            Tick::Send(bytes) => {
                if !is_trying {
                    self.counters.resent.add();
                }
                self.send(flow, bytes);
            }
            Tick::TimedOut => {
                self.counters.timeouts.add();
                return self.drop_server(id);
            }
            Tick::Done => return self.drop_server(id),
            Tick::Quiet => {}
        }
        self.arm_server(id);
    }

    /// The application did not answer in time, or the INVITE expired (RFC 3261 section 13.3.1).
    pub(super) fn tick_unanswered(&mut self, id: u64, now: Instant) {
        let Some(request) = self.open_request(id) else {
            return;
        };
        self.counters.timeouts.add();
        if request.method != Method::Invite {
            return self.drop_server(id);
        }
        let status = if request.headers.get("Expires").is_some() { 487 } else { 500 };
        let Some(dialog) = self.servers.get(&id).and_then(|server| server.dialog) else {
            return;
        };
        match self.dialogs.get_mut(&dialog) {
            Some(state) if state.confirmed => {
                state.open_invite = None;
                self.send_reply(id, &Reply::new(status), now);
            }
            _ => self.end_dialog(dialog, status, Event::Ended { dialog, why: EndReason::Unanswered }, now),
        }
    }

    fn arm_server(&mut self, id: u64) {
        let deadline = self.servers.get(&id).and_then(|server| server.machine.deadline());
        self.timers.set(TimerKey::Server(id), deadline);
    }

    fn drop_server(&mut self, id: u64) {
        self.timers.set(TimerKey::Unanswered(id), None);
        if let Some(server) = self.servers.remove(&id) {
            self.server_keys.remove(&server.key);
            if let Some(merge) = server.merge {
                self.merges.remove(&merge);
            }
        }
    }

    /// Equal for requests that came here by two ways (RFC 3261 section 8.2.2.2).
    fn merge_hash(&self, request: &Request) -> u64 {
        use std::hash::BuildHasher;
        let essentials = &request.essentials;
        let cseq = (essentials.cseq.number, request.method.as_str());
        self.secret.hash_one((essentials.from.tag(), request.call_id(), cseq))
    }

    /// A number from 0 to 9, the same for the same request.
    fn secret_digit(&self, request: &Request) -> String {
        (self.merge_hash(request) % 10).to_string()
    }
}

/// Puts the timer that `request` asks for into force; gives the headers that say so.
pub(super) fn agree_on_timer(dialog: &mut Dialog, request: &Request) -> Vec<(String, String)> {
    // A short interval has been refused before.
    dialog.session = SessionTimer::negotiate(&request.headers, dialog.takes_update).unwrap_or_default();
    dialog.session.map(SessionTimer::answer_headers).unwrap_or_default()
}

/// `100 Trying`, which takes over Timestamp and adds no tag (RFC 3261 section 8.2.6).
fn trying(request: &Request) -> Wire {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq", "Timestamp"];
    let builder = super::Builder::response(100, None);
    copied.iter().fold(builder, |builder, name| builder.copy(&request.headers, name)).finish(None)
}

/// Whether a Content-Type or Accept element is of the type `wanted`, parameters aside.
fn is_media_type(value: &str, wanted: &str) -> bool {
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}
