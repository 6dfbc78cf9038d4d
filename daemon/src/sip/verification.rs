//! The verification service: a proxy asks about a call by an INVITE, and has its final answer at once.
//!
//! This is how proxies ask a STIR/SHAKEN verification service, too. The INVITE is the caller's, sent here first:
//! with a `Route` to the service and its Request-URI left as it is, or with the service as Request-URI. Nothing
//! here knows calls; see `exchange::inquiry` for which call a question is about.

use super::headers::Header;
use super::message::{NameAddr, Request};
use super::uri::{Scheme, Uri, unescape};
use crate::verdict::Status;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest Contact of a redirect, in bytes; headers that do not fit are left out of it.
pub const MAX_CONTACT: usize = 2048;

/// At which user part INVITEs are questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceUser {
    /// Nowhere: the service is off.
    Nobody,
    /// At this one.
    Named(String),
    /// At all of them.
    Anybody,
}

impl Default for ServiceUser {
    fn default() -> Self {
        Self::Named("verify".to_owned())
    }
}

/// How a question is answered when the call may go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceAnswer {
    /// 302 with the headers.
    #[default]
    Redirect,
    /// 200 with the headers, for peers that cannot read a 302; the call is a media leg, too.
    Accept,
    /// 404, which such services use for "go on".
    NotFound,
    /// 503, the same.
    Unavailable,
}

/// What is said of a call that Vouch does not hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownCall {
    /// `pending`: it is asked about before its recording begins.
    #[default]
    Pending,
    /// `inconclusive`: it should be known by now.
    Inconclusive,
}

/// How a peer's questions are answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRule {
    /// How a question is answered when the call may go on.
    pub answer: ServiceAnswer,
    /// Statuses that are answered with 603 instead.
    pub block: Option<Vec<Status>>,
    /// What is said of a call that Vouch does not hear.
    pub unknown: UnknownCall,
    /// Whether the Contact of a 302 carries the headers, too.
    pub headers_in_contact: bool,
}

impl ServiceRule {
    /// Whether calls with this status are blocked.
    pub fn blocks(&self, status: Status) -> bool {
        self.block.as_ref().is_some_and(|block| block.contains(&status))
    }

    /// The status of the final answer.
    pub fn status(&self, status: Status) -> u16 {
        match self.answer {
            _ if self.blocks(status) => 603,
            ServiceAnswer::Redirect => 302,
            ServiceAnswer::Accept => 200,
            ServiceAnswer::NotFound => 404,
            ServiceAnswer::Unavailable => 503,
        }
    }
}

/// An INVITE that is a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where the call was going; `None` where the question does not say.
    pub target: Option<Uri>,
    /// Whether a `Route` makes it one: then a proxy asks about an INVITE of somebody else, whose Request-URI and body
    /// may be anything.
    pub by_route: bool,
}

impl Asked {
    /// Whether `invite` is a question, and where its call was going:
    /// - a first `Route` whose user part is the service's leaves the Request-URI as the target;
    /// - a Request-URI with that user part has the target in its parameter `target`, escaped, or else the call
    ///   was going where `To` says, unless that is the service itself.
    pub fn of(invite: &Request, user: &ServiceUser) -> Option<Self> {
        let name = match user {
            ServiceUser::Nobody => return None,
            ServiceUser::Anybody => return Some(Self { target: Some(invite.uri.clone()), by_route: false }),
            ServiceUser::Named(name) => name,
        };
        let is_service = |uri: &Uri| uri.user().is_some_and(|user| user.reveal() == name);
        let route = invite.headers.list("Route").next().and_then(|route| NameAddr::parse(route).ok());
        if route.is_some_and(|route| is_service(&route.uri)) {
            return Some(Self { target: Some(invite.uri.clone()), by_route: true });
        }
        if !is_service(&invite.uri) {
            return None;
        }
        let named = invite.uri.params().value("target").map(unescape);
        let named = named.and_then(|target| Uri::parse(&target).ok());
        let to = Some(&invite.essentials.to.uri).filter(|to| !is_service(to));
        Some(Self { target: named.or(to.cloned()), by_route: false })
    }

    /// The Contact of a redirect to the target, with `headers` for the INVITE that follows (RFC 3261 section
    /// 19.1.1). A `tel` URI takes none.
    pub fn contact(&self, headers: &[Header]) -> Option<String> {
        let target = self.target.as_ref().filter(|target| target.scheme() != Scheme::Other)?;
        let mut uri = target.as_str().to_owned();
        if target.scheme() != Scheme::Tel {
            let mut separator = if target.has_headers() { '&' } else { '?' };
            for (name, value) in headers {
                let header = format!("{separator}{}={}", escape_header(name), escape_header(value));
                if uri.len() + header.len() <= MAX_CONTACT {
                    uri.push_str(&header);
                    separator = '&';
                }
            }
        }
        Some(format!("<{uri}>"))
    }
}

