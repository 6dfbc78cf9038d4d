//! Jitter buffer against orders, losses and sources that real lines show.

use super::*;
use proptest::prelude::*;

/// What a run of the buffer let go of: (lost before, new source, timestamp).
type Out = Vec<(u32, bool, u32)>;

struct Bench {
    buffer: JitterBuffer,
    now: Instant,
    out: Out,
}

impl Bench {
    fn new() -> Self {
        Self { buffer: JitterBuffer::new(), now: Instant::now(), out: Vec::new() }
    }

    /// A packet whose timestamp and payload carry its number, so that what comes out names what went in.
    fn push(&mut self, ssrc: u32, number: u32) {
        let payload = number.to_be_bytes();
        let packet = RtpPacket {
            ssrc,
            sequence: number as u16,
            timestamp: number,
            payload_type: 0,
            marker: false,
            payload: &payload,
        };
        let out = &mut self.out;
        self.buffer.push(&packet, self.now, &mut |packet| {
            assert_eq!(packet.payload, packet.timestamp.to_be_bytes());
            out.push((packet.lost_before, packet.new_source, packet.timestamp));
        });
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let out = &mut self.out;
        self.buffer.tick(self.now, &mut |packet| {
            out.push((packet.lost_before, packet.new_source, packet.timestamp));
        });
    }

    fn numbers(&self) -> Vec<u32> {
        self.out.iter().map(|packet| packet.2).collect()
    }
}

/// Result of pushing `order` and then waiting long enough.
fn run(order: impl IntoIterator<Item = u32>) -> (Out, JitterCounts) {
    let mut bench = Bench::new();
    for number in order {
        bench.push(1, number);
    }
    bench.pass(PATIENCE);
    (bench.out, bench.buffer.counts())
}

#[test]
fn packets_in_sequence_leave_at_once_when_the_start_has_settled() {
    let mut bench = Bench::new();
    bench.push(1, 7);
    assert!(bench.out.is_empty() && bench.buffer.is_waiting());
    bench.pass(PATIENCE);
    assert_eq!(bench.out, [(0, true, 7)]);
    bench.push(1, 8);
    assert_eq!(bench.out[1..], [(0, false, 8)]);
    assert!(!bench.buffer.is_waiting());
}

#[test]
fn a_missing_packet_is_given_up_by_number_and_by_time() {
    let (out, counts) = run((0..10).chain(11..60));
    assert_eq!(out[10], (1, false, 11));
    assert_eq!((out.len(), counts.lost), (59, 1));

    let mut bench = Bench::new();
    bench.push(1, 0);
    bench.pass(PATIENCE);
    bench.push(1, 2);
    bench.pass(PATIENCE - Duration::from_millis(1));
    assert_eq!(bench.numbers(), [0]);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.out[1..], [(1, false, 2)]);
    bench.push(1, 1);
    bench.push(1, 2);
    let counts = bench.buffer.counts();
    assert_eq!((counts.lost, counts.late, counts.duplicates), (1, 1, 1));
}

#[test]
fn sequence_numbers_wrap() {
    let (out, counts) = run(65_500..65_600);
    assert_eq!(out.iter().map(|packet| packet.2).collect::<Vec<_>>(), (65_500..65_600).collect::<Vec<_>>());
    assert_eq!(counts, JitterCounts::default());
}

#[test]
fn a_long_outage_is_a_loss_and_not_a_restart() {
    let (out, counts) = run((0..40).chain(540..600));
    assert_eq!(out.iter().map(|packet| u64::from(packet.0)).sum::<u64>(), 500);
    assert_eq!((out.len(), counts.lost, counts.restarts), (100, 500, 0));
}

#[test]
fn a_jump_of_the_sequence_is_believed_at_its_second_packet() {
    let (out, counts) = run((0..40).chain(20_000..20_040));
    assert_eq!(out.len(), 80);
    assert_eq!(out[40], (0, true, 20_000));
    assert_eq!((counts.lost, counts.restarts), (0, 1));
}

#[test]
fn a_single_stray_packet_changes_nothing() {
    let (out, counts) = run((0..40).chain([30_000]).chain(40..80));
    assert_eq!(out.len(), 80);
    assert_eq!((counts.lost, counts.restarts, counts.strangers), (0, 0, 1));
}

#[test]
fn a_new_source_begins_after_the_old_one_has_left_whole() {
    let mut bench = Bench::new();
    for number in (0..20).chain(21..25) {
        bench.push(1, number);
    }
    for number in 9_000..9_040 {
        bench.push(2, number);
    }
    bench.pass(PATIENCE);
    let expected: Vec<u32> = (0..20).chain(21..25).chain(9_000..9_040).collect();
    assert_eq!(bench.numbers(), expected);
    assert_eq!(bench.out[20], (1, false, 21));
    assert_eq!(bench.out[24], (0, true, 9_000));
}

#[test]
fn a_second_source_beside_a_living_one_is_not_mixed_in() {
    let mut bench = Bench::new();
    for number in 0..60 {
        bench.push(1, number);
        bench.push(2, 500 + number);
    }
    bench.pass(PATIENCE);
    assert_eq!(bench.numbers(), (0..60).collect::<Vec<_>>());
    assert_eq!(bench.buffer.counts().restarts, 0);
}

