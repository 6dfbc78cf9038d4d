use super::super::packet::Fragment;
use super::*;
use proptest::prelude::*;

fn piece<'a>(id: u32, offset: usize, more: bool, payload: &'a [u8]) -> Packet<'a> {
    let address = |last| IpAddr::from([192, 0, 2, last]);
    let fragment = Some(Fragment { offset, more });
    Packet { source: address(1), target: address(2), protocol: 17, id, fragment, cut: false, payload }
}

const NOW: Duration = Duration::from_secs(1000);

#[test]
fn overlapping_fragments_end_the_datagram_and_all_that_follows_of_it() {
    for (offset, length) in [(8, 16), (0, 24), (16, 8)] {
        let mut fragments = Fragments::new();
        assert_eq!(fragments.take(&piece(1, 0, true, &[1; 16]), NOW), None);
        assert_eq!(fragments.take(&piece(1, 24, false, &[4; 5]), NOW), None);
        let overlap = vec![2; length];
        let whole = fragments.take(&piece(1, offset, true, &overlap), NOW);
        let is_the_missing_one = offset == 16;
        assert_eq!(whole.is_some(), is_the_missing_one, "{offset} {length}");
        assert_eq!(fragments.take(&piece(1, 16, true, &[3; 8]), NOW), None, "nothing more is believed");
        assert_eq!(fragments.incomplete(), u64::from(!is_the_missing_one));
    }
}

#[test]
fn the_same_fragment_again_is_no_overlap_but_another_content_is() {
    let mut fragments = Fragments::new();
    fragments.take(&piece(1, 0, true, &[1; 16]), NOW);
    fragments.take(&piece(1, 0, true, &[1; 16]), NOW);
    assert_eq!(fragments.take(&piece(1, 16, false, &[2]), NOW).map(|whole| whole.len()), Some(17));
    fragments.take(&piece(2, 0, true, &[1; 16]), NOW);
    fragments.take(&piece(2, 0, true, &[9; 16]), NOW);
    assert_eq!(fragments.take(&piece(2, 16, false, &[2]), NOW), None);
}

#[test]
fn what_no_datagram_can_hold_is_refused() {
    let long = vec![0; 1480];
    for (offset, more, payload) in
        [(65_528, true, &long[..]), (0, true, &long[..7]), (8, false, &long[..4]), (64, true, &long[..8])]
    {
        let mut fragments = Fragments::new();
        fragments.take(&piece(1, 32, false, &long[..8]), NOW);
        assert_eq!(fragments.take(&piece(1, offset, more, payload), NOW), None);
        assert_eq!(fragments.incomplete(), 1, "{offset}");
    }
}

#[test]
fn what_waits_is_bounded_in_time_number_and_bytes() {
    let mut fragments = Fragments::new();
    let long = vec![0; 60_000];
    for id in 0..2000 {
        fragments.take(&piece(id, 0, true, if id % 3 == 0 { &long } else { &long[..8] }), NOW);
        assert!(fragments.waiting.len() <= MAX_DATAGRAMS && fragments.bytes <= MAX_BYTES);
        assert!(fragments.order.len() <= 4 * MAX_DATAGRAMS);
    }
    fragments.tick(NOW + PATIENCE + Duration::from_secs(1));
    assert_eq!((fragments.waiting.len(), fragments.bytes, fragments.incomplete()), (0, 0, 2000));
}

proptest! {
    #[test]
    fn fragments_in_any_order_with_copies_make_the_datagram(
        payload in prop::collection::vec(any::<u8>(), 1..4000),
        size in 1_usize..64,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..400),
    ) {
        let size = size * 8;
        let count = payload.len().div_ceil(size);
        prop_assume!(count > 1 && count <= MAX_PIECES);
        let mut fragments = Fragments::new();
        let mut whole = None;
        // Any order, copies among them; then all once, so that none is missing.
        let order: Vec<usize> = order.iter().map(|index| index.index(count)).chain(0..count).collect();
        for index in order {
            if whole.is_none() {
                let end = payload.len().min((index + 1) * size);
                whole = fragments.take(&piece(7, index * size, index + 1 < count, &payload[index * size..end]), NOW);
            }
        }
        prop_assert_eq!(whole, Some(payload));
        prop_assert_eq!(fragments.bytes, 0);
    }

    #[test]
    fn any_fragments_are_taken_and_stay_bounded(
        pieces in prop::collection::vec((0_u32..4, 0_usize..8192, any::<bool>(), 0_usize..2000, 0_u64..9), 0..200),
    ) {
        let (mut fragments, mut now, bytes) = (Fragments::new(), NOW, vec![5; 2000]);
        for (id, offset, more, length, pause) in pieces {
            now += Duration::from_secs(pause);
            fragments.take(&piece(id, offset * 8, more, &bytes[..length]), now);
            let held: usize = fragments.waiting.values().map(|partial| partial.payload.len()).sum();
            prop_assert_eq!(held, fragments.bytes);
            prop_assert!(fragments.waiting.len() <= MAX_DATAGRAMS);
        }
    }
}
