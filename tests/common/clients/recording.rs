//! What recording clients send: descriptions, metadata, and both in one body.

use crate::srtp::Srtp;

/// Type and disposition of a part with metadata.
pub(super) const METADATA_PART: &str =
    "application/rs-metadata+xml\r\nContent-Disposition: recording-session";

/// What a recording session offers, as a multipart body with the boundary `part`: SDP with the caller's stream from
/// the first port and the agent's from the second, and metadata that says so.
pub fn session_offer(speaker: &str, ports: [u16; 2], (call_id, direction): (&str, &str)) -> String {
    let metadata = metadata(("p1", speaker), &format!("orig-{call_id}"), ["1", "2"]);
    described(&sdp(ports, direction), &metadata)
}

/// A description and the metadata of its streams in one body.
pub(super) fn described(sdp: &str, metadata: &str) -> String {
    multipart(&[("application/sdp", sdp), (METADATA_PART, metadata)])
}

/// A multipart body with the boundary `part`, of parts with their types.
pub(super) fn multipart(parts: &[(&str, &str)]) -> String {
    let part = |(kind, body): &(&str, &str)| format!("--part\r\nContent-Type: {kind}\r\n\r\n{body}\r\n");
    parts.iter().map(part).collect::<String>() + "--part--\r\n"
}

/// The same offer with both streams secured, a suite that nobody has before each key.
pub(super) fn secured(body: &str, keys: &[Srtp; 2]) -> String {
    let with_key = |body: String, (key, label): (&Srtp, u32)| {
        let line = format!("a=label:{label}\r\n");
        let crypto = format!("a=crypto:9 F8_128_HMAC_SHA1_80 inline:AAAA\r\na=crypto:{}\r\n", key.offer());
        body.replace(&line, &format!("{line}{crypto}"))
    };
    keys.iter().zip(1..).fold(body.replace("RTP/AVP", "RTP/SAVP"), with_key)
}

/// The description: the caller's stream has the label 1, the agent's 2.
pub(super) fn sdp(ports: [u16; 2], direction: &str) -> String {
    let media = |(port, label): (u16, u32)| {
        format!(
            "m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\na=label:{label}\r\n"
        )
    };
    let head = "v=0\r\no=src 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";
    format!("{head}{}{}", media((ports[0], 1)), media((ports[1], 2)))
}

/// Metadata of the recorded call `call_id`: `speaker` calls, as the participant of this id; the labels are those of the
/// caller's and the agent's streams.
pub(super) fn metadata((id, speaker): (&str, &str), call_id: &str, [caller, agent]: [&str; 2]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <recording xmlns=\"urn:ietf:params:xml:ns:recording:1\"><datamode>complete</datamode>\
         <session session_id=\"s1\"><sipSessionID>{call_id}</sipSessionID></session>\
         <participant participant_id=\"{id}\"><nameID aor=\"sip:{speaker}@caller.test\"/></participant>\
         <participant participant_id=\"p2\"><nameID aor=\"sip:agent@pbx.test\"/></participant>\
         <stream stream_id=\"t1\" session_id=\"s1\"><label>{caller}</label></stream>\
         <stream stream_id=\"t2\" session_id=\"s1\"><label>{agent}</label></stream>\
         <participantstreamassoc participant_id=\"{id}\"><send>t1</send><recv>t2</recv></participantstreamassoc>\
         <participantstreamassoc participant_id=\"p2\"><send>t2</send><recv>t1</recv></participantstreamassoc>\
         </recording>"
    )
}
