//! What two descriptions, offered and answered by others, say of the media between them.

use crate::engine::codec::{Payload, PayloadMap};
use crate::sip::offer_answer::MediaPlan;
use crate::wire::sdp::{Crypto, Description, Direction, Media, Transport};

/// Most lines of a call that are followed: as many streams as the engine has for a call.
pub(super) const MAX_LINES: usize = 4;

/// A line of audio of a tapped call, as the caller's side sends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TappedLine {
    /// What is agreed; `sending` says whether the caller's side sends and is heard.
    pub plan: MediaPlan,
    /// Whether it is encrypted under a key that is not known.
    pub encrypted: bool,
    /// The caller's side's line, with its keys where it gives any.
    pub offered: Option<Media>,
    /// The other side's.
    pub answered: Option<Media>,
}

/// The lines of audio that are in use. `held_by_sending` says that the caller's side sends something other than the
/// caller when it does no longer want to hear: a recording on hold, as the answer to a later offer.
pub(super) fn lines(
    offered: Option<&Description>,
    answered: Option<&Description>,
    held_by_sending: bool,
) -> Vec<TappedLine> {
    let line = |description: Option<&Description>, number: usize| description?.media.get(number).cloned();
    let count = [offered, answered].iter().flatten().map(|it| it.media.len()).max().unwrap_or(0);
    let lines = (0..count).filter_map(|number| {
        let (offered, answered) = (line(offered, number), line(answered, number));
        let in_use = [&offered, &answered].into_iter().flatten().all(Media::is_active_audio);
        (in_use && (offered.is_some() || answered.is_some()))
            .then(|| tapped_line(number, offered, answered, held_by_sending))
            .flatten()
    });
    lines.take(MAX_LINES).collect()
}

fn tapped_line(
    number: usize,
    offered: Option<Media>,
    answered: Option<Media>,
    held_by_sending: bool,
) -> Option<TappedLine> {
    let theirs = offered.as_ref().or(answered.as_ref())?;
    let mut plan = MediaPlan::of(theirs, number, 0, key(offered.as_ref(), answered.as_ref()));
    if let Some(answered) = &answered {
        // Whoever sends uses the numbers that the receiver gave; those of the sender explain what is left.
        let agreed = MediaPlan::of(answered, number, 0, None);
        plan.payloads = merged(agreed.payloads, &plan.payloads);
        (plan.codec, plan.foreign) = (agreed.codec, agreed.foreign);
    }
    let sends = offered.as_ref().is_none_or(|media| match media.direction {
        Direction::SendRecv => true,
        Direction::SendOnly => !held_by_sending,
        Direction::RecvOnly | Direction::Inactive => false,
    });
    let received = |media: &Media| matches!(media.direction, Direction::SendRecv | Direction::RecvOnly);
    plan.sending = sends && answered.as_ref().is_none_or(received);
    let srtp = |media: &Media| media.transport() == Transport::Srtp;
    let has_keys = |media: &Option<Media>| media.as_ref().is_some_and(|media| !media.crypto.is_empty());
    let is_srtp =
        answered.as_ref().or(offered.as_ref()).is_some_and(srtp) || has_keys(&offered) && has_keys(&answered);
    let encrypted = is_srtp && plan.crypto.is_none();
    if !is_srtp {
        plan.crypto = None;
    }
    Some(TappedLine { plan, encrypted, offered, answered })
}

/// The key that the caller's side sends under (RFC 4568): its own line, of the tag that the other side took.
fn key<'a>(offered: Option<&'a Media>, answered: Option<&Media>) -> Option<&'a Crypto> {
    let mut ours = offered?.crypto.iter().flatten();
    match answered {
        // Nobody has answered yet; most take the first.
        None => ours.next(),
        Some(answered) => {
            let taken = answered.crypto.iter().flatten().next()?.tag;
            ours.find(|crypto| crypto.tag == taken)
        }
    }
}

