use super::*;
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(1000);

fn ends() -> (SocketAddr, SocketAddr) {
    ("192.0.2.1:40000".parse().unwrap(), "192.0.2.2:5060".parse().unwrap())
}

fn segment(sequence: u32, payload: &[u8]) -> Segment<'_> {
    let (source, target) = ends();
    Segment { source, target, sequence, acknowledged: None, begins: false, ends: false, payload }
}

fn acknowledgement<'a>(number: u32) -> Segment<'a> {
    let (target, source) = ends();
    Segment { source, target, acknowledged: Some(number), ..segment(1, &[]) }
}

fn message(number: usize, body: usize) -> String {
    let body = "x".repeat(body);
    format!("INFO sip:{number}@b SIP/2.0\r\nVia: SIP/2.0/TCP c\r\nl: {}\r\n\r\n{body}", body.len())
}

fn feed(streams: &mut Streams, segments: &[Segment<'_>]) -> Vec<String> {
    let mut messages = Vec::new();
    for segment in segments {
        streams
            .take(segment, NOW, &mut |message| messages.push(String::from_utf8(message.to_vec()).unwrap()));
    }
    messages
}

#[test]
fn a_stream_is_joined_at_the_next_message_when_its_start_was_not_seen() {
    let (mut streams, whole) = (Streams::new(), message(1, 30));
    assert!(
        feed(&mut streams, &[segment(50, b"the end of a body"), segment(67, b"GET / HTTP/1.1\r\n")])
            .is_empty()
    );
    assert_eq!(streams.streams.len(), 0, "other traffic costs nothing");
    assert_eq!(feed(&mut streams, &[segment(83, whole.as_bytes())]), [whole]);
}

#[test]
fn sequence_numbers_may_wrap() {
    let (mut streams, whole) = (Streams::new(), message(1, 100));
    let (first, second) = whole.as_bytes().split_at(40);
    let start = u32::MAX - 19;
    assert_eq!(
        feed(&mut streams, &[segment(start, first), segment(start.wrapping_add(40), second)]),
        [whole]
    );
}

#[test]
fn a_hole_that_the_other_side_does_not_have_is_a_loss_of_the_capture() {
    let (mut streams, messages) = (Streams::new(), [0, 1, 2, 3].map(|number| message(number, 10)));
    let length = messages[0].len() as u32;
    let at = |index: u32| segment(index * length, messages[index as usize].as_bytes());
    // The second message never came; the third waits, until the other side acknowledges both.
    assert_eq!(feed(&mut streams, &[at(0), at(2)]), messages[..1]);
    assert_eq!(feed(&mut streams, &[acknowledgement(length), at(3)]), [""; 0]);
    assert_eq!(streams.missed_bytes(), 0);
    assert_eq!(
        feed(&mut streams, &[acknowledgement(4 * length), segment(4 * length, b"\r\n")]),
        messages[2..]
    );
    assert_eq!(streams.missed_bytes(), u64::from(length));
}

#[test]
fn a_hole_in_front_of_too_much_is_given_up() {
    let (mut streams, messages) =
        (Streams::new(), (0..80).map(|number| message(number % 10, 10)).collect::<Vec<_>>());
    let length = messages[0].len() as u32;
    let segments: Vec<_> = (0..80)
        .filter(|index| *index != 1)
        .map(|index| segment(index * length, messages[index as usize].as_bytes()))
        .collect();
    let heard = feed(&mut streams, &segments);
    assert_eq!((heard.len(), streams.missed_bytes()), (79, u64::from(length)));
}

#[test]
fn behind_a_hole_no_rest_of_a_message_is_taken_for_the_next() {
    let (mut streams, messages) = (Streams::new(), [0, 1, 2, 3].map(|number| message(number, 10)));
    let length = messages[0].len() as u32;
    let of = |index: u32| messages[index as usize].as_bytes();
    let second_half = |index: u32| segment(index * length + 40, &of(index)[40..]);
    // The beginning of the second message never came; the rest of it waits, until the other side acknowledges it.
    assert_eq!(feed(&mut streams, &[segment(0, of(0)), second_half(1)]), messages[..1]);
    assert_eq!(feed(&mut streams, &[acknowledgement(2 * length)]), [""; 0]);
    // Nor does the rest of the third begin a message, or one come again that came before.
    assert_eq!(feed(&mut streams, &[second_half(2), segment(0, of(0))]), [""; 0]);
    assert_eq!(feed(&mut streams, &[segment(3 * length, of(3))]), messages[3..]);
}

#[test]
fn a_reset_or_a_new_connection_begins_anew() {
    let (mut streams, whole) = (Streams::new(), message(1, 30));
    let (first, second) = whole.as_bytes().split_at(50);
    let reset = Segment { ends: true, ..segment(50, &[]) };
    assert!(feed(&mut streams, &[segment(0, first), reset, segment(50, second)]).is_empty());
    let begin = Segment { begins: true, ..segment(900_000, &[]) };
    let again = [segment(0, first), begin, segment(900_001, whole.as_bytes())];
    assert_eq!(feed(&mut streams, &again), std::slice::from_ref(&whole));
    let far = u32::MAX / 2;
    assert_eq!(feed(&mut streams, &[segment(0, first), segment(far, whole.as_bytes())]), [whole]);
}

#[test]
fn streams_are_bounded_and_forgotten() {
    let mut streams = Streams::new();
    for port in 1..=u16::MAX {
        let source = SocketAddr::new(ends().0.ip(), port);
        streams.take(&Segment { source, ..segment(0, b"SIP/2.0 200 OK\r\n") }, NOW, &mut |_| {});
        assert!(streams.streams.len() <= MAX_STREAMS);
        if usize::from(port) > MAX_STREAMS + 10 {
            break;
        }
    }
    streams.tick(NOW + IDLE + Duration::from_secs(1));
    assert_eq!(streams.streams.len(), 0);
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let (mut streams, long) = (Streams::new(), vec![b'x'; 60_000]);
    for port in 1..1000 {
        let source = SocketAddr::new(ends().0.ip(), port);
        for (sequence, payload) in [(0, &b"SIP/2.0 200 OK\r\n"[..]), (100, &long[..]), (200_000, &long[..])] {
            streams.take(&Segment { source, ..segment(sequence, payload) }, NOW, &mut |_| {});
            assert!(streams.bytes <= MAX_BYTES);
        }
    }
    assert!(streams.bytes > MAX_BYTES / 2);
}

#[test]
fn what_cannot_be_cut_drops_the_stream() {
    let mut streams = Streams::new();
    feed(&mut streams, &[segment(0, b"INFO sip:a@b SIP/2.0\r\nl: -1\r\n\r\n")]);
    assert_eq!(streams.streams.len(), 0);
}

proptest! {
    #[test]
    fn segments_in_any_order_with_copies_and_overlaps_give_the_messages(
        bodies in prop::collection::vec(0_usize..300, 1..5),
        start: u32,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..120), 0..40),
        rotation in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let messages: Vec<String> = bodies.iter().enumerate().map(|(number, &body)| message(number, body)).collect();
        let stream = messages.concat().into_bytes();
        // Cover the stream with segments, some of which overlap, then shuffle all but the first, which is joined at.
        let mut parts: Vec<(usize, usize)> = (0..stream.len()).step_by(60).map(|at| (at, stream.len().min(at + 60))).collect();
        parts.extend(cuts.iter().map(|(at, length)| {
            let at = at.index(stream.len());
            (at, stream.len().min(at + length))
        }));
        for index in &rotation {
            let at = 1 + index.index(parts.len());
            if at < parts.len() {
                let part = parts.remove(at);
                parts.push(part);
            }
        }
        let segments: Vec<Segment<'_>> =
            parts.iter().map(|&(at, end)| segment(start.wrapping_add(at as u32), &stream[at..end])).collect();
        let mut streams = Streams::new();
        prop_assert_eq!(feed(&mut streams, &segments), messages);
        prop_assert_eq!(streams.missed_bytes(), 0);
    }

    #[test]
    fn any_segments_are_taken_and_stay_bounded(
        segments in prop::collection::vec((any::<u32>(), 0_u32..5000, any::<bool>(), prop::collection::vec(any::<u8>(), 0..100), 0_u8..12), 0..200),
    ) {
        let mut streams = Streams::new();
        for (far, near, is_near, bytes, kind) in segments {
            let sequence = if is_near { near } else { far };
            let payload = [if kind < 4 { &b"SIP/2.0 200 OK\r\n"[..] } else { &[] }, &bytes].concat();
            let mut piece = segment(sequence, &payload);
            piece.acknowledged = (kind == 5).then_some(sequence);
            piece.ends = kind == 6;
            if kind % 2 == 1 {
                std::mem::swap(&mut piece.source, &mut piece.target);
            }
            streams.take(&piece, NOW, &mut |_| {});
            prop_assert!(streams.streams.len() <= 2);
            prop_assert!(streams.streams.values().all(|stream| stream.waiting.len() <= MAX_WAITING));
            let held: usize = streams.streams.values_mut().map(Stream::held).sum();
            prop_assert_eq!(held, streams.bytes);
        }
    }
}
