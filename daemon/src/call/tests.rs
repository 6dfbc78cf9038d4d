use super::*;
use std::sync::Arc;
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;
use vouch_dsp::score::Curves;
use vouch_dsp::sizes::EMBEDDING;

fn policy() -> Policy {
    Policy {
        yardstick: Yardstick { threshold: 90.0, curves: Curves::shipped() },
        verification_frames: 1000,
        enrollment_frames: 3000,
        consent_required: false,
        model_version: 1,
    }
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn voice() -> Voice {
    let mut values = [0; EMBEDDING];
    values[0] = i16::MAX;
    Voice {
        embedding: Pii::new(Embedding(values)),
        band: Band::Narrow,
        net_speech_ms: 10_000,
        several: false,
    }
}

fn voiceprint(model_version: u32) -> Standing {
    Standing::Enrolled(Arc::new(Voiceprint { version: 3, model_version, voices: vec![voice()] }))
}

fn heard(frames: u64) -> Heard {
    Heard { frames, packets: 10 + frames, ..Heard::default() }
}

fn speaker(id: &str) -> SpeakerId {
    SpeakerId::new(id).expect("a valid id")
}

fn claimed(standing: Standing) -> Call {
    let mut call = Call::new(policy(), None, Some((speaker("1001"), standing)));
    call.take_effects();
    call
}

fn jobs(call: &mut Call) -> Vec<(u64, u64, u64)> {
    let job = |effect| match effect {
        Effect::Embed { tag, first, frames, .. } => Some((tag, first, frames)),
        _ => None,
    };
    call.take_effects().into_iter().filter_map(job).collect()
}

#[test]
fn packets_under_another_key_are_the_reason_where_most_are() {
    for (packets, unauthentic, expected) in
        [(0, 40, Reason::SrtpKey), (39, 40, Reason::SrtpKey), (40, 40, Reason::TooLittleSpeech)]
    {
        let mut call = claimed(voiceprint(1));
        call.progressed(Heard { packets, unauthentic, ..Heard::default() }, now());
        call.end(now());
        assert_eq!(call.status(), Status::Inconclusive);
        assert_eq!(call.verification().judgement().reasons, [expected], "{packets} {unauthentic}");
    }
}

#[test]
fn a_caller_nobody_named_is_not_enrolled() {
    let call = Call::new(policy(), None, None);
    assert_eq!(call.status(), Status::NotEnrolled);
    assert_eq!(call.verification().judgement().reasons, [Reason::NoSpeakerId]);
}

#[test]
fn ten_seconds_of_speech_ask_for_one_embedding() {
    let mut call = claimed(voiceprint(1));
    assert_eq!(call.status(), Status::Pending);
    call.progressed(heard(999), now());
    assert_eq!(jobs(&mut call), []);
    call.progressed(heard(1003), now());
    assert_eq!(jobs(&mut call), [(1, 0, 1000)]);
    call.progressed(heard(1100), now());
    assert_eq!(jobs(&mut call), []);
    call.embedded(1, vec![voice()], now());
    assert!(call.status().is_final());
    assert_eq!(call.collected(), 1000);
}

#[test]
fn an_engine_fault_is_an_error_never_an_answer() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(1000), now());
    call.embedded(1, vec![], now());
    assert_eq!(call.status(), Status::Error);
    assert_eq!(call.verification().judgement().reasons, [Reason::EngineFault]);
}

#[test]
fn a_failed_ear_is_an_error_at_once() {
    let mut call = claimed(voiceprint(1));
    call.enroll(None, now()).unwrap();
    call.progressed(heard(1000), now());
    let tag = jobs(&mut call)[0].0;
    call.failed(now());
    assert_eq!(call.status(), Status::Error);
    assert!(matches!(call.enrollment().step(), EnrollmentStep::Failed { .. }));
    call.embedded(tag, vec![voice()], now());
    assert_eq!(call.status(), Status::Error, "an embedding from before the fault changes nothing");
}

#[test]
fn hanging_up_early_is_inconclusive_with_the_reason() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(400), now());
    call.end(now());
    assert_eq!(call.status(), Status::Inconclusive);
    assert_eq!(call.verification().judgement().reasons[0], Reason::TooLittleSpeech);
    let mut silent = claimed(voiceprint(1));
    silent.end(now());
    assert_eq!(silent.verification().judgement().reasons, [Reason::NoAudio]);
}

#[test]
fn an_embedding_under_way_at_the_end_still_answers() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(1000), now());
    call.end(now());
    assert!(!call.is_settled());
    assert_eq!(call.status(), Status::Pending);
    call.embedded(1, vec![voice()], now());
    assert!(call.is_settled() && call.status().is_final());
}

