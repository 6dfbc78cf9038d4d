//! How a client's SIP travels: by UDP, or by TLS.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// A client's way to vouchd.
#[derive(Debug)]
pub(super) enum Wire {
    /// Datagrams to this address.
    Udp(UdpSocket, SocketAddr),
    /// A connection, and what came of the next message.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>, String),
}

/// How long vouchd may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Wire {
    pub(super) fn udp(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
        Self::Udp(socket, server)
    }

    /// Connects to a server that has the certificate `root`.
    pub(super) fn tls(server: SocketAddr, root: &str) -> Self {
        Self::Tls(Box::new(connect_tls(server, root)), String::new())
    }

    pub(super) fn local(&self) -> SocketAddr {
        let address = match self {
            Self::Udp(socket, _) => socket.local_addr(),
            Self::Tls(stream, _) => stream.sock.local_addr(),
        };
        address.expect("a bound socket has an address")
    }

    /// Name of the transport in a Via.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Udp(..) => "UDP",
            Self::Tls(..) => "TLS",
        }
    }

    pub(super) fn send(&mut self, message: &str) {
        match self {
            Self::Udp(socket, server) => {
                socket.send_to(message.as_bytes(), *server).expect("loopback takes every packet");
            }
            Self::Tls(stream, _) => stream.write_all(message.as_bytes()).expect("vouchd takes what is sent"),
        }
    }

    /// The next message, unless none comes in time.
    pub(super) fn receive(&mut self) -> Option<String> {
        let mut buffer = [0; 65_536];
        match self {
            Self::Udp(socket, _) => {
                let length = socket.recv(&mut buffer).ok()?;
                Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
            }
            Self::Tls(stream, pending) => loop {
                if let Some(length) = message_length(pending) {
                    let rest = pending.split_off(length);
                    return Some(std::mem::replace(pending, rest));
                }
                match stream.read(&mut buffer) {
                    Ok(length @ 1..) => pending.push_str(&String::from_utf8_lossy(&buffer[..length])),
                    _ => return None,
                }
            },
        }
    }
}

/// A connection to a server that has the certificate `root`, in PEM. The handshake comes with the first message.
///
/// # Panics
/// When nobody listens there, or `root` is no certificate.
pub fn connect_tls(server: SocketAddr, root: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(root.as_bytes()).expect("a certificate in PEM");
    roots.add(root).expect("a certificate that can be trusted");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has all versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::IpAddress(server.ip().into());
    let client = ClientConnection::new(Arc::new(config), name).expect("a valid configuration");
    let stream = TcpStream::connect(server).expect("vouchd listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time above zero");
    StreamOwned::new(client, stream)
}

/// Bytes of the first message in `text`, once it is whole.
fn message_length(text: &str) -> Option<usize> {
    let head = text.find("\r\n\r\n")? + 4;
    let body: usize = super::header(text, "Content-Length")?.parse().ok()?;
    (text.len() >= head + body).then_some(head + body)
}