/// All but the bytes that may stand in a header of a URI as they are (RFC 3261 section 25.1, `hnv-unreserved` and
/// `unreserved`).
static ESCAPED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'/')
    .remove(b':')
    .remove(b'+')
    .remove(b'$');

fn escape_header(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, &ESCAPED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Message;
    use proptest::prelude::*;

    fn invite(uri: &str, extra: &str) -> Request {
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:4711@192.0.2.7>;tag=a\r\nTo: <sip:100@pbx.test>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:4711@192.0.2.7>\r\n{extra}Content-Length: 0\r\n\r\n"
        );
        match Message::parse(text.as_bytes()).unwrap() {
            Message::Request(request) => *request,
            Message::Response(_) => panic!("a response"),
        }
    }

    fn target(uri: &str, extra: &str) -> Option<Option<String>> {
        let asked = Asked::of(&invite(uri, extra), &ServiceUser::default())?;
        Some(asked.target.map(|uri| uri.as_str().to_owned()))
    }

    #[test]
    fn a_question_says_where_the_call_was_going() {
        let some = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(target("sip:100@pbx.test", ""), None, "an ordinary call");
        let route = "Route: <sip:verify@192.0.2.1;lr>\r\n";
        assert_eq!(target("sip:200@pbx.test;user=phone", route), some("sip:200@pbx.test;user=phone"));
        assert_eq!(target("sip:100@pbx.test", "Route: <sip:192.0.2.1;lr>\r\n"), None);
        assert_eq!(target("sip:verify@192.0.2.1", ""), some("sip:100@pbx.test"));
        let named = "sip:verify@192.0.2.1;target=sip%3A300%40pbx.test%3Btransport%3Dtcp";
        assert_eq!(target(named, ""), some("sip:300@pbx.test;transport=tcp"));
        assert_eq!(target("sip:verify@192.0.2.1;target=nonsense", ""), some("sip:100@pbx.test"));
        let mut looping = invite("sip:verify@192.0.2.1", "");
        looping.essentials.to = NameAddr::parse("<sip:verify@192.0.2.1>").unwrap();
        let asked = Asked::of(&looping, &ServiceUser::default()).unwrap();
        assert_eq!((asked.contact(&[]), asked.target), (None, None), "no redirect to ourselves");
    }

    #[test]
    fn the_service_can_be_everywhere_or_nowhere() {
        let request = invite("sip:100@pbx.test", "");
        let asked = Asked::of(&request, &ServiceUser::Anybody).unwrap();
        assert_eq!(asked.target.unwrap().as_str(), "sip:100@pbx.test");
        assert_eq!(Asked::of(&invite("sip:verify@h", ""), &ServiceUser::Nobody), None);
    }

    #[test]
    fn headers_ride_in_the_contact() {
        let contact = |uri: &str| {
            let asked = Asked { target: Some(Uri::parse(uri).unwrap()), by_route: true };
            let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            asked.contact(&[header("X-Voice-ID-Status", "pending"), header("X-Voice-ID-Reason", "a, b=c&%")])
        };
        let tail = "X-Voice-ID-Status=pending&X-Voice-ID-Reason=a%2C%20b%3Dc%26%25>";
        assert_eq!(contact("sip:bob@pbx"), Some(format!("<sip:bob@pbx?{tail}")));
        assert_eq!(contact("sip:bob@pbx;lr?Subject=x"), Some(format!("<sip:bob@pbx;lr?Subject=x&{tail}")));
        assert_eq!(contact("tel:+15550100"), Some("<tel:+15550100>".to_owned()));
        assert_eq!(contact("isbn:2983792873"), None);
    }

    #[test]
    fn the_rule_gives_the_status() {
        let rule = |answer| ServiceRule {
            answer,
            block: Some(vec![Status::NotAuthenticated]),
            ..ServiceRule::default()
        };
        for (answer, status) in [
            (ServiceAnswer::Redirect, 302),
            (ServiceAnswer::Accept, 200),
            (ServiceAnswer::NotFound, 404),
            (ServiceAnswer::Unavailable, 503),
        ] {
            assert_eq!(rule(answer).status(Status::Authenticated), status);
            assert_eq!(rule(answer).status(Status::NotAuthenticated), 603);
        }
        assert!(!ServiceRule::default().blocks(Status::NotAuthenticated), "nothing is blocked unasked");
    }

    proptest! {
        #[test]
        fn a_contact_is_one_bounded_uri_whatever_it_carries(values in prop::collection::vec("(?s).{0,1024}", 0..8)) {
            let headers: Vec<Header> = values.into_iter().map(|value| ("X-Voice-ID-Speaker".to_owned(), value)).collect();
            let asked = Asked { target: Some(Uri::parse("sip:bob@pbx").unwrap()), by_route: true };
            let contact = asked.contact(&headers).unwrap();
            prop_assert!(contact.len() <= MAX_CONTACT + 2);
            prop_assert!(contact.bytes().all(|byte| byte.is_ascii_graphic()));
            let parsed = NameAddr::parse(&contact).unwrap();
            prop_assert_eq!(parsed.uri.user().unwrap().reveal(), "bob");
        }
    }
}
