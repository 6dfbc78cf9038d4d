//! Dialogs that an INVITE to us makes (RFC 3261 section 12): what they remember, and the requests we send in them.

use super::flow::{Flow, Transport};
use super::message::{Builder, MessageError, Method, NameAddr, Request};
use super::peers::Peers;
use super::session::SessionTimer;
use super::transaction::Resend;
use super::uri::{Scheme, Uri};
use std::fmt;
use std::time::Instant;

/// Names a dialog towards the application; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId(pub u64);

/// Names a dialog on the wire.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DialogKey {
    call_id: String,
    local_tag: String,
    /// Without case, as tokens are; empty for a peer from before RFC 3261.
    remote_tag: String,
}

impl DialogKey {
    /// The dialog that a request with a tag in its To belongs to.
    pub fn of(request: &Request) -> Option<Self> {
        request.essentials.to.tag().map(|tag| Self::with_local_tag(request, tag))
    }

    fn with_local_tag(request: &Request, tag: &str) -> Self {
        Self {
            call_id: request.call_id().to_owned(),
            local_tag: tag.to_ascii_lowercase(),
            remote_tag: request.essentials.from.tag().unwrap_or_default().to_ascii_lowercase(),
        }
    }
}

/// Nothing of it: a Call-ID may identify a person.
impl fmt::Debug for DialogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialogKey").finish_non_exhaustive()
    }
}

/// A 2xx to INVITE that no ACK has come for.
#[derive(Debug)]
pub struct Unacknowledged {
    /// Number of the INVITE.
    pub cseq: u32,
    /// The answer.
    pub resend: Resend,
    /// Whether the 2xx made an offer, which the ACK is to answer.
    pub offered: bool,
    /// When the peer counts as gone.
    pub until: Instant,
    /// Where the answer goes.
    pub answer_to: Flow,
}

/// A dialog.
pub struct Dialog {
    /// Its name on the wire.
    pub key: DialogKey,
    /// The way the last INVITE came.
    pub flow: Flow,
    /// Server transaction of an INVITE that has no final answer yet.
    pub open_invite: Option<u64>,
    /// Whether a 2xx went out.
    pub confirmed: bool,
    /// The 2xx that waits for its ACK.
    pub unacknowledged: Option<Unacknowledged>,
    /// Hang up as soon as the ACK is here (RFC 3261 section 15: not before).
    pub hang_up: bool,
    /// Session timer in force.
    pub session: Option<SessionTimer>,
    /// Whether the peer takes UPDATE.
    pub takes_update: bool,
    /// Whether the INVITE went to a `sips:` URI, so that our Contact must be one (section 12.1.1).
    pub secure: bool,
    local: String,
    remote: String,
    route_set: Vec<NameAddr>,
    target: Uri,
    behind_nat: bool,
    local_cseq: u32,
    remote_cseq: u32,
}

impl Dialog {
    /// The dialog that `invite` starts, with our tag. Without a Contact, as RFC 2543 allowed, requests go to the
    /// URI of the From.
    ///
    /// # Errors
    /// [`MessageError`] where Contact or Record-Route cannot be read.
    pub fn from_invite(invite: &Request, local_tag: &str, flow: Flow) -> Result<Self, MessageError> {
        let mut route_set = Vec::new();
        for route in invite.headers.list("Record-Route") {
            let place = super::message::Place::Header("Record-Route");
            route_set.push(NameAddr::parse(route).map_err(|fault| MessageError::new(place, fault))?);
        }
        let target = match invite.headers.get("Contact") {
            Some(_) => invite.contact()?.uri,
            None => invite.essentials.from.uri.clone(),
        };
        let to = invite.headers.get("To").unwrap_or_default();
        Ok(Self {
            key: DialogKey::with_local_tag(invite, local_tag),
            flow,
            open_invite: None,
            confirmed: false,
            unacknowledged: None,
            hang_up: false,
            session: None,
            takes_update: invite.headers.lists_token("Allow", "UPDATE"),
            secure: route_set.first().map_or(&invite.uri, |route| &route.uri).scheme() == Scheme::Sips,
            local: format!("{};tag={local_tag}", to.strip_suffix(';').unwrap_or(to)),
            remote: invite.headers.get("From").unwrap_or_default().to_owned(),
            route_set,
            target,
            behind_nat: invite.essentials.via.is_behind_nat(),
            local_cseq: 0,
            remote_cseq: invite.essentials.cseq.number,
        })
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.key.local_tag
    }

    /// Takes the number of a request in the dialog; `false` if it comes out of order (section 12.2.2).
    pub fn take_cseq(&mut self, number: u32) -> bool {
        let in_order = number > self.remote_cseq;
        if in_order {
            self.remote_cseq = number;
        }
        in_order
    }