/// `first`, and where it knows nothing `second`.
fn merged(mut first: PayloadMap, second: &PayloadMap) -> PayloadMap {
    for number in 0..128 {
        if first.get(number) == Payload::Unknown {
            first.set(number, second.get(number));
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(lines: &str) -> Description {
        Description::parse(format!("v=0\r\nc=IN IP4 192.0.2.1\r\n{lines}").as_bytes()).unwrap()
    }

    fn sending(offer: &str, answer: &str, held_by_sending: bool) -> bool {
        let audio = |direction: &str| description(&format!("m=audio 4000 RTP/AVP 0\r\na={direction}\r\n"));
        lines(Some(&audio(offer)), Some(&audio(answer)), held_by_sending)[0].plan.sending
    }

    #[test]
    fn the_caller_is_heard_while_both_sides_want_it() {
        assert!(sending("sendrecv", "sendrecv", true) && sending("sendonly", "recvonly", false));
        assert!(!sending("sendonly", "recvonly", true), "the music of the caller's hold");
        assert!(!sending("sendrecv", "sendonly", false), "the other side has put the caller on hold");
        assert!(!sending("inactive", "inactive", false) && !sending("recvonly", "sendonly", false));
    }

    #[test]
    fn the_receivers_numbers_say_what_is_sent() {
        let offer =
            description("m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 PCMA/8000\r\na=rtpmap:97 PCMU/8000\r\n");
        let answer = description("m=audio 5000 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000\r\n");
        let line = &lines(Some(&offer), Some(&answer), false)[0];
        let codec = |number| match line.plan.payloads.get(number) {
            Payload::Audio(codec) => codec.name(),
            _ => "none",
        };
        assert_eq!((codec(96), codec(97), codec(0)), ("PCMU", "PCMU", "PCMU"));
        assert_eq!(line.plan.codec.map(|codec| codec.name()), Some("PCMU"));
    }

    #[test]
    fn lines_without_audio_and_refused_ones_are_left_out() {
        let offer =
            description("m=video 4002 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4004 RTP/AVP 0\r\n");
        let answer = description("m=video 0 RTP/AVP 96\r\nm=audio 0 RTP/AVP 0\r\nm=audio 5004 RTP/AVP 0\r\n");
        let numbers = |lines: Vec<TappedLine>| lines.iter().map(|line| line.plan.m_line).collect::<Vec<_>>();
        assert_eq!(numbers(lines(Some(&offer), None, false)), [1, 2]);
        assert_eq!(numbers(lines(Some(&offer), Some(&answer), false)), [2]);
        assert_eq!(numbers(lines(None, Some(&answer), false)), [2]);
        assert!(lines(None, None, false).is_empty());
    }

    #[test]
    fn the_caller_sends_under_its_key_of_the_tag_that_was_taken() {
        let key = |tag: u32, letter: &str| {
            format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{}\r\n", letter.repeat(40))
        };
        let line = |transport: &str, keys: &str| format!("m=audio 4000 {transport} 0\r\n{keys}");
        let of = |offer: &str, answer: &str| {
            let line = lines(Some(&description(offer)), Some(&description(answer)), false).remove(0);
            (line.encrypted, line.plan.crypto.map(|crypto| crypto.tag))
        };
        let both = key(1, "A") + &key(2, "B");
        let (offer, saved) = (line("RTP/SAVP", &both), |keys: &str| line("RTP/SAVP", keys));
        assert_eq!(of(&offer, &saved(&key(2, "C"))), (false, Some(2)));
        assert_eq!(of(&offer, &saved("")), (true, None), "no key that could be known");
        assert_eq!(of(&saved(&key(1, "A")), &saved(&key(7, "C"))), (true, None));
        let clear = |keys: &str| line("RTP/AVP", keys);
        assert_eq!(of(&clear(&both), &clear("")), (false, None), "offered and not taken");
        assert_eq!(of(&clear(&both), &clear(&key(1, "C"))), (false, Some(1)));
        let early = &lines(Some(&description(&offer)), None, false)[0];
        assert_eq!(early.plan.crypto.as_ref().map(|crypto| crypto.tag), Some(1));
    }
}
