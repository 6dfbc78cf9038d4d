//! SIP over TLS, over real sockets on the loopback.

use super::super::tests::{PATIENCE, accept_all, options, read_until};
use super::super::*;
use super::*;
use crate::sip::peers::Peers;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate with its key.
struct Made {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// A certificate for the loopback, signed by itself.
fn server() -> Made {
    let key = KeyPair::generate().unwrap();
    let wanted = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    Made { certificate: wanted.self_signed(&key).unwrap(), key }
}

fn write(folder: &TempDir, made: &Made) -> TlsFiles {
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("sip.pem"), made.certificate.pem()).unwrap();
    std::fs::write(file("sip.key"), made.key.serialize_pem()).unwrap();
    TlsFiles { certificate: file("sip.pem"), key: file("sip.key"), client_ca: None }
}

async fn start_with(tls: TlsFiles, tcp: TcpLimits) -> Sip {
    let listen = vec![Listen { transport: Transport::Tls, address: "127.0.0.1:0".parse().unwrap() }];
    let agent = AgentConfig { peers: Peers::new(["127.0.0.1".parse().unwrap()]), ..AgentConfig::default() };
    start(SipConfig { listen, agent, tcp, tls: Some(tls) }).await.unwrap()
}

/// Connects as a client that trusts `root`, with a certificate of its own if it has one.
async fn connect(sip: &Sip, root: &Made, own: Option<&Made>) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.certificate.der().clone()).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.serialize_pem().as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![own.certificate.der().clone()], key).unwrap()
        }
    };
    let stream = TcpStream::connect(sip.listening[0].address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn over_tls(from: std::net::SocketAddr, number: u32) -> String {
    options(from, number).replace("SIP/2.0/UDP", "SIP/2.0/TLS")
}

/// Waits until a failed handshake is counted, which happens after the client has learned of it.
async fn one_failed(handle: &SipHandle) {
    let counted = async {
        while handle.counters().failed_handshakes.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
}

#[tokio::test]
async fn a_call_and_our_requests_in_it_share_a_connection() {
    let (folder, made) = (tempfile::tempdir().unwrap(), server());
    let mut sip = start_with(write(&folder, &made), TcpLimits::default()).await;
    assert!(sip.listening[0].to_string().starts_with("tls:127.0.0.1:"));
    let mut stream = connect(&sip, &made, None).await.unwrap();
    let local = stream.get_ref().0.local_addr().unwrap();
    let request = |method: &str, tag: &str| {
        // The Contact leads elsewhere, and in the clear.
        let to = format!("To: <sip:vouch@h>{tag}\r\nContact: <sip:gw@127.0.0.1:9;transport=tcp>");
        over_tls(local, 1).replace("OPTIONS", method).replace("To: <sip:vouch@h>", &to)
    };
    stream
        .write_all(request("INVITE", "").replace(" sip:vouch@h ", " sips:vouch@h ").as_bytes())
        .await
        .unwrap();
    let Some(Event::Invite { dialog, .. }) = timeout(PATIENCE, sip.events.recv()).await.unwrap() else {
        panic!()
    };
    sip.handle.send(SipCommand::Answer(dialog, Reply::new(200))).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.contains("Contact: <sips:vouch@127.0.0.1:"), "{answer}");
    let (_, tag) = answer.split_once("To: <sip:vouch@h>;tag=").unwrap();
    let tag = format!(";tag={}", tag.split_once("\r\n").unwrap().0);
    let ack = request("ACK", &tag).replace("z9hG4bK1", "z9hG4bKack");
    stream.write_all(ack.as_bytes()).await.unwrap();
    assert!(matches!(timeout(PATIENCE, sip.events.recv()).await.unwrap(), Some(Event::Acked { .. })));
    sip.handle.send(SipCommand::Bye(dialog)).await.unwrap();
    let text = read_until(&mut stream, "\r\n\r\n").await;
    assert!(text.starts_with("BYE sip:gw@127.0.0.1:9") && text.contains("Via: SIP/2.0/TLS "), "{text}");
}

#[tokio::test]
async fn a_client_must_have_a_certificate_where_one_is_asked_for() {
    let (folder, made) = (tempfile::tempdir().unwrap(), server());
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer_key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&issuer_key).unwrap();
    let client_key = KeyPair::generate().unwrap();
    let wanted = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
    let issued = wanted.signed_by(&client_key, &Issuer::new(authority, issuer_key)).unwrap();
    let client_ca = folder.path().join("gateways.pem");
    std::fs::write(&client_ca, root.pem()).unwrap();
    let files = TlsFiles { client_ca: Some(client_ca), ..write(&folder, &made) };
    let sip = start_with(files, TcpLimits::default()).await;

    // In TLS 1.3 the client learns of the refusal when it reads.
    let mut answer = [0; 1];
    let refused = match connect(&sip, &made, None).await {
        Ok(mut stream) => stream.read(&mut answer).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    one_failed(&sip.handle).await;
    let own = Made { certificate: issued, key: client_key };
    let mut stream = connect(&sip, &made, Some(&own)).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n").await, "\r\n");
}

#[tokio::test]
async fn changed_files_count_from_the_next_connection_on() {
    let (folder, first, second) = (tempfile::tempdir().unwrap(), server(), server());
    let files = write(&folder, &first);
    let later = |seconds| {
        for file in [&files.certificate, &files.key] {
            let file = std::fs::File::options().append(true).open(file).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).unwrap();
        }
    };
    let sip = start_with(files.clone(), TcpLimits::default()).await;
    assert!(connect(&sip, &first, None).await.is_ok());
    write(&folder, &second);
    later(10);
    assert!(connect(&sip, &first, None).await.is_err(), "the old certificate is gone");
    assert!(connect(&sip, &second, None).await.is_ok());
    std::fs::write(&files.key, "no key").unwrap();
    later(20);
    assert!(connect(&sip, &second, None).await.is_ok(), "files that cannot be used change nothing");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_ended() {
    let (folder, made) = (tempfile::tempdir().unwrap(), server());
    let limits = TcpLimits { message_within: Duration::from_millis(100), ..TcpLimits::default() };
    let sip = start_with(write(&folder, &made), limits).await;
    let application = accept_all(sip.events, sip.handle.clone(), String::new());
    let mut silent = TcpStream::connect(sip.listening[0].address).await.unwrap();
    assert_eq!(timeout(PATIENCE, silent.read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0, "closed");
    one_failed(&sip.handle).await;
    let mut plain = TcpStream::connect(sip.listening[0].address).await.unwrap();
    plain.write_all(options(plain.local_addr().unwrap(), 1).as_bytes()).await.unwrap();
    assert!(!read_until(&mut plain, "never").await.contains("SIP/2.0"), "nobody speaks in the clear here");
    application.abort();
}

#[test]
fn what_is_wrong_with_the_files_is_named() {
    let (folder, made, other) = (tempfile::tempdir().unwrap(), server(), server());
    let files = write(&folder, &made);
    assert!(files.check().is_ok());
    let shown = |files: &TlsFiles| files.check().unwrap_err().to_string();
    let gone = TlsFiles { certificate: folder.path().join("gone.pem"), ..files.clone() };
    assert!(shown(&gone).ends_with("gone.pem: No such file or directory (os error 2)"), "{}", shown(&gone));
    let swapped = TlsFiles { certificate: files.key.clone(), ..files.clone() };
    assert!(shown(&swapped).ends_with("sip.key: no certificate in PEM"), "{}", shown(&swapped));
    let no_key = TlsFiles { key: files.certificate.clone(), ..files.clone() };
    assert!(shown(&no_key).ends_with("sip.pem: no private key in PEM"), "{}", shown(&no_key));
    std::fs::write(&files.key, other.key.serialize_pem()).unwrap();
    let mismatch = shown(&files);
    assert!(mismatch.ends_with("sip.key: the key does not belong to the certificate"), "{mismatch}");
}