    /// A target refresh request came: requests go to its Contact from now on, by the way it came.
    pub fn refresh(&mut self, request: &Request, flow: Flow) {
        if let Ok(contact) = request.contact() {
            self.target = contact.uri;
        }
        if request.headers.get("Allow").is_some() {
            self.takes_update = request.headers.lists_token("Allow", "UPDATE");
        }
        self.behind_nat = request.essentials.via.is_behind_nat();
        self.flow = flow;
    }

    /// Starts a request in the dialog: the next number, and the route (section 12.2.1.1). `via` is our Via.
    pub fn request(&mut self, method: &Method, via: &str) -> Builder {
        self.local_cseq += 1;
        let target = format!("<{}>", self.target.as_str());
        let routes: Vec<String> =
            self.route_set.iter().map(|route| format!("<{}>", route.uri.as_str())).collect();
        let (uri, routes) = match self.route_set.first() {
            // A strict router wants to be the target itself, and the real one last.
            Some(first) if !first.uri.params().has("lr") => {
                (first.uri.without_headers(), routes.into_iter().skip(1).chain([target]).collect())
            }
            _ => (self.target.without_headers(), routes),
        };
        let builder = Builder::request(method, uri).header("Via", via).header("Max-Forwards", "70");
        routes
            .iter()
            .fold(builder, |builder, route| builder.header("Route", route))
            .header("From", &self.local)
            .header("To", &self.remote)
            .header("Call-ID", &self.key.call_id)
            .header("CSeq", &format!("{} {}", self.local_cseq, method.as_str()))
    }

    /// Where our requests go: to the first route or else the target, if that is the address of a configured peer;
    /// else back the way the INVITE came. Names are not resolved, peers behind a NAT not believed. What came by TLS goes
    /// back along its connection.
    pub fn next_hop(&self, peers: &Peers) -> Flow {
        let uri = self.route_set.first().map_or(&self.target, |route| &route.uri);
        let transport = uri.params().value("transport").map(str::to_ascii_lowercase);
        let secure = uri.scheme() == Scheme::Sips || transport.as_deref() == Some("tls");
        if secure || self.flow.transport == Transport::Tls {
            return self.flow;
        }
        let address = uri.socket_addr().filter(|address| {
            let reachable = !(self.behind_nat && self.route_set.is_empty());
            reachable && peers.allow(address.ip()) && address.is_ipv4() == self.flow.local.is_ipv4()
        });
        let Some(remote) = address else {
            return self.flow;
        };
        match (transport.as_deref(), self.flow.transport) {
            (Some("tcp"), Transport::Udp) => {
                Flow { transport: Transport::Tcp, remote, connection: None, ..self.flow }
            }
            (Some("udp"), Transport::Tcp) => {
                Flow { transport: Transport::Udp, remote, connection: None, ..self.flow }
            }
            _ => {
                let connection = self.flow.connection.filter(|_| remote.ip() == self.flow.remote.ip());
                Flow { remote, connection, ..self.flow }
            }
        }
    }
}