#[test]
fn another_models_voiceprint_is_not_compared() {
    let mut call = claimed(voiceprint(2));
    call.progressed(heard(5000), now());
    assert_eq!(jobs(&mut call), []);
    assert_eq!(call.status(), Status::Inconclusive);
    assert_eq!(call.verification().judgement().reasons, [Reason::ModelMismatch]);
}

#[test]
fn a_mixed_stream_is_never_judged() {
    let mut call = Call::new(policy(), Some(Reason::MixedStream), None);
    call.claim(speaker("1001"), voiceprint(1), now());
    call.progressed(heard(5000), now());
    assert_eq!(call.verification().judgement().reasons, [Reason::MixedStream]);
    assert!(matches!(call.enroll(None, now()), Err(AskError::Conflict(_))));
}

#[test]
fn an_opted_out_caller_is_never_heard() {
    let mut call = Call::new(policy(), None, Some((speaker("1001"), Standing::OptedOut)));
    let effects = call.take_effects();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Analyse(false))), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Analyse(true))), "{effects:?}");
}

#[test]
fn an_opt_out_stops_analysis_and_gives_up_an_enrollment() {
    let mut call = claimed(Standing::NotEnrolled);
    call.enroll(None, now()).unwrap();
    call.take_effects();
    call.set_standing(Standing::OptedOut, now());
    assert!(call.take_effects().iter().any(|effect| matches!(effect, Effect::Analyse(false))));
    assert_eq!(call.status(), Status::OptedOut);
    assert!(matches!(call.enrollment().step(), EnrollmentStep::Failed { .. }));
    assert_eq!(call.enroll(None, now()), Err(AskError::OptedOut));
}

#[test]
fn a_record_that_cannot_be_read_may_be_an_opt_out_so_nothing_is_analysed() {
    let mut call = Call::new(policy(), None, Some((speaker("1001"), Standing::Unreadable)));
    assert!(matches!(call.take_effects()[0], Effect::Analyse(false)));
    assert_eq!(call.status(), Status::Error);
    assert!(matches!(call.enroll(None, now()), Err(AskError::Conflict(_))));
    call.set_standing(Standing::NotEnrolled, now());
    assert!(call.take_effects().iter().any(|effect| matches!(effect, Effect::Analyse(true))));
    call.enroll(None, now()).unwrap();
    call.set_standing(Standing::Unreadable, now());
    assert!(call.take_effects().iter().any(|effect| matches!(effect, Effect::Analyse(false))));
    assert!(matches!(call.enrollment().step(), EnrollmentStep::Failed { .. }));
}

#[test]
fn a_voiceprint_stored_after_an_opt_out_changes_nothing() {
    let mut call = claimed(Standing::NotEnrolled);
    call.enroll(None, now()).unwrap();
    call.progressed(heard(3000), now());
    let tag = jobs(&mut call)[0].0;
    call.embedded(tag, vec![voice()], now());
    call.set_standing(Standing::OptedOut, now());
    let Standing::Enrolled(stored) = voiceprint(1) else { unreachable!("made above") };
    call.stored(Ok(stored), now());
    assert_eq!(call.status(), Status::OptedOut);
    call.evaluate(true, now());
    assert_eq!(call.status(), Status::OptedOut);
}

#[test]
fn enrollment_uses_the_newest_thirty_seconds_and_waits_for_them() {
    let mut call = claimed(Standing::NotEnrolled);
    call.progressed(heard(2000), now());
    call.enroll(Some(Pii::new("ticket 7".to_owned())), now()).unwrap();
    assert_eq!(jobs(&mut call), []);
    call.progressed(heard(3010), now());
    assert_eq!(jobs(&mut call), [(1, 10, 3000)]);
    call.embedded(1, vec![voice()], now());
    let stored = call.take_effects().into_iter().find_map(|effect| match effect {
        Effect::Store(new) => Some(new),
        _ => None,
    });
    let new = stored.expect("the voiceprint is to be stored");
    assert_eq!(new.consent, Some(Pii::new("ticket 7".to_owned())));
    call.stored(Err("disk full".to_owned()), now());
    assert_eq!(call.enrollment().step(), &EnrollmentStep::Failed { problem: "disk full".to_owned() });
}

#[test]
fn speech_of_several_people_makes_no_voiceprint() {
    let mut call = claimed(Standing::NotEnrolled);
    call.progressed(heard(3000), now());
    call.enroll(None, now()).unwrap();
    assert_eq!(jobs(&mut call), [(1, 0, 3000)]);
    call.embedded(1, vec![Voice { several: true, ..voice() }], now());
    assert!(call.take_effects().iter().all(|effect| !matches!(effect, Effect::Store(_))));
    let problem = SEVERAL_VOICES.to_owned();
    assert_eq!(call.enrollment().step(), &EnrollmentStep::Failed { problem });
    call.progressed(heard(3001), now());
    call.enroll(None, now()).unwrap();
    assert_eq!(jobs(&mut call), [(2, 1, 3000)]);
}

