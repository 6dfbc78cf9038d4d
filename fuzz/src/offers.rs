//! Offers and their answers, and which stream is the caller's.

use std::net::{IpAddr, Ipv4Addr};
use vouch::sip::offer_answer::{Answer, KeySeed, Leg, MediaPlan, Negotiation, SrtpRule, Told};
use vouch::sip::siprec::{CallerRule, choose_caller};
use vouch::wire::rs_metadata::Recording;
use vouch::wire::sdp::{Description, MAX_MEDIA};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Two descriptions and metadata, separated by zero bytes: the first is offered, then the second in the same dialog; the
/// second also answers an offer of ours.
pub fn offer_answer(data: &[u8]) {
    let mut parts = data.split(|&byte| byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    let (first, second) = (Description::parse(next()), Description::parse(next()));
    let recording = Recording::parse(next()).ok();
    for leg in [Leg::Plain, Leg::Siprec] {
        for rule in [SrtpRule::Accept, SrtpRule::Require, SrtpRule::Refuse] {
            let mut told = fresh();
            for offer in first.iter().chain(&second) {
                negotiate(offer, (leg, rule), &mut told, recording.as_ref());
            }
        }
    }
    for rule in [SrtpRule::Accept, SrtpRule::Require, SrtpRule::Refuse] {
        let mut told = fresh();
        let ours = told.offer(ADDRESS, 4000, rule);
        assert!(Description::parse(ours.as_bytes()).is_ok(), "an offer that cannot be read:\n{ours}");
        if let Ok(answer) = &second
            && let Ok(plans) = told.accept(answer, rule)
        {
            check_keys(&plans, rule);
        }
    }
}

fn fresh() -> Told {
    let Some(seed) = KeySeed::random() else { panic!("the system has no randomness") };
    Told::new(77, seed)
}

fn negotiate(
    offer: &Description,
    (leg, rule): (Leg, SrtpRule),
    told: &mut Told,
    recording: Option<&Recording>,
) {
    let Ok(negotiation) = Negotiation::new(offer, leg, rule) else { return };
    let accepted = negotiation.accepted();
    assert!(accepted.len() <= if leg == Leg::Plain { 1 } else { MAX_MEDIA });
    let ports: Vec<u16> = (0..accepted.len() as u16).map(|place| 4000 + 2 * place).collect();
    let Answer { sdp, plans } = negotiation.answer(ADDRESS, &ports, told);
    let again = negotiation.answer(ADDRESS, &ports, told);
    assert_eq!(sdp, again.sdp, "said again, an answer says something else");
    assert_eq!(plans.len(), accepted.len());
    check_keys(&plans, rule);
    check_lines(offer, &sdp, &plans, leg);
    for by in [CallerRule::Auto, CallerRule::Swapped, CallerRule::First, CallerRule::Second] {
        if let Ok(choice) = choose_caller(&by, &plans, recording, None) {
            assert!(
                plans.iter().any(|plan| plan.m_line == choice.m_line),
                "a caller on a line that is not there"
            );
        }
    }
}

/// Every line of the offer has its answer, in order, and nothing is answered that was not offered.
fn check_lines(offer: &Description, sdp: &str, plans: &[MediaPlan], leg: Leg) {
    let answer = match Description::parse(sdp.as_bytes()) {
        Ok(answer) => answer,
        Err(error) => panic!("an answer that cannot be read: {error}\n{sdp}"),
    };
    assert_eq!(answer.media.len(), offer.media.len(), "{sdp}");
    for (place, (asked, said)) in offer.media.iter().zip(&answer.media).enumerate() {
        let plan = plans.iter().find(|plan| plan.m_line == place);
        assert_eq!((said.port != 0, &said.kind), (plan.is_some(), &asked.kind), "{sdp}");
        // `08` is answered as `8`.
        let offered = |number: u8| asked.payloads.iter().any(|it| it.number == number);
        let known = |format: &String| asked.formats.contains(format) || format.parse().is_ok_and(offered);
        assert!(said.formats.iter().all(known), "{sdp}");
        if plan.is_some() && leg == Leg::Siprec {
            // rtpengine hangs up on an answer that drops a payload type.
            let kept = |number| said.payloads.iter().any(|it| it.number == number);
            assert!(asked.payloads.iter().all(|format| kept(format.number)), "{sdp}");
        }
    }
}

fn check_keys(plans: &[MediaPlan], rule: SrtpRule) {
    for plan in plans {
        assert!(
            rule != SrtpRule::Require || plan.crypto.is_some(),
            "clear media for a peer that must secure it"
        );
        assert!(rule != SrtpRule::Refuse || plan.crypto.is_none(), "secured media for a peer that must not");
    }
}
