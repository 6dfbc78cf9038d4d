//! Texts: SIP messages, and the bodies they bring.

use std::net::SocketAddr;
use vouch::sip::dialog::Dialog;
use vouch::sip::flow::{Flow, Transport};
use vouch::sip::message::{Builder, MAX_HEADERS, Message, Method, Request};
use vouch::sip::peers::Peers;
use vouch::sip::siprec::Bodies;
use vouch::sip::stream::{Framer, Piece};
use vouch::wire::multipart;
use vouch::wire::rs_metadata::{MAX_NODES, Recording};
use vouch::wire::sdp::{Crypto, Description, MAX_FORMATS, MAX_MEDIA};

/// A message by itself and as a stream: what is read can be answered, and the answer can be read.
pub fn sip(data: &[u8]) {
    match Message::parse(data) {
        Ok(Message::Request(request)) => answer(*request),
        Ok(Message::Response(response)) => assert!((100..700).contains(&response.status)),
        Err(refusal) => assert!(refusal.error.status() >= 400),
    }
    let whole = pieces(data, usize::MAX);
    assert_eq!(whole, pieces(data, 7), "a stream says the same however it is cut");
}

/// Answers a request, makes a dialog of it, and sends a request of ours in that: all of it must be SIP again.
fn answer(mut request: Request) {
    let remote = SocketAddr::from(([192, 0, 2, 7], 5060));
    request.stamp(remote);
    assert!(request.headers.iter().count() <= MAX_HEADERS);
    let bytes =
        Builder::response(200, None).echo(&request.headers, Some(&request.essentials), "ours").finish(None);
    match Message::parse(&bytes) {
        Ok(Message::Response(response)) => {
            assert_eq!(response.essentials.cseq, request.essentials.cseq);
            assert_eq!(response.essentials.call_id, request.essentials.call_id);
            assert!(response.essentials.to.tag().is_some(), "an answer without a tag");
        }
        other => panic!("an answer that is none: {other:?}\n{}", String::from_utf8_lossy(&bytes)),
    }
    let local = SocketAddr::from(([192, 0, 2, 1], 5060));
    let flow = Flow { transport: Transport::Udp, local, remote, connection: None };
    let Ok(mut dialog) = Dialog::from_invite(&request, "ours", flow) else { return };
    let hop = dialog.next_hop(&Peers::default());
    assert_eq!(hop.remote, remote, "a request of ours to somebody who is no peer");
    let bytes = dialog.request(&Method::Bye, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx").finish(None);
    match Message::parse(&bytes) {
        Ok(Message::Request(bye)) => assert_eq!(bye.call_id(), request.call_id()),
        other => panic!("a request that is none: {other:?}\n{}", String::from_utf8_lossy(&bytes)),
    }
}

/// What a stream gives, read in chunks of so many bytes, and whether it broke.
fn pieces(data: &[u8], chunk: usize) -> (Vec<Piece>, bool) {
    let mut framer = Framer::default();
    let mut pieces = Vec::new();
    for part in data.chunks(chunk.min(data.len().max(1))) {
        framer.buffer().extend_from_slice(part);
        loop {
            match framer.next_piece() {
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) => break,
                Err(_) => return (pieces, true),
            }
        }
    }
    (pieces, false)
}

/// A session description, and each of its lines as a value of `a=crypto`.
pub fn sdp(data: &[u8]) {
    if let Ok(description) = Description::parse(data) {
        assert!(description.media.len() <= MAX_MEDIA);
        for media in &description.media {
            assert!(media.payloads.len() <= media.formats.len() && media.formats.len() <= MAX_FORMATS);
            assert!(media.payloads.iter().all(|format| format.number < 128));
            let _ = (media.rtp_address(), media.rtcp_address(), media.transport());
        }
    }
    for line in String::from_utf8_lossy(data).lines().take(64) {
        if let Ok(crypto) = Crypto::parse(line) {
            let written = Crypto::write(crypto.tag, &crypto.key);
            assert_eq!(
                Crypto::parse(&written).map(|read| read.key),
                Ok(crypto.key),
                "a key changed on its way"
            );
        }
    }
}

/// A multipart body behind a line with its Content-Type: parts lie within the body, and in its order.
pub fn multipart(data: &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let (head, body) = data.split_at(end);
    let content_type = String::from_utf8_lossy(head);
    if let Ok(parts) = multipart::parts(content_type.trim(), body) {
        let length: usize = parts.iter().map(|part| part.body.len()).sum();
        assert!(!parts.is_empty() && length <= body.len(), "parts overlap");
        for part in &parts {
            let _ = (part.media_type(), part.disposition(), part.header("Content-Length"));
        }
    }
    let _ = Bodies::find(content_type.trim(), body);
}

/// Recording metadata: read within its limits, and said twice it says the same.
pub fn metadata(data: &[u8]) {
    let Ok(recording) = Recording::parse(data) else { return };
    let most = MAX_NODES as usize;
    assert!(recording.participants.len() <= most && recording.streams.len() <= most);
    let mut known = recording.clone();
    known.update(recording.clone());
    let once = known.clone();
    known.update(recording);
    assert_eq!(known, once, "what is known changes though nothing was said");
}