#[test]
fn enrolled_speech_never_vouches_for_itself() {
    let mut call = claimed(Standing::NotEnrolled);
    call.enroll(None, now()).unwrap();
    call.progressed(heard(3000), now());
    call.embedded(1, vec![voice()], now());
    let Standing::Enrolled(stored) = voiceprint(1) else { unreachable!("made above") };
    call.stored(Ok(stored), now());
    assert_eq!(call.status(), Status::NotEnrolled);
    call.evaluate(false, now());
    assert_eq!(call.status(), Status::Pending);
    call.take_effects();
    call.progressed(heard(3999), now());
    assert_eq!(jobs(&mut call), []);
    call.progressed(heard(4000), now());
    assert_eq!(jobs(&mut call), [(2, 3000, 1000)]);
}

#[test]
fn the_same_result_number_is_the_same_result() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(1000), now());
    call.embedded(1, vec![voice()], now());
    let first = call.verification().number();
    assert_eq!(first, 1);
    call.claim(speaker("1001"), voiceprint(1), now());
    call.evaluate(false, now());
    assert_eq!(call.verification().number(), first);
    call.evaluate(true, now());
    assert_eq!((call.verification().number(), call.status()), (first + 1, Status::Pending));
    call.claim(speaker("1002"), voiceprint(1), now());
    assert_eq!(call.verification().number(), first + 2);
}

#[test]
fn a_claim_made_late_is_answered_from_the_speech_at_hand() {
    let mut call = Call::new(policy(), None, None);
    call.progressed(heard(2500), now());
    call.take_effects();
    call.claim(speaker("1001"), voiceprint(1), now());
    assert_eq!(jobs(&mut call), [(1, 1500, 1000)]);
}

#[test]
fn a_stale_embedding_is_ignored() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(1000), now());
    call.evaluate(true, now());
    call.embedded(1, vec![voice()], now());
    assert_eq!(call.status(), Status::Pending);
}

#[test]
fn enrollment_needs_a_claim_and_consent_where_required() {
    let mut call = Call::new(Policy { consent_required: true, ..policy() }, None, None);
    assert_eq!(call.enroll(None, now()), Err(AskError::NoSpeakerId));
    call.claim(speaker("1001"), Standing::NotEnrolled, now());
    assert_eq!(call.enroll(None, now()), Err(AskError::ConsentRequired));
    assert_eq!(call.enroll(Some(Pii::new("form 12".to_owned())), now()), Ok(()));
}

/// Brings a call to where its voiceprint is on its way to the disk.
fn storing(call: &mut Call) {
    call.enroll(None, now()).unwrap();
    call.progressed(heard(3000), now());
    let embed = |effect: &Effect| matches!(effect, Effect::Embed { enrollment: true, .. });
    let effects = call.take_effects();
    let Some(Effect::Embed { tag, .. }) = effects.iter().find(|effect| embed(effect)) else {
        panic!("{effects:?}")
    };
    call.embedded(*tag, vec![voice()], now());
    assert_eq!(*call.enrollment().step(), EnrollmentStep::Storing);
    call.take_effects();
}

fn stored() -> Arc<Voiceprint> {
    Arc::new(Voiceprint { version: 9, model_version: 1, voices: vec![voice()] })
}

#[test]
fn a_claim_made_while_a_voiceprint_is_stored_is_not_held_against_it() {
    let mut call = claimed(Standing::NotEnrolled);
    storing(&mut call);
    call.claim(speaker("1002"), Standing::NotEnrolled, now());
    call.stored(Ok(stored()), now());
    assert_eq!(*call.enrollment().step(), EnrollmentStep::Complete { version: 9 });
    call.evaluate(true, now());
    call.progressed(heard(9000), now());
    assert_eq!((call.status(), jobs(&mut call)), (Status::NotEnrolled, vec![]));
}

#[test]
fn a_verification_under_way_starts_over_when_its_speech_becomes_the_voiceprint() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(1000), now());
    let tag = jobs(&mut call)[0].0;
    storing(&mut call);
    call.stored(Ok(stored()), now());
    call.embedded(tag, vec![voice()], now());
    assert_eq!(call.status(), Status::Pending, "the same speech vouches for itself");
    call.progressed(heard(3999), now());
    assert_eq!(jobs(&mut call), []);
    call.progressed(heard(4000), now());
    assert_eq!(jobs(&mut call)[0].1, 3000);
}