impl fmt::Debug for Dialog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialog")
            .field("flow", &self.flow)
            .field("confirmed", &self.confirmed)
            .field("remote_cseq", &self.remote_cseq)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::ConnectionId;
    use super::super::message::Message;
    use super::*;

    fn invite(extra: &str) -> Request {
        let text = format!(
            "INVITE sip:v@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n\
             From: <sip:c@d>;tag=Peer\r\nTo: <sip:v@192.0.2.1>\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\n{extra}\r\n"
        );
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    fn flow() -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.7:5060".parse().unwrap(),
            connection: None,
        }
    }

    fn dialog(extra: &str) -> Dialog {
        Dialog::from_invite(&invite(extra), "ours", flow()).unwrap()
    }

    fn written(dialog: &mut Dialog) -> Request {
        match Message::parse(
            &dialog.request(&Method::Bye, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK9").finish(None),
        ) {
            Ok(Message::Request(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_follow_loose_and_strict_routes() {
        let mut direct = dialog("Contact: <sip:gw@192.0.2.8:5070>\r\n");
        let bye = written(&mut direct);
        assert_eq!(bye.uri.as_str(), "sip:gw@192.0.2.8:5070");
        assert_eq!((bye.essentials.from.tag(), bye.essentials.to.tag()), (Some("ours"), Some("Peer")));
        assert_eq!((bye.essentials.cseq.number, written(&mut direct).essentials.cseq.number), (1, 2));

        let bye = written(&mut dialog(
            "Contact: <sip:gw@192.0.2.8>\r\nRecord-Route: <sip:192.0.2.5;lr>, <sip:192.0.2.6;lr>\r\n",
        ));
        assert_eq!(bye.uri.as_str(), "sip:gw@192.0.2.8");
        assert_eq!(
            bye.headers.list("Route").collect::<Vec<_>>(),
            ["<sip:192.0.2.5;lr>", "<sip:192.0.2.6;lr>"]
        );

        let bye = written(&mut dialog(
            "Contact: <sip:gw@192.0.2.8>\r\nRecord-Route: <sip:192.0.2.5>,<sip:192.0.2.6;lr>\r\n",
        ));
        assert_eq!(bye.uri.as_str(), "sip:192.0.2.5");
        assert_eq!(
            bye.headers.list("Route").collect::<Vec<_>>(),
            ["<sip:192.0.2.6;lr>", "<sip:gw@192.0.2.8>"]
        );

        let text = "INVITE sip:v@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\r\nFrom: <sip:c@d>;tag=Peer\r\n\
            To: sip:v@192.0.2.1;\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\n\r\n";
        let Ok(Message::Request(invite)) = Message::parse(text.as_bytes()) else { panic!() };
        let bye = written(&mut Dialog::from_invite(&invite, "ours", flow()).unwrap());
        assert_eq!(bye.headers.get("From"), Some("sip:v@192.0.2.1;tag=ours"));

        // A Request-URI has no headers (section 19.1.1).
        for extra in ["Contact: <sip:gw@192.0.2.8?a=b>\r\n", "Record-Route: <sip:gw@192.0.2.8?a=b>\r\n"] {
            assert_eq!(written(&mut dialog(extra)).uri.as_str(), "sip:gw@192.0.2.8", "{extra}");
        }
    }

    #[test]
    fn the_next_hop_is_a_configured_peer() {
        let peers = Peers::new(["192.0.2.0/24".parse().unwrap()]);
        let hop = |extra: &str| dialog(extra).next_hop(&peers);
        assert_eq!(hop("Contact: <sip:gw@192.0.2.8:5070>\r\n").remote, "192.0.2.8:5070".parse().unwrap());
        assert_eq!(hop("Contact: <sip:gw@203.0.113.1>\r\n"), flow(), "not configured");
        assert_eq!(hop("Contact: <sip:gw@gw.example.com>\r\n"), flow(), "a name");
        assert_eq!(hop("Contact: <sip:gw@[2001:db8::1]>\r\n"), flow(), "another family");
        assert_eq!(hop("").remote, flow().remote, "no Contact");
        let connected = Flow { transport: Transport::Tcp, connection: Some(ConnectionId(1)), ..flow() };
        let connection = |extra: &str| {
            let dialog = Dialog::from_invite(&invite(extra), "ours", connected).unwrap();
            dialog.next_hop(&peers).connection
        };
        assert_eq!(connection("Contact: <sip:gw@192.0.2.7:5070>\r\n"), connected.connection, "the same peer");
        assert_eq!(connection("Contact: <sip:gw@192.0.2.8:5070>\r\n"), None, "another peer");
        let routed = hop("Contact: <sip:gw@203.0.113.1>\r\nRecord-Route: <sip:192.0.2.5:5080;lr>\r\n");
        assert_eq!(routed.remote, "192.0.2.5:5080".parse().unwrap());
        assert_eq!(hop("Contact: <sip:gw@192.0.2.8;transport=TCP>\r\n").transport, Transport::Tcp);
        assert_eq!(hop("Contact: <sips:gw@192.0.2.8>\r\n"), flow(), "never in the clear to a secure place");
        let secured = Flow { transport: Transport::Tls, connection: Some(ConnectionId(1)), ..flow() };
        for contact in
            ["sip:gw@192.0.2.8;transport=tcp", "sips:gw@192.0.2.8:5070", "sip:gw@192.0.2.8;transport=tls"]
        {
            let invite = invite(&format!("Contact: <{contact}>\r\n"));
            assert_eq!(
                Dialog::from_invite(&invite, "ours", secured).unwrap().next_hop(&peers),
                secured,
                "{contact}"
            );
        }

        let mut natted = invite("Contact: <sip:gw@192.0.2.8>\r\n");
        natted.stamp("192.0.2.99:1024".parse().unwrap());
        assert_eq!(Dialog::from_invite(&natted, "ours", flow()).unwrap().next_hop(&peers), flow());
    }

    #[test]
    fn numbers_must_grow_and_tags_have_no_case() {
        let mut dialog = dialog("Contact: <sip:gw@192.0.2.8>\r\n");
        assert!(
            !dialog.take_cseq(7) && dialog.take_cseq(8) && dialog.take_cseq(100) && !dialog.take_cseq(99)
        );
        let text = "BYE sip:v@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\r\nFrom: <sip:c@d>;tag=PEER\r\n\
            To: <sip:v@192.0.2.1>;tag=OURS\r\nCall-ID: x\r\nCSeq: 101 BYE\r\n\r\n";
        let Ok(Message::Request(bye)) = Message::parse(text.as_bytes()) else { panic!() };
        assert!(DialogKey::of(&bye) == Some(dialog.key));
    }

    #[test]
    fn what_cannot_be_routed_is_refused() {
        for extra in [
            "Contact: <sip:gw@192.0.2.8\r\n",
            "Contact: *\r\n",
            "Record-Route: <sip:a b>\r\nContact: <sip:a@b>\r\n",
        ] {
            assert!(Dialog::from_invite(&invite(extra), "ours", flow()).is_err(), "{extra}");
        }
    }
}
