//! What the application asks for: answers, and requests in a dialog.

use super::super::dialog::{DialogId, Unacknowledged};
use super::super::flow::{Flow, Transport};
use super::super::message::{Method, Request, Response};
use super::super::transaction::{BRANCH_COOKIE, ClientTransaction, GIVE_UP, Resend, Tick};
use super::requests::agree_on_timer;
use super::{
    ALLOW, Agent, Body, Client, CommandError, EndReason, Event, Purpose, Reply, RequestKey, TimerKey,
};
use std::time::Instant;

impl Agent {
    /// Sends `180 Ringing` for an INVITE, unless the peer requires such answers to be reliable (RFC 3262).
    ///
    /// # Errors
    /// [`CommandError::NoSuchDialog`], [`CommandError::NothingToAnswer`].
    pub fn ring(&mut self, dialog: DialogId, now: Instant) -> Result<(), CommandError> {
        let state = self.dialogs.get(&dialog).ok_or(CommandError::NoSuchDialog)?;
        let transaction = state.open_invite.ok_or(CommandError::NothingToAnswer)?;
        let contact = self.contact(state.flow, state.secure);
        let request = self.open_request(transaction).ok_or(CommandError::NothingToAnswer)?;
        if !request.headers.lists_token("Require", "100rel") {
            let mut reply = Reply::new(180).header("Contact", &contact);
            reply.headers.extend(record_route(&request));
            self.send_reply(transaction, &reply, now);
        }
        Ok(())
    }

    /// Gives the final answer to the INVITE or re-INVITE of a dialog. Contact, Allow, Supported, Record-Route and
    /// the session timer come by themselves. 300 and above ends a dialog that had no 2xx yet.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was sent then.
    pub fn answer(&mut self, dialog: DialogId, reply: Reply, now: Instant) -> Result<(), CommandError> {
        if !(200..700).contains(&reply.status) {
            return Err(CommandError::BadStatus(reply.status));
        }
        let state = self.dialogs.get(&dialog).ok_or(CommandError::NoSuchDialog)?;
        let transaction = state.open_invite.ok_or(CommandError::NothingToAnswer)?;
        if reply.status < 300 {
            return self.accept(dialog, transaction, reply, now);
        }
        let confirmed = state.confirmed;
        self.send_reply(transaction, &reply, now);
        if confirmed {
            self.dialogs.entry(dialog).and_modify(|state| state.open_invite = None);
        } else {
            self.forget_dialog(dialog);
        }
        Ok(())
    }

    /// Answers an OPTIONS, UPDATE or SUBSCRIBE. Allow, Accept and Supported come by themselves; for an UPDATE,
    /// Contact and the session timer too; for a SUBSCRIBE, Contact and Expires.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was sent then.
    pub fn respond(&mut self, key: RequestKey, mut reply: Reply, now: Instant) -> Result<(), CommandError> {
        if !(200..700).contains(&reply.status) {
            return Err(CommandError::BadStatus(reply.status));
        }
        let request = self.open_request(key.0).ok_or(CommandError::NothingToAnswer)?;
        let dialog = self.servers.get(&key.0).and_then(|server| server.dialog);
        if request.method == Method::Subscribe {
            self.admit(key, &request, &mut reply);
        } else {
            reply.headers.splice(0..0, self.capabilities());
        }
        if request.method == Method::Update && reply.status < 300 {
            self.refresh(dialog, &request, &mut reply, now);
        }
        self.send_reply(key.0, &reply, now).ok_or(CommandError::NothingToAnswer)?;
        self.drop_refused(dialog);
        Ok(())
    }

    /// Puts into force what an accepted UPDATE says of the dialog.
    fn refresh(&mut self, id: Option<DialogId>, request: &Request, reply: &mut Reply, now: Instant) {
        let Some((id, dialog)) = id.and_then(|id| Some((id, self.dialogs.get_mut(&id)?))) else { return };
        let timer = agree_on_timer(dialog, request);
        let (flow, secure) = (dialog.flow, dialog.secure);
        reply.headers.push(("Contact".to_owned(), self.contact(flow, secure)));
        reply.headers.extend(timer);
        self.arm_session(id, now);
    }

    /// Sends an INFO in a dialog; [`Event::InfoAnswered`] follows.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDialog`], [`CommandError::NotConnected`].
    pub fn send_info(
        &mut self,
        dialog: DialogId,
        headers: &[(String, String)],
        body: Option<&Body>,
        now: Instant,
    ) -> Result<(), CommandError> {
        self.request(dialog, Purpose::Info, (headers, body), now)
    }

    /// Hangs up. A call that is not answered yet gets 480; one whose 2xx is not acknowledged yet waits for the
    /// ACK (RFC 3261 section 15).
    ///
    /// # Errors
    /// [`CommandError::NoSuchDialog`].
    pub fn send_bye(&mut self, dialog: DialogId, now: Instant) -> Result<(), CommandError> {
        let state = self.dialogs.get_mut(&dialog).ok_or(CommandError::NoSuchDialog)?;
        if !state.confirmed {
            self.end_dialog(dialog, 480, Event::Ended { dialog, why: EndReason::HungUp }, now);
        } else if state.unacknowledged.is_some() {
            state.hang_up = true;
        } else {
            self.hang_up(dialog, EndReason::HungUp, now);
        }
        Ok(())
    }

