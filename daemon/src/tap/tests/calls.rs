//! Dialogs of others, as a tap follows them.

use super::*;

const ALICE: &str = "192.0.2.10:4000";
const RELAY: &str = "198.51.100.5:30000";
const A: (&str, &str) = ("a", "");
const AB: (&str, &str) = ("a", "b");
const BA: (&str, &str) = ("b", "a");

impl Heard {
    /// A message from the caller.
    fn up(&mut self, bytes: &[u8]) {
        self.udp(CALLER, PROXY, bytes);
    }

    /// A message to the caller.
    fn down(&mut self, bytes: &[u8]) {
        self.udp(PROXY, CALLER, bytes);
    }

    /// A call of this id between Alice and the relay, answered by `b`.
    fn call(&mut self, id: &str) {
        self.up(&request("INVITE", id, 1, A, &sdp(ALICE, "sendrecv")));
        self.down(&response(200, "INVITE", id, 1, AB, &sdp(RELAY, "sendrecv")));
        self.up(&request("ACK", id, 1, AB, ""));
        self.news();
    }
}

#[test]
fn a_call_is_followed_from_invite_to_bye() {
    let mut heard = Heard::new();
    heard.up(&request("INVITE", "c1", 1, A, &sdp(ALICE, "sendrecv")));
    assert_eq!(heard.news(), [format!("began from {CALLER}"), "media [0 PCMU] by the caller".to_owned()]);
    heard.udp(ALICE, RELAY, &rtp(1));
    assert_eq!(heard.news(), ["Caller 0 172"], "before the answer, by where it comes from");
    heard.down(&response(100, "INVITE", "c1", 1, A, ""));
    heard.down(&response(183, "INVITE", "c1", 1, AB, &sdp(RELAY, "sendrecv")));
    assert_eq!(heard.news(), ["media [0 PCMU]"]);
    heard.udp(RELAY, ALICE, &rtp(1));
    heard.udp("203.0.113.77:61000", RELAY, &rtp(2));
    assert_eq!(
        heard.news(),
        ["Callee 0 172", "Caller 0 172"],
        "early media, and a caller behind a translation"
    );
    heard.down(&response(200, "INVITE", "c1", 1, AB, ""));
    heard.up(&request("ACK", "c1", 1, AB, ""));
    assert_eq!(heard.news(), ["media [0 PCMU]"]);
    heard.udp(RELAY, "203.0.113.77:61000", &rtp(3));
    heard.udp("203.0.113.1:1", "203.0.113.2:2", &rtp(4));
    assert_eq!(heard.news(), ["Callee 0 172"], "the reply to the translated address, and nobody's packet");
    assert_eq!(heard.tap.counts().unmatched, 1);
    heard.down(&request("BYE", "c1", 1, BA, ""));
    assert_eq!(heard.news(), ["ended"]);
    heard.udp(ALICE, RELAY, &rtp(5));
    assert_eq!(heard.news(), [""; 0]);
}

#[test]
fn hold_resume_and_another_codec_are_followed() {
    let mut heard = Heard::new();
    heard.call("c1");
    let change = |heard: &mut Heard, by_caller: bool, number, offer: &str, answer: &str| {
        let (tags, bytes) = if by_caller { (AB, sdp(ALICE, offer)) } else { (BA, sdp(RELAY, offer)) };
        let answered = if by_caller { sdp(RELAY, answer) } else { sdp(ALICE, answer) };
        let (invite, ok) = (
            request("INVITE", "c1", number, tags, &bytes),
            response(200, "INVITE", "c1", number, tags, &answered),
        );
        if by_caller {
            heard.up(&invite);
            heard.down(&ok);
        } else {
            heard.down(&invite);
            heard.up(&ok);
        }
        heard.news()
    };
    assert_eq!(change(&mut heard, true, 2, "sendonly", "recvonly"), ["media [0 PCMU held]"]);
    assert_eq!(change(&mut heard, true, 3, "sendrecv", "sendrecv"), ["media [0 PCMU]"]);
    assert_eq!(change(&mut heard, false, 7, "sendonly", "recvonly"), ["media [0 PCMU held]"]);
    assert_eq!(change(&mut heard, false, 8, "sendrecv", "sendrecv"), ["media [0 PCMU]"]);
    heard.up(&request("UPDATE", "c1", 4, AB, &sdp("192.0.2.10:4800", "sendrecv").replace(" 0 8", " 8")));
    assert_eq!(heard.news(), [""; 0], "an offer changes nothing");
    heard.down(&response(200, "UPDATE", "c1", 4, AB, &sdp(RELAY, "sendrecv").replace(" 0 8", " 8")));
    assert_eq!(heard.news(), ["media [0 PCMA]"]);
    heard.udp(RELAY, ALICE, &rtp(1));
    heard.udp("192.0.2.10:4800", RELAY, &rtp(1));
    assert_eq!(
        heard.news(),
        ["Callee 0 172", "Caller 0 172"],
        "Alice has moved, her old address is the relay's word"
    );
    heard.up(&request("INVITE", "c1", 9, AB, &sdp(ALICE, "inactive")));
    heard.down(&response(488, "INVITE", "c1", 9, AB, ""));
    assert_eq!(heard.news(), [""; 0], "what is refused changes nothing");
}

