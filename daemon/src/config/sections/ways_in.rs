//! Where calls come in: `[sip]`, `[[peers]]` and `[tap]`.

use super::super::read::Section;
use super::super::values::{InfoRule, PortRange, is_token};
use super::constant;
use crate::sip::flow::Transport;
use crate::sip::headers::{HeaderChoice, HeaderPrefix, HeaderStyle};
use crate::sip::offer_answer::SrtpRule;
use crate::sip::peers::Network;
use crate::sip::siprec::CallerRule;
use crate::sip::transport::{Listen, TlsFiles};
use crate::sip::verification::{ServiceRule, ServiceUser};
use crate::tap::filter::MAX_PORTS;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Section `[sip]`: where SIP and RTP are heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Sip {
    /// `listen`: where SIP is heard.
    pub listen: Vec<Listen>,
    /// `rtp-ports`: where RTP is heard.
    pub rtp_ports: PortRange,
    /// `advertise`: address written into SDP and Contact, if not the one a packet came to.
    pub advertise: Option<IpAddr>,
    /// `user-agent`: what the Server header says.
    pub user_agent: String,
    /// `media-user`: the only user part at which a plain media leg is taken; any when absent.
    pub media_user: Option<String>,
    /// `header-prefix`: how the headers to the gateway begin.
    pub header_prefix: HeaderPrefix,
    /// `verify-user`: whose INVITEs are questions about a call.
    pub verify_user: ServiceUser,
    /// `verify-window`: how far a call's beginning may lie back to be found by caller and callee.
    pub verify_window: Duration,
    /// `tls-certificate`: our certificate, in PEM.
    pub tls_certificate: Option<PathBuf>,
    /// `tls-key`: its private key.
    pub tls_key: Option<PathBuf>,
    /// `tls-client-ca`: who issues the certificates that clients must have; they need none when absent.
    pub tls_client_ca: Option<PathBuf>,
}

impl Default for Sip {
    fn default() -> Self {
        let listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"];
        Self {
            listen: listen.map(constant).to_vec(),
            rtp_ports: constant("40000-41999"),
            advertise: None,
            user_agent: "Vouch".to_owned(),
            media_user: None,
            header_prefix: HeaderPrefix::default(),
            verify_user: ServiceUser::default(),
            verify_window: Duration::from_secs(10),
            tls_certificate: None,
            tls_key: None,
            tls_client_ca: None,
        }
    }
}

impl Sip {
    pub(in crate::config) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read_if("listen", &mut self.listen, |listen| {
            let twice = listen.iter().enumerate().find(|(i, place)| listen[..*i].contains(place));
            twice.map_or(Ok(()), |(_, place)| Err(format!("`{place}` is listed twice")))
        });
        section.read("rtp-ports", &mut self.rtp_ports);
        section.read_if("advertise", &mut self.advertise, |address| match address {
            Some(address) if address.is_unspecified() || address.is_multicast() => {
                Err(format!("`{address}` is no address that a gateway could send to"))
            }
            _ => Ok(()),
        });
        section.read_if("user-agent", &mut self.user_agent, |text| printable(text));
        section.read_if("media-user", &mut self.media_user, |user| {
            user.as_ref().map_or(Ok(()), |user| match user.bytes().find(|b| !is_user_byte(*b)) {
                Some(byte) => Err(format!("`{}` cannot stand in a SIP user part", char::from(byte))),
                None if user.is_empty() => Err("is empty; leave the key out to accept any user".to_owned()),
                None => Ok(()),
            })
        });
        section.read("header-prefix", &mut self.header_prefix);
        section.read("verify-user", &mut self.verify_user);
        section.read_if("verify-window", &mut self.verify_window, |&window| {
            if window <= Duration::from_mins(10) { Ok(()) } else { Err("must be 0s to 10m".to_owned()) }
        });
        section.read("tls-certificate", &mut self.tls_certificate);
        section.read("tls-key", &mut self.tls_key);
        section.read("tls-client-ca", &mut self.tls_client_ca);
        let secure = self.listen.iter().find(|listen| listen.transport == Transport::Tls);
        if let (Some(listen), None) = (secure, self.tls_files()) {
            section.fault("listen", format!("`{listen}` needs tls-certificate and tls-key"));
        }
    }

    /// The files of TLS, where both certificate and key are named.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: self.tls_certificate.clone()?,
            key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
        })
    }
}