    /// Our Contact on the way of `flow`.
    pub(super) fn contact(&self, flow: Flow, secure: bool) -> String {
        let (scheme, transport) = match flow.transport {
            _ if secure => ("sips", ""),
            Transport::Udp => ("sip", ""),
            Transport::Tcp => ("sip", ";transport=tcp"),
            Transport::Tls => ("sip", ";transport=tls"),
        };
        format!("<{scheme}:{}@{}{transport}>", self.config.contact_user, flow.local)
    }

    fn capabilities(&self) -> Vec<(String, String)> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            header("Allow", ALLOW),
            header("Accept", &self.config.accept.join(", ")),
            header("Supported", &self.config.supported.join(", ")),
        ]
    }

    fn accept(
        &mut self,
        id: DialogId,
        transaction: u64,
        mut reply: Reply,
        now: Instant,
    ) -> Result<(), CommandError> {
        let request = self.open_request(transaction).ok_or(CommandError::NothingToAnswer)?;
        let answer_to = self.servers.get(&transaction).ok_or(CommandError::NothingToAnswer)?.answer_to;
        let mut headers: Vec<(String, String)> = record_route(&request).collect();
        let dialog = self.dialogs.get_mut(&id).ok_or(CommandError::NoSuchDialog)?;
        let timer = agree_on_timer(dialog, &request);
        let offered = request.body.is_empty() && reply.body.is_some();
        let (flow, secure) = (dialog.flow, dialog.secure);
        headers.push(("Contact".to_owned(), self.contact(flow, secure)));
        headers.extend(self.capabilities());
        headers.extend(timer);
        reply.headers.splice(0..0, headers);
        let bytes = self.send_reply(transaction, &reply, now).ok_or(CommandError::NothingToAnswer)?;
        let resend = Resend::new(bytes, now);
        self.timers.set(TimerKey::Answer(id), Some(resend.at()));
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.open_invite = None;
            dialog.confirmed = true;
            let cseq = request.essentials.cseq.number;
            dialog.unacknowledged =
                Some(Unacknowledged { cseq, resend, offered, until: now + GIVE_UP, answer_to });
        }
        self.arm_session(id, now);
        Ok(())
    }

    /// Repeats a 2xx until its ACK (RFC 3261 section 13.3.1.4), over TCP too; hangs up when none comes.
    pub(super) fn tick_answer(&mut self, id: DialogId, now: Instant) {
        let dialog = self.dialogs.get_mut(&id);
        let Some(waiting) = dialog.and_then(|dialog| dialog.unacknowledged.as_mut()) else {
            return;
        };
        if waiting.until <= now {
            self.counters.timeouts.add();
            return self.hang_up(id, EndReason::NoAck, now);
        }
        let (bytes, flow) = (waiting.resend.due(now), waiting.answer_to);
        let next = waiting.resend.at().min(waiting.until);
        self.timers.set(TimerKey::Answer(id), Some(next));
        if let Some(bytes) = bytes {
            self.counters.resent.add();
            self.send(flow, bytes);
        }
    }

    pub(super) fn arm_session(&mut self, id: DialogId, now: Instant) {
        let timer = self.dialogs.get(&id).and_then(|dialog| dialog.session);
        self.timers.set(TimerKey::Session(id), timer.map(|timer| timer.deadline(now)));
    }

    /// The session timer is due: refresh it where that is our part, else the peer did not, and the call ends.
    pub(super) fn tick_session(&mut self, id: DialogId, now: Instant) {
        let Some(timer) = self.dialogs.get(&id).and_then(|dialog| dialog.session) else {
            return;
        };
        if timer.we_refresh {
            let mut headers = timer.refresh_headers();
            if let Some(dialog) = self.dialogs.get(&id) {
                headers.push(("Contact".to_owned(), self.contact(dialog.flow, dialog.secure)));
            }
            if self.request(id, Purpose::Refresh, (&headers, None), now).is_err() {
                // The peer, whose connection is closed, ends the session if it wants to, or its media does.
                self.arm_session(id, now);
            }
        } else {
            self.hang_up(id, EndReason::SessionExpired, now);
        }
    }

    /// Ends a dialog with a BYE.
    pub(super) fn hang_up(&mut self, id: DialogId, why: EndReason, now: Instant) {
        // A dialog that is gone needs no BYE, and a peer whose connection is closed gets none.
        let _ = self.request(id, Purpose::Bye, (&[], None), now);
        self.end_dialog(id, 487, Event::Ended { dialog: id, why }, now);
    }

    /// Removes a dialog, answers an INVITE that still waits in it, and tells the application.
    pub(super) fn end_dialog(&mut self, id: DialogId, status: u16, event: Event, now: Instant) {
        let Some(dialog) = self.dialogs.get(&id) else {
            return;
        };
        if let Some(transaction) = dialog.open_invite {
            self.send_reply(transaction, &Reply::new(status), now);
        }
        self.forget_dialog(id);
        self.emit(event);
    }

    fn forget_dialog(&mut self, id: DialogId) {
        self.timers.set(TimerKey::Answer(id), None);
        self.timers.set(TimerKey::Session(id), None);
        if let Some(dialog) = self.dialogs.remove(&id) {
            self.dialog_keys.remove(&dialog.key);
        }
    }

    /// Sends a request in a dialog or subscription, unless it came by TLS and its connection is closed.
    pub(super) fn request(
        &mut self,
        id: DialogId,
        purpose: Purpose,
        (headers, body): (&[(String, String)], Option<&Body>),
        now: Instant,
    ) -> Result<(), CommandError> {
        let client = self.next_id();
        let branch = format!("{BRANCH_COOKIE}{}", self.token(("branch", client)));
        let subscribed = self.subscriptions.get_mut(&id).map(|subscription| &mut subscription.dialog);
        let dialog = self.dialogs.get_mut(&id).or(subscribed).ok_or(CommandError::NoSuchDialog)?;
        let send_to = dialog.next_hop(&self.config.peers);
        if send_to.transport == Transport::Tls && send_to.connection.is_none() {
            self.counters.send_failures.add();
            return Err(CommandError::NotConnected);
        }
        let via = format!("SIP/2.0/{} {};branch={branch};rport", send_to.transport, send_to.local);
        let bytes = dialog
            .request(purpose.method(), &via)
            .header("User-Agent", &self.config.product)
            .headers(headers)
            .finish(body);
        let machine = ClientTransaction::new(send_to.transport.is_reliable(), bytes.clone(), now);
        self.timers.set(TimerKey::Client(client), machine.deadline());
        self.client_branches.insert(branch.clone(), client);
        self.clients.insert(client, Client { machine, branch, send_to, dialog: id, purpose });
        self.send(send_to, bytes);
        Ok(())
    }

    pub(super) fn take_response(&mut self, response: &Response, now: Instant) {
        let branch = response.essentials.via.branch().unwrap_or_default();
        let id = self.client_branches.get(branch).copied();
        let one_via = response.headers.list("Via").count() == 1;
        let Some((id, client)) = id.and_then(|id| Some((id, self.clients.get_mut(&id)?))) else {
            return self.counters.stray.add();
        };
        if !one_via || response.essentials.cseq.method != *client.purpose.method() {
            return self.counters.stray.add();
        }
        let (dialog, purpose) = (client.dialog, client.purpose);
        let is_final = client.machine.received(response.status, now);
        self.timers.set(TimerKey::Client(id), client.machine.deadline());
        if is_final {
            self.finish_request(dialog, purpose, response.status, now);
        }
    }

    pub(super) fn tick_client(&mut self, id: u64, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let (dialog, purpose, flow) = (client.dialog, client.purpose, client.send_to);
        match client.machine.tick(now) {
            Tick::Send(bytes) => {
                self.counters.resent.add();
                self.send(flow, bytes);
            }
            Tick::TimedOut => {
                self.counters.timeouts.add();
                self.drop_client(id);
                return self.finish_request(dialog, purpose, 408, now);
            }
            Tick::Done => return self.drop_client(id),
            Tick::Quiet => {}
        }
        let deadline = self.clients.get(&id).and_then(|client| client.machine.deadline());
        self.timers.set(TimerKey::Client(id), deadline);
    }

    fn drop_client(&mut self, id: u64) {
        if let Some(client) = self.clients.remove(&id) {
            self.client_branches.remove(&client.branch);
        }
    }

    /// A request of ours has its answer. 481 means that the peer has no such dialog (RFC 5057 section 5.1); a
    /// silent peer ends the call only where the silence was about the session timer.
    fn finish_request(&mut self, dialog: DialogId, purpose: Purpose, status: u16, now: Instant) {
        if purpose == Purpose::Notify {
            return self.notified(dialog, status, now);
        }
        if !self.dialogs.contains_key(&dialog) {
            return;
        }
        if purpose == Purpose::Info {
            self.emit(Event::InfoAnswered { dialog, status });
        }
        match (purpose, status) {
            (_, 481) => {
                self.end_dialog(dialog, 487, Event::Ended { dialog, why: EndReason::PeerForgot }, now);
            }
            (Purpose::Refresh, 408) => self.hang_up(dialog, EndReason::SessionExpired, now),
            (Purpose::Refresh, _) => self.arm_session(dialog, now),
            _ => {}
        }
    }
}

impl Purpose {
    fn method(self) -> &'static Method {
        match self {
            Self::Info => &Method::Info,
            Self::Bye => &Method::Bye,
            Self::Refresh => &Method::Update,
            Self::Notify => &Method::Notify,
        }
    }
}

/// The Record-Route headers that an answer gives back.
fn record_route(request: &Request) -> impl Iterator<Item = (String, String)> {
    request.headers.all("Record-Route").map(|value| ("Record-Route".to_owned(), value.to_owned()))
}
