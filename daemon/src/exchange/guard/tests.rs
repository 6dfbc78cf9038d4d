use super::*;
use crate::pii::Pii;
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;
use vouch_dsp::sizes::EMBEDDING;

/// The voice of a person: for each number another direction, and none like another.
fn voice(person: usize) -> Vec<Voice> {
    let mut values = [0; EMBEDDING];
    values[person] = i16::MAX;
    let embedding = Pii::new(Embedding(values));
    vec![Voice { embedding, band: Band::Narrow, net_speech_ms: 10_000, several: false }]
}

fn time(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

/// What the guard says of calls, each of a speaker and with the voice of a person.
fn said(guard: &mut Guard, calls: impl IntoIterator<Item = (usize, usize)>) -> Vec<GatewayWarning> {
    said_at(guard, 0, calls)
}

fn said_at(
    guard: &mut Guard,
    hours: i64,
    calls: impl IntoIterator<Item = (usize, usize)>,
) -> Vec<GatewayWarning> {
    let note = |(speaker, person): (usize, usize)| {
        let speaker = SpeakerId::new(&format!("{speaker}")).unwrap();
        let heard = Entry { speaker, voices: voice(person), at: time(hours), alike: 0 };
        guard.note(&Peer::default(), Source::Siprec, heard, Curves::shipped())
    };
    calls.into_iter().filter_map(note).collect()
}

#[test]
fn a_voice_that_calls_as_four_speakers_is_reported_once() {
    let mut guard = Guard::default();
    assert_eq!(said(&mut guard, (0..3).map(|speaker| (speaker, 7))), []);
    let [warning] = said(&mut guard, (3..20).map(|speaker| (speaker, 7))).try_into().unwrap();
    assert_eq!((warning.one_voice, warning.speakers, warning.standing), (4, 4, true));
    assert_eq!(warning.peer, "local");
    assert!(warning.remedy.contains("caller = \"swapped\""), "{}", warning.remedy);
    let [standing] = guard.warnings().try_into().unwrap();
    assert_eq!((standing.one_voice, standing.speakers), (20, 20), "its figures are those of now");
}

#[test]
fn callers_with_voices_of_their_own_are_fine_however_often_they_call() {
    let mut guard = Guard::default();
    assert_eq!(said(&mut guard, (0..100).cycle().take(1000).map(|speaker| (speaker, speaker))), []);
    assert_eq!(said(&mut guard, std::iter::repeat_n((101, 7), 50)), [], "one speaker, many calls");
}

#[test]
fn one_person_who_calls_as_several_among_many_is_no_swapped_binding() {
    let mut guard = Guard::default();
    assert_eq!(said(&mut guard, (0..12).map(|speaker| (speaker, speaker))), []);
    assert_eq!(said(&mut guard, (20..30).map(|speaker| (speaker, 30))), [], "10 of 22");
    assert_eq!(said(&mut guard, (30..32).map(|speaker| (speaker, 30))).len(), 1, "12 of 24");
}

#[test]
fn agents_are_found_also_where_there_are_many() {
    let mut guard = Guard::default();
    let told = said(&mut guard, (0..60).map(|call| (call, 100 + call * 7 % 15)));
    assert_eq!(told.len(), 1, "60 callers, 15 agents who take turns: {told:?}");
}

#[test]
fn the_warning_ends_when_callers_have_voices_of_their_own() {
    let mut guard = Guard::default();
    assert_eq!(said(&mut guard, (0..8).map(|speaker| (speaker, 50))).len(), 1);
    let told = said(&mut guard, (0..8).map(|speaker| (speaker, speaker)));
    assert_eq!(told.iter().map(|warning| warning.standing).collect::<Vec<_>>(), [false]);
    assert_eq!(guard.warnings(), []);
}

#[test]
fn gateways_and_their_ways_in_are_told_apart() {
    let mut guard = Guard::default();
    for (name, source, speaker) in [
        ("a", Source::Siprec, 0),
        ("b", Source::Siprec, 1),
        ("a", Source::MediaLeg, 2),
        ("b", Source::MediaLeg, 3),
        ("a", Source::Siprec, 4),
    ] {
        let peer = Peer { name: name.to_owned(), ..Peer::default() };
        let speaker = SpeakerId::new(&format!("{speaker}")).unwrap();
        let heard = Entry { speaker, voices: voice(7), at: time(0), alike: 0 };
        assert_eq!(guard.note(&peer, source, heard, Curves::shipped()), None);
    }
}

#[test]
fn voices_are_kept_for_a_day_and_no_longer_than_their_speakers() {
    let mut guard = Guard::default();
    assert_eq!(said_at(&mut guard, 0, (0..3).map(|speaker| (speaker, 7))), []);
    assert_eq!(said_at(&mut guard, 25, [(3, 7)]), [], "the others were forgotten");
    assert_eq!(said_at(&mut guard, 26, (4..6).map(|speaker| (speaker, 7))), []);
    guard.forget(&SpeakerId::new("5").unwrap());
    assert_eq!(said_at(&mut guard, 26, [(6, 7)]), [], "one of four was deleted");
    guard.forget_old(time(60));
    assert!(guard.0.values().all(|gateway| gateway.voices.figures().speakers == 0));
}

#[test]
fn what_is_kept_stays_bounded() {
    let mut guard = Guard::default();
    said(&mut guard, (0..10 * SPEAKERS).map(|speaker| (speaker, speaker % EMBEDDING)));
    let figures = guard.0.values().map(|gateway| gateway.voices.figures().speakers);
    assert_eq!(figures.collect::<Vec<_>>(), [SPEAKERS as u32]);
}

#[test]
fn the_remedy_is_the_other_stream() {
    for (rule, setting) in [
        ("auto", "\"swapped\""),
        ("swapped", "\"auto\""),
        ("first", "\"second\""),
        ("second", "\"first\""),
        ("label:2", "the label of the other stream"),
    ] {
        let peer = Peer { caller: rule.parse().unwrap(), ..Peer::default() };
        assert!(remedy(&peer, Source::Siprec).contains(setting), "{rule}");
    }
    assert!(remedy(&Peer::default(), Source::MediaLeg).contains("send the caller's audio"));
}