#[test]
fn refusals_end_a_call_unless_they_ask_for_another_try() {
    let mut heard = Heard::new();
    heard.up(&request("INVITE", "c1", 1, A, &sdp(ALICE, "sendrecv")));
    heard.down(&response(407, "INVITE", "c1", 1, AB, ""));
    heard.up(&request("ACK", "c1", 1, AB, ""));
    heard.news();
    heard.up(&request("INVITE", "c1", 2, A, &sdp("192.0.2.10:4010", "sendrecv")));
    assert_eq!(heard.news(), ["media [0 PCMU] by the caller"]);
    heard.udp("192.0.2.10:4010", RELAY, &rtp(1));
    assert_eq!(heard.news(), ["Caller 0 172"]);
    heard.down(&response(486, "INVITE", "c1", 2, AB, ""));
    assert_eq!(heard.news(), ["ended"]);

    heard.up(&request("INVITE", "c2", 1, A, &sdp(ALICE, "sendrecv")));
    heard.up(&request("CANCEL", "c2", 1, A, ""));
    heard.news();
    heard.down(&response(487, "INVITE", "c2", 1, AB, ""));
    assert_eq!(heard.news(), ["ended"]);

    heard.up(&request("INVITE", "c3", 1, A, &sdp(ALICE, "sendrecv")));
    heard.down(&response(401, "INVITE", "c3", 1, AB, ""));
    heard.news();
    heard.wait(40);
    assert_eq!(heard.news(), ["ended"], "nobody tried again");
}

#[test]
fn of_a_forked_call_the_branch_that_answers_first_is_followed() {
    let mut heard = Heard::new();
    let (first, second) = ("198.51.100.8:6000", "198.51.100.9:7000");
    heard.up(&request("INVITE", "c1", 1, A, &sdp(ALICE, "sendrecv")));
    heard.down(&response(183, "INVITE", "c1", 1, ("a", "x"), &sdp(first, "sendrecv")));
    heard.down(&response(183, "INVITE", "c1", 1, ("a", "y"), &sdp(second, "sendrecv")));
    heard.news();
    heard.udp("203.0.113.7:1", first, &rtp(1));
    heard.udp("203.0.113.7:1", second, &rtp(2));
    assert_eq!(heard.news(), ["Caller 0 172", "Caller 0 172"], "early media to both branches");
    heard.down(&response(200, "INVITE", "c1", 1, ("a", "x"), ""));
    heard.down(&response(200, "INVITE", "c1", 1, ("a", "y"), &sdp(second, "sendrecv")));
    heard.up(&request("BYE", "c1", 2, ("a", "y"), ""));
    assert_eq!(heard.news(), ["media [0 PCMU]"], "the second branch is hung up, and the call goes on");
    heard.udp("203.0.113.7:1", first, &rtp(3));
    heard.udp("203.0.113.7:1", second, &rtp(4));
    assert_eq!(heard.news(), ["Caller 0 172"]);
    heard.up(&request("BYE", "c1", 3, ("a", "x"), ""));
    assert_eq!(heard.news(), ["ended"]);
}

#[test]
fn a_second_hop_of_a_call_changes_nothing() {
    let mut heard = Heard::new();
    let (pbx, outgoing) = ("203.0.113.30:5060", "198.51.100.5:30002");
    heard.up(&request("INVITE", "c1", 1, A, &sdp(ALICE, "sendrecv")));
    heard.news();
    // The proxy passes it on with a branch, and an address for media, of its own.
    let passed_on =
        |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("z9hG4bK", "z9hG4bKp").into_bytes();
    heard.udp(PROXY, pbx, &passed_on(request("INVITE", "c1", 1, A, &sdp(outgoing, "sendrecv"))));
    heard.udp(
        pbx,
        PROXY,
        &passed_on(response(200, "INVITE", "c1", 1, AB, &sdp("203.0.113.30:9000", "sendrecv"))),
    );
    assert_eq!(heard.news(), [""; 0]);
    heard.down(&response(200, "INVITE", "c1", 1, AB, &sdp(RELAY, "sendrecv")));
    assert_eq!(heard.news(), ["media [0 PCMU]"]);
    heard.udp(ALICE, RELAY, &rtp(1));
    heard.udp(outgoing, "203.0.113.30:9000", &rtp(1));
    assert_eq!(heard.news(), ["Caller 0 172"], "the relay's copy is not heard again");
    assert_eq!((heard.tap.counts().other_hops, heard.tap.counts().unmatched), (1, 0));
    heard.udp(PROXY, pbx, &passed_on(request("BYE", "c1", 2, AB, "")));
    assert_eq!(heard.news(), ["ended"], "and the end is the end on every hop");
    heard.up(&request("BYE", "c1", 2, AB, ""));
    assert_eq!(heard.tap.counts().unknown_calls, 0, "what ended is not unknown");
}

