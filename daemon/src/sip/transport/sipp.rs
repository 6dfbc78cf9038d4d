//! A real client, where one is installed: sipp (Debian package `sip-tester`) against the shell.

use super::tests::{accept_all, start_on};
use super::*;
use crate::sip::agent::EndReason;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// INVITE, re-INVITE with hold, INFO, BYE, with an `OPTIONS` before.
const SCENARIO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="call">
<send retrans="500"><![CDATA[
OPTIONS sip:vouch@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:gw@[local_ip]:[local_port]>;tag=o[call_number]
To: <sip:vouch@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 OPTIONS
Contact: <sip:gw@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
<send retrans="500"><![CDATA[
INVITE sip:vouch@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:gw@[local_ip]:[local_port]>;tag=c[call_number]
To: <sip:vouch@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 2 INVITE
Contact: <sip:gw@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=gw 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio 40000 RTP/AVP 0 101
a=rtpmap:101 telephone-event/8000
]]></send>
<recv response="100" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:gw@[local_ip]:[local_port]>;tag=c[call_number]
To: <sip:vouch@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<send retrans="500"><![CDATA[
INFO [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:gw@[local_ip]:[local_port]>;tag=c[call_number]
To: <sip:vouch@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 3 INFO
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:gw@[local_ip]:[local_port]>;tag=c[call_number]
To: <sip:vouch@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 4 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"#;

/// Places one call with sipp; `None` where there is no sipp.
async fn place_call(scenario: &Path, listen: Listen) -> Option<Output> {
    let mode = if listen.transport == Transport::Udp { "u1" } else { "t1" };
    let mut sipp = Command::new("sipp");
    sipp.args(["-i", "127.0.0.1", "-t", mode, "-m", "1", "-nostdin", "-timeout", "30s", "-timeout_error"])
        .arg("-sf")
        .arg(scenario)
        .arg(listen.address.to_string())
        .stdin(Stdio::null());
    match tokio::task::spawn_blocking(move || sipp.output()).await.unwrap() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.unwrap()),
    }
}

#[tokio::test]
async fn sipp_places_a_call_over_udp_and_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("call.xml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    for transport in 0..2 {
        let sip = start_on("127.0.0.1", "127.0.0.1").await;
        let sdp = "v=0\r\no=vouch 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 41000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=recvonly\r\n";
        let application = accept_all(sip.events, sip.handle.clone(), sdp.to_owned());
        let Some(output) = place_call(&scenario, sip.listening[transport]).await else {
            eprintln!("skipped: no sipp here (Debian package sip-tester)");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}\n{text}\n{}",
            sip.listening[transport],
            String::from_utf8_lossy(&output.stderr)
        );
        let seen = application.await.unwrap();
        assert!(
            matches!(
                seen[..],
                [
                    Event::Options { .. },
                    Event::Invite { .. },
                    Event::Acked { .. },
                    Event::Info { .. },
                    Event::Ended { why: EndReason::Bye, .. }
                ]
            ),
            "{seen:?}"
        );
        let counters = sip.handle.counters();
        assert_eq!(
            (counters.malformed.get(), counters.refused_requests.get(), counters.stray.get()),
            (0, 0, 0)
        );
    }
}