#[test]
fn another_stream_is_counted_from_its_own_beginning() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(900), now());
    call.evaluate(true, now());
    call.enroll(None, now()).unwrap();
    call.progressed(heard(20), now());
    assert_eq!((call.collected(), call.enrollment().collected(20)), (20, 20));
    call.take_effects();
    call.progressed(heard(1000), now());
    assert_eq!(jobs(&mut call)[0].1, 0);
}

#[test]
fn a_change_of_the_store_after_the_end_leaves_no_call_pending() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(1000), now());
    call.end(now());
    assert!(!call.is_settled());
    call.set_standing(Standing::NotEnrolled, now());
    call.set_standing(Standing::Enrolled(stored()), now());
    let tag = jobs(&mut call).last().unwrap().0;
    call.embedded(tag, vec![voice()], now());
    assert!(call.is_settled() && call.status().is_final());
    let mut silent = claimed(Standing::NotEnrolled);
    silent.end(now());
    silent.set_standing(voiceprint(1), now());
    assert_eq!(silent.status(), Status::Inconclusive);
}

#[test]
fn an_opt_out_that_cannot_be_read_any_more_is_still_obeyed() {
    let mut call = claimed(Standing::OptedOut);
    call.set_standing(Standing::Unreadable, now());
    let analysed = |effect: &Effect| matches!(effect, Effect::Analyse(true));
    assert!(!call.take_effects().iter().any(analysed));
    call.set_standing(Standing::NotEnrolled, now());
    assert!(call.take_effects().iter().any(analysed), "opted in again");
}

#[test]
fn somebody_else_who_calls_has_nothing_of_the_one_before() {
    let mut call = claimed(voiceprint(1));
    call.progressed(heard(1000), now());
    call.embedded(1, vec![voice()], now());
    assert_eq!(call.status(), Status::Authenticated);
    let first = call.verification().number();

    call.replace_caller(Some((speaker("1002"), voiceprint(1))), now());
    assert_eq!((call.status(), call.verification().number()), (Status::Pending, first + 1));
    assert_eq!((call.speaker(), call.collected()), (Some(&speaker("1002")), 0));
    let analysed: Vec<bool> = call
        .take_effects()
        .into_iter()
        .filter_map(|effect| if let Effect::Analyse(analysed) = effect { Some(analysed) } else { None })
        .collect();
    assert_eq!(analysed, [false, true], "what was heard is forgotten first");
    call.progressed(heard(999), now());
    assert_eq!(jobs(&mut call), [], "the speech of the one before does not count");
    call.progressed(heard(1000), now());
    assert_eq!(jobs(&mut call), [(2, 0, 1000)]);

    call.replace_caller(None, now());
    call.embedded(2, vec![voice()], now());
    assert_eq!((call.status(), call.speaker()), (Status::NotEnrolled, None));
    call.take_effects();
    call.replace_caller(Some((speaker("1003"), Standing::OptedOut)), now());
    assert_eq!(call.status(), Status::OptedOut);
    assert!(!call.take_effects().into_iter().any(|effect| matches!(effect, Effect::Analyse(true))));
}

#[test]
fn a_new_caller_whose_record_cannot_be_read_is_not_analysed() {
    let mut call = claimed(voiceprint(1));
    call.replace_caller(Some((speaker("1002"), Standing::Unreadable)), now());
    assert!(!call.is_analysed());
    let analysed = |effect: &Effect| matches!(effect, Effect::Analyse(true));
    assert!(!call.take_effects().iter().any(analysed));
    assert_eq!(call.status(), Status::Error);
}

#[test]
fn an_enrollment_ends_with_its_caller() {
    let mut call = claimed(Standing::NotEnrolled);
    call.progressed(heard(2000), now());
    call.enroll(None, now()).unwrap();
    call.replace_caller(Some((speaker("1002"), Standing::NotEnrolled)), now());
    assert!(matches!(call.enrollment().step(), EnrollmentStep::Failed { .. }));
    call.progressed(heard(3000), now());
    assert_eq!(jobs(&mut call), [], "nothing of it goes into a voiceprint");
}

#[test]
fn a_suspected_stream_is_remarked_on_and_changes_no_answer() {
    let mut call = claimed(voiceprint(1));
    call.suspect(true);
    call.progressed(heard(1000), now());
    call.embedded(1, vec![voice()], now());
    let judgement = call.verification().judgement();
    assert_eq!(
        (judgement.status, &judgement.reasons[..]),
        (Status::Authenticated, &[Reason::SwappedStreams][..])
    );
}