#[test]
fn an_interruption_lets_everything_go_and_is_no_loss() {
    let mut bench = Bench::new();
    for number in (0..20).chain([21]) {
        bench.push(1, number);
    }
    let out = &mut bench.out;
    bench.buffer.interrupt(&mut |packet| out.push((packet.lost_before, packet.new_source, packet.timestamp)));
    for number in 400..420 {
        bench.push(1, number);
    }
    bench.pass(PATIENCE);
    assert_eq!(bench.numbers(), (0..20).chain([21]).chain(400..420).collect::<Vec<_>>());
    assert_eq!((bench.out[20], bench.out[21]), ((1, false, 21), (0, true, 400)));
    assert_eq!((bench.buffer.counts().lost, bench.buffer.counts().restarts), (1, 0));
}

#[test]
fn thirty_percent_loss_is_counted_to_the_packet() {
    // A line that drops 3 of 10 at random places, the first and the last packet arrive.
    let mut dice = 7_u32;
    let kept: Vec<u32> = (0..2000)
        .filter(|number| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *number == 0 || *number == 1999 || dice >> 16 >= 19_660
        })
        .collect();
    let (out, counts) = run(kept.iter().copied());
    assert_eq!(out.iter().map(|packet| packet.2).collect::<Vec<_>>(), kept);
    assert_eq!((counts.lost, counts.restarts, counts.late), (2000 - kept.len() as u64, 0, 0));
    assert_eq!(out.iter().map(|packet| u64::from(packet.0)).sum::<u64>(), counts.lost);
    assert!((500..700).contains(&counts.lost), "{counts:?}");
}

#[test]
fn packets_that_come_too_late_stay_lost() {
    let mut bench = Bench::new();
    // Every tenth one comes half a second after its turn, the line is otherwise in order.
    for number in 0..200 {
        if number % 10 != 5 {
            bench.push(1, number);
        }
        if number >= 25 && number % 10 == 0 {
            bench.push(1, number - 25);
        }
        bench.pass(Duration::from_millis(20));
    }
    bench.pass(PATIENCE);
    let expected: Vec<u32> = (0..200).filter(|number| number % 10 != 5).collect();
    assert_eq!(bench.numbers(), expected);
    let counts = bench.buffer.counts();
    // That of the last gap was waited for until the end; those of the last three never came.
    assert_eq!((counts.lost, counts.late, counts.duplicates), (20, 17, 0));
}

#[test]
fn oversized_payloads_are_counted() {
    let mut buffer = JitterBuffer::new();
    let payload = [0; MAX_PAYLOAD + 1];
    let packet =
        RtpPacket { ssrc: 1, sequence: 1, timestamp: 1, payload_type: 0, marker: false, payload: &payload };
    buffer.push(&packet, Instant::now(), &mut |_| panic!("nothing may come out"));
    assert_eq!(buffer.counts().oversized, 1);
    assert!(!buffer.is_waiting());
}

#[test]
fn clearing_wipes_the_payloads() {
    let mut bench = Bench::new();
    bench.push(1, 0x0101_0101);
    bench.buffer.clear();
    assert!(bench.buffer.payloads.iter().all(|byte| *byte == 0));
    assert!(!bench.buffer.is_waiting());
}

/// Shuffles within blocks, and repeats some packets right behind their block.
fn disturbed(first: u32) -> impl Strategy<Value = Vec<u32>> {
    let block = (1..=REORDER_PACKETS as u32, any::<u64>(), 0..4usize);
    proptest::collection::vec(block, 1..12).prop_map(move |blocks| {
        let mut order = Vec::new();
        let mut next = first;
        for (length, seed, repeats) in blocks {
            let mut block: Vec<u32> = (next..next + length).collect();
            block.sort_by_key(|number| (seed ^ u64::from(*number)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let again: Vec<u32> = block.iter().copied().take(repeats).collect();
            order.extend(block);
            order.extend(again);
            next += length;
        }
        order
    })
}

proptest! {
    #[test]
    fn any_order_within_the_window_comes_out_as_in_order(order in (0u32..65_536).prop_flat_map(disturbed)) {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let repeats = (order.len() - sorted.len()) as u64;
        let (out, counts) = run(order);
        prop_assert_eq!(out, run(sorted).0);
        prop_assert_eq!(counts, JitterCounts { duplicates: repeats, ..JitterCounts::default() });
    }

    #[test]
    fn every_packet_is_accounted_for(numbers in proptest::collection::vec((0u32..3, any::<u16>(), 0u64..400), 0..400), spread in 1u16..2000) {
        let mut bench = Bench::new();
        for (ssrc, number, wait) in &numbers {
            bench.push(*ssrc, u32::from(*number % spread));
            bench.pass(Duration::from_millis(*wait));
        }
        bench.pass(PATIENCE);
        prop_assert!(!bench.buffer.is_waiting());
        let counts = bench.buffer.counts();
        let unbelieved = u64::from(bench.buffer.stranger.is_some());
        let accounted = bench.out.len() as u64 + counts.late + counts.duplicates + counts.strangers + unbelieved;
        prop_assert_eq!(accounted, numbers.len() as u64);
        prop_assert_eq!(bench.out.iter().map(|packet| u64::from(packet.0)).sum::<u64>(), counts.lost);
    }
}
