use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn station(auto_start: bool) -> Station {
    let (silence, forgotten) = (5 * SECOND, 60 * SECOND);
    Station::new(Rules { enabled: true, auto_start, silence, forgotten })
}

fn fault() -> DeviceFault {
    DeviceFault::new("No such device")
}

#[test]
fn a_device_is_tried_once_and_then_rests_until_somebody_wants_it() {
    let (mut station, now) = (station(false), Instant::now());
    assert_eq!(station.task(now), Task::Open);
    station.opened();
    assert_eq!(station.task(now), Task::Close);
    station.closed();
    assert_eq!((station.task(now), station.state()), (Task::Rest(LONG_REST), CaptureState::Idle));
    station.began(false);
    assert_eq!(station.task(now), Task::Open);
    station.opened();
    assert_eq!((station.task(now), station.state()), (Task::Read, CaptureState::InCall));
    station.ended();
    assert_eq!(station.task(now), Task::Close);
}

#[test]
fn a_device_that_is_switched_off_is_left_alone() {
    let rules = Rules { enabled: false, auto_start: true, silence: SECOND, forgotten: SECOND };
    let station = Station::new(rules);
    assert_eq!((station.task(Instant::now()), station.state()), (Task::Rest(LONG_REST), CaptureState::Off));
}

#[test]
fn an_automatic_device_listens_unless_whose_it_is_opted_out() {
    let (mut station, now) = (station(true), Instant::now());
    station.opened();
    assert_eq!((station.task(now), station.state()), (Task::Read, CaptureState::Listening));
    station.set_may_listen(false);
    assert_eq!(station.task(now), Task::Close);
    station.closed();
    assert_eq!((station.task(now), station.state()), (Task::Rest(RECHECK), CaptureState::OptedOut));
    station.set_may_listen(true);
    assert_eq!(station.task(now), Task::Open);
}

#[test]
fn a_device_that_cannot_be_opened_is_tried_more_and_more_rarely_and_at_once_after_it_worked() {
    let (mut station, mut now) = (station(true), Instant::now());
    let waits: Vec<u64> = (0..8)
        .map(|_| {
            station.failed(fault(), now);
            let Task::Rest(rest) = station.task(now) else { panic!("{:?}", station.task(now)) };
            now += rest;
            assert_eq!(station.task(now), Task::Open);
            rest.as_secs()
        })
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    // One that opens and fails again before it gave anything is no better.
    station.opened();
    station.failed(fault(), now);
    assert_eq!(station.task(now), Task::Rest(30 * SECOND));
    station.opened();
    station.works();
    station.failed(fault(), now);
    assert_eq!(station.task(now), Task::Rest(SECOND));
}

#[test]
fn a_fault_is_news_once() {
    let (mut station, now) = (station(true), Instant::now());
    assert!(station.failed(fault(), now) && !station.failed(fault(), now));
    assert!(station.failed(DeviceFault::new("busy"), now), "another one is");
    assert_eq!(station.state(), CaptureState::Absent);
    station.opened();
    assert!(station.failed(fault(), now));
}

#[test]
fn a_call_waits_for_its_device_and_ends_when_that_stays_away() {
    let (mut station, now) = (station(false), Instant::now());
    station.began(false);
    station.opened();
    station.failed(fault(), now);
    assert_eq!(station.waited(now + GRACE / 2), None);
    station.failed(fault(), now + GRACE / 2);
    assert_eq!(station.waited(now + GRACE), Some(CallEnd::DeviceGone), "counted from the first failure");
    station.opened();
    assert_eq!(station.waited(now + GRACE), Some(CallEnd::DeviceGone), "until it gives audio");
    station.works();
    assert_eq!(station.waited(now + 2 * GRACE), None);
}

#[test]
fn silence_ends_a_call_by_how_it_began() {
    for (automatic, limit) in [(true, 5), (false, 60)] {
        let mut station = station(true);
        station.began(automatic);
        for second in 1..limit {
            assert_eq!(station.progressed(0, true, SECOND), None, "{second}");
        }
        assert_eq!(station.progressed(7, true, SECOND), None, "somebody spoke");
        let quiet = (0..).find(|_| station.progressed(7, true, SECOND).is_some());
        assert_eq!(quiet, Some(limit - 1));
    }
}

#[test]
fn an_evaluation_that_starts_anew_is_no_silence() {
    let mut station = station(true);
    station.began(true);
    station.progressed(300, true, SECOND);
    station.progressed(300, true, 4 * SECOND);
    assert_eq!(station.progressed(0, true, SECOND), None);
}

#[test]
fn a_call_whose_caller_opted_out_ends_after_the_longer_time_however_it_began() {
    for automatic in [true, false] {
        let mut station = station(true);
        station.began(automatic);
        station.progressed(300, true, SECOND);
        let seconds = (0..).find(|_| station.progressed(0, false, SECOND) == Some(CallEnd::Silence));
        assert_eq!(seconds, Some(60), "counted from the opt-out");
    }
}

#[test]
fn who_opts_in_again_was_not_silent() {
    let mut station = station(true);
    station.began(true);
    for _ in 0..50 {
        assert_eq!(station.progressed(0, false, SECOND), None);
    }
    let seconds = (0..).find(|_| station.progressed(0, true, SECOND).is_some());
    assert_eq!(seconds, Some(5), "counted from the opt-in");
}

#[test]
fn an_opt_out_of_whose_device_it_is_ends_the_call_that_the_device_began() {
    let mut station = station(true);
    station.began(true);
    station.set_may_listen(false);
    assert_eq!(station.progressed(0, true, SECOND), None, "somebody else calls, and was named");
    assert_eq!(station.progressed(0, false, SECOND), Some(CallEnd::OptedOut));
    station.ended();
    station.began(false);
    assert_eq!(station.progressed(0, false, SECOND), None, "somebody wanted this one");
}