/// One table of `[[peers]]`: a gateway that may talk to Vouch.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// `name`: how logs and metrics call it.
    pub name: String,
    /// `address`: where it speaks from.
    pub address: Vec<Network>,
    /// `caller`: which stream of its recording sessions is the caller's.
    pub caller: CallerRule,
    /// `info`: whether it gets results by INFO.
    pub info: InfoRule,
    /// `may-claim`: whether its X-Voice-ID-Speaker header is believed.
    pub may_claim: bool,
    /// `headers`: which of the status headers it gets.
    pub headers: HeaderChoice,
    /// `header-prefix`: how its headers begin, if not as all others'.
    pub header_prefix: Option<HeaderPrefix>,
    /// `verify`, `verify-block`, `verify-unknown`, `headers-in-contact`: how its questions are answered.
    pub service: ServiceRule,
    /// `srtp`: whether its media may, must or must not be secured.
    pub srtp: SrtpRule,
}

impl Default for Peer {
    /// Programs on this box.
    fn default() -> Self {
        let address = ["127.0.0.0/8", "::1/128"].map(constant).to_vec();
        Self { name: "local".to_owned(), address, ..Self::blank() }
    }
}

impl Peer {
    /// What a `[[peers]]` table starts from.
    pub(in crate::config) fn blank() -> Self {
        Self {
            name: String::new(),
            address: Vec::new(),
            caller: CallerRule::Auto,
            info: InfoRule::Auto,
            may_claim: true,
            headers: HeaderChoice::ALL,
            header_prefix: None,
            service: ServiceRule::default(),
            srtp: SrtpRule::Accept,
        }
    }

    pub(in crate::config) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.require("name", &mut self.name, |name| {
            if is_token(name) {
                Ok(())
            } else {
                Err("must be one word of letters, digits, `-` or `.`".to_owned())
            }
        });
        section.require("address", &mut self.address, |_| Ok(()));
        section.read("caller", &mut self.caller);
        section.read("info", &mut self.info);
        section.read("may-claim", &mut self.may_claim);
        section.read("headers", &mut self.headers);
        section.read("srtp", &mut self.srtp);
        section.read("header-prefix", &mut self.header_prefix);
        section.read("verify", &mut self.service.answer);
        section.read("verify-block", &mut self.service.block);
        section.read("verify-unknown", &mut self.service.unknown);
        section.read("headers-in-contact", &mut self.service.headers_in_contact);
    }

    /// How it is told; `usual` is the prefix of `[sip]`.
    pub fn header_style(&self, usual: &HeaderPrefix) -> HeaderStyle {
        let prefix = self.header_prefix.as_ref().unwrap_or(usual).clone();
        HeaderStyle { prefix, choice: self.headers }
    }

    /// Whether packets from `address` are this peer's.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.address.iter().any(|network| network.contains(address))
    }
}

/// Section `[tap]`: interfaces that calls between others are overheard on.
#[derive(Clone, Debug, PartialEq)]
pub struct Tap {
    /// `interfaces`: their names; no tap where there are none.
    pub interfaces: Vec<String>,
    /// `sip-ports`: ports of SIP over TCP.
    pub sip_ports: Vec<u16>,
    /// `promiscuous`: whether frames to other machines are taken.
    pub promiscuous: bool,
}

impl Default for Tap {
    fn default() -> Self {
        Self { interfaces: Vec::new(), sip_ports: vec![5060], promiscuous: true }
    }
}

/// Most interfaces of a tap; each has a ring of 32 MiB.
const MAX_INTERFACES: usize = 16;

impl Tap {
    pub(in crate::config) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.read_if("interfaces", &mut self.interfaces, |names| {
            let twice = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
            let bad = names.iter().find(|name| !is_interface(name));
            match (bad, twice) {
                (Some(name), _) => Err(format!("`{name}` cannot be the name of a network interface")),
                (None, Some((_, name))) => Err(format!("`{name}` is listed twice")),
                (None, None) if names.len() > MAX_INTERFACES => {
                    Err(format!("at most {MAX_INTERFACES} interfaces"))
                }
                (None, None) => Ok(()),
            }
        });
        let mut ports: Vec<u32> = self.sip_ports.iter().copied().map(u32::from).collect();
        section.read_if("sip-ports", &mut ports, |ports| {
            match ports.iter().find(|port| !(1..=65_535).contains(*port)) {
                Some(port) => Err(format!("`{port}` is no port")),
                None if ports.len() > MAX_PORTS => Err(format!("at most {MAX_PORTS} ports")),
                None => Ok(()),
            }
        });
        self.sip_ports = ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect();
        section.read("promiscuous", &mut self.promiscuous);
    }
}

/// Whether Linux could call an interface so.
fn is_interface(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':');
    (1..16).contains(&name.len()) && name.bytes().all(allowed)
}

fn printable(text: &str) -> Result<(), String> {
    if !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Ok(());
    }
    Err("must be printable ASCII".to_owned())
}

/// Bytes of a user part that need no escape (RFC 3261 section 25.1, `user`).
const fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'+' | b'#')
}