#[test]
fn two_legs_of_a_gateway_without_media_are_both_heard() {
    let mut heard = Heard::new();
    let (gateway, phone) = ("198.51.100.5:5080", "203.0.113.40:5060");
    heard.up(&request("INVITE", "leg1", 1, A, &sdp(ALICE, "sendrecv")));
    heard.udp(gateway, phone, &request("INVITE", "leg2", 1, ("g", ""), &sdp(ALICE, "sendrecv")));
    heard.udp(
        phone,
        gateway,
        &response(200, "INVITE", "leg2", 1, ("g", "p"), &sdp("203.0.113.40:8000", "sendrecv")),
    );
    heard.down(&response(200, "INVITE", "leg1", 1, AB, &sdp("203.0.113.40:8000", "sendrecv")));
    heard.news();
    heard.udp(ALICE, "203.0.113.40:8000", &rtp(1));
    assert_eq!(heard.news(), ["Caller 0 172", "Caller 0 172"]);
}

#[test]
fn a_port_that_is_used_again_belongs_to_the_new_call() {
    let mut heard = Heard::new();
    heard.call("lost-its-bye");
    heard.call("next");
    heard.udp(ALICE, RELAY, &rtp(1));
    assert_eq!(heard.news(), ["Caller 0 172"]);
    heard.wait(1801);
    assert_eq!(heard.news(), ["ended", "ended"], "silent calls are over some time");
}

#[test]
fn an_attended_transfer_ends_the_call_that_it_replaces() {
    let mut heard = Heard::new();
    heard.call("consultation");
    let invite = String::from_utf8(request(
        "INVITE",
        "transferred",
        1,
        ("c", ""),
        &sdp("192.0.2.77:4400", "sendrecv"),
    ));
    let replaces = "\r\nReplaces: consultation;to-tag=b;from-tag=a\r\nCSeq:";
    heard.udp("192.0.2.77:5060", PROXY, invite.unwrap().replacen("\r\nCSeq:", replaces, 1).as_bytes());
    assert_eq!(heard.news(), ["began from 192.0.2.77:5060", "media [0 PCMU] by the caller"]);
    heard.udp(
        PROXY,
        "192.0.2.77:5060",
        &response(200, "INVITE", "transferred", 1, ("c", "d"), &sdp(RELAY, "sendrecv")),
    );
    assert_eq!(heard.news(), ["media [0 PCMU]", "ended"]);
}

#[test]
fn an_offer_in_the_answer_is_answered_by_the_ack() {
    let mut heard = Heard::new();
    heard.up(&request("INVITE", "c1", 1, A, ""));
    heard.down(&response(200, "INVITE", "c1", 1, AB, &sdp(RELAY, "sendrecv")));
    heard.up(&request("ACK", "c1", 1, AB, &sdp(ALICE, "sendrecv")));
    assert_eq!(
        heard.news()[1..],
        ["media [] by the caller", "media [0 PCMU]", "media [0 PCMU] by the caller"]
    );
}

#[test]
fn a_private_address_is_looked_for_behind_the_translation() {
    let mut heard = Heard::new();
    heard.up(&request("INVITE", "c1", 1, A, &sdp("10.1.1.1:4000", "sendrecv")));
    heard.news();
    heard.udp(RELAY, "192.0.2.10:4000", &rtp(1));
    heard.udp("192.0.2.10:4000", RELAY, &rtp(1));
    assert_eq!(heard.news(), ["Callee 0 172", "Caller 0 172"]);
}

#[test]
fn lines_encrypted_under_unknown_keys_say_so() {
    let mut heard = Heard::new();
    let offer = sdp(ALICE, "sendrecv").replace("RTP/AVP", "UDP/TLS/RTP/SAVPF");
    heard.up(&request("INVITE", "c1", 1, A, &offer));
    assert_eq!(heard.news()[1], "media [0 PCMU encrypted] by the caller");
}

#[test]
fn no_more_calls_are_followed_than_there_is_room_for() {
    let mut heard = Heard::new();
    for number in 0..150 {
        heard.up(&request("INVITE", &format!("c{number}"), 1, A, &sdp(ALICE, "sendrecv")));
    }
    let began = heard.news().iter().filter(|said| said.starts_with("began")).count();
    assert_eq!((began, heard.tap.counts().refused), (100, 50));
    heard.up(&request("BYE", "never-seen", 2, AB, ""));
    assert_eq!(heard.tap.counts().unknown_calls, 1);
    heard.wait(2000);
    assert_eq!(heard.news().len(), 100);
}
