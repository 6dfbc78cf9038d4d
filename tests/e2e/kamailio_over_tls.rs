//! Kamailio with the shipped configuration meets Vouch over TLS: it asks there, and takes to it the recording sessions of a
//! client that has no TLS. Either side shows a certificate; where one is not believed, calls go on without an answer.

use crate::five_callers_over_siprec::enroll_file;
use crate::floods::reached;
use crate::kamailio_in_front_of_a_pbx::{Party, all, call_through, speak_as_agent};
use common::authority::Authority;
use common::clients::{
    Kamailio, Recorder, Relay, Secured, baresip_is_there, header, kamailio_has_tls, relay_is_there,
};
use common::daemon::Daemon;
use common::voices::Person;

const PEER: &str = "[[peers]]\nname = \"kamailio\"\naddress = [\"127.0.0.1\"]\nsrtp = \"require\"\n";

#[test]
fn a_caller_is_verified_who_is_recorded_through_kamailio_over_tls() {
    let Some(enrolled) = Person::Allison.talk(0, 55.0) else { return };
    if !kamailio_has_tls() || !relay_is_there() || !baresip_is_there() {
        return;
    }
    let gateways = Authority::new();
    let (daemon, root) = Daemon::start_with_mutual_tls(gateways.root(), PEER);
    enroll_file(&daemon, "1001", &enrolled);
    let (pbx, relay) = (Party::new(), Relay::start());
    let own = gateways.issue("gateway.test");
    let secured = Secured { vouch: daemon.tls_port(), root: &root, own: &own };
    let kamailio = Kamailio::start_over_tls(pbx.port, &relay, &secured);

    // The question goes over TLS.
    let (mut caller, invite, media) = call_through(&kamailio, &pbx);
    assert_eq!(all(&invite, "X-Voice-ID-Status"), ["pending"], "{invite} {}", kamailio.log());
    let call_id = header(&invite, "Call-ID").expect("every call has one").to_owned();

    // So does the recording, of a client that speaks UDP; its audio is encrypted.
    let mut recorder = Recorder::new(kamailio.port());
    recorder.record((&relay, "RTP/SAVP"), "1001", &call_id);
    speak_as_agent(media, &invite);
    let result = daemon.wait_for(&["result", &call_id], |answer| answer["status"] != "pending");
    assert_eq!(result["status"], "authenticated", "{result} {}", caller.log());
    assert_eq!(result["quality"]["unauthentic"], 0, "{result}");

    // What comes later goes along the same connection, from either side.
    let answer = recorder.refresh();
    assert_eq!(all(&answer, "X-Voice-ID-Status"), ["authenticated"], "{answer}");
    assert!(header(&answer, "Contact").is_some_and(|it| it.contains(";transport=tls")), "{answer}");
    assert_eq!(answer.matches("a=crypto:").count(), 2, "{answer}");
    caller.hang_up();
    pbx.see_the_end(&kamailio);
    recorder.hang_up();
    let told = |message: &&String| message.starts_with("INFO sip:src@127.0.0.1:");
    let info = recorder.received().iter().find(told).expect("the result comes by INFO");
    assert_eq!(all(info, "X-Voice-ID-Status"), ["authenticated"], "{info}");
    daemon.wait_for(&["calls"], |calls| calls[0]["ended"].is_string());
    assert_eq!(daemon.metric("vouch_sip_failed_handshakes_total"), 0);
    assert!(!daemon.log().contains("inline:"), "a key was logged");
}

#[test]
fn a_call_goes_on_where_a_certificate_is_not_believed() {
    if !kamailio_has_tls() || !relay_is_there() {
        return;
    }
    let (gateways, others) = (Authority::new(), Authority::new());
    let (mut daemon, root) = Daemon::start_with_mutual_tls(gateways.root(), "");
    let (own, foreign) = (gateways.issue("gateway.test"), others.issue("gateway.test"));
    let (caller, pbx, relay) = (Party::new(), Party::new(), Relay::start());
    let vouch = daemon.tls_port();
    let ask = |call_id: &str, secured: Secured<'_>| {
        let kamailio = Kamailio::start_over_tls(pbx.port, &relay, &secured);
        caller.call(kamailio.port(), ("1001", "sip:100@pbx.test"), (call_id, ""));
        let invite = pbx.take_call(call_id, &kamailio);
        all(&invite, "X-Voice-ID-Status").first().map(|status| (*status).to_owned())
    };
    let status = |text: &str| Some(text.to_owned());
    assert_eq!(ask("good", Secured { vouch, root: &root, own: &own }), status("not-enrolled"));
    let believes_others = Secured { vouch, root: others.root(), own: &own };
    assert_eq!(ask("untrusted-vouch", believes_others), status("error"));
    assert_eq!(ask("untrusted-kamailio", Secured { vouch, root: &root, own: &foreign }), status("error"));
    assert_eq!(reached(&daemon, "vouch_sip_failed_handshakes_total", 2), 2);
    daemon.kill();
    assert_eq!(ask("nobody", Secured { vouch, root: &root, own: &own }), status("error"));
}
