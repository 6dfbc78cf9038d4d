use super::super::calls::Look;
use super::super::station::Rules;
use super::*;
use crate::audio::Recording;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

const SECOND: Duration = Duration::from_secs(1);
/// Audio that a scripted device gives at once: 100 ms.
const BLOCK: Duration = Duration::from_millis(100);
const RATE: u32 = 8000;

/// What a scripted device does next; when nothing is left it gives silence in real time.
#[derive(Debug)]
enum Act {
    Talk(Vec<i16>),
    /// Nobody took the audio for so long.
    Overrun(Duration),
    Nothing,
    Fault,
}

/// What happens around the operator, and what it did.
#[derive(Debug, Default)]
struct World {
    since_1970: Duration,
    acts: VecDeque<Act>,
    /// Whether the device cannot be opened.
    absent: bool,
    /// Whether it gives audio without being waited for.
    hasty: bool,
    opened: u32,
    is_open: bool,
    reads: u32,
    /// What the calls heard: samples and losses.
    heard: Vec<(usize, u32)>,
    log: Vec<String>,
    speech: u64,
    /// Whose device it is.
    opted_out: bool,
    /// Whom somebody named as the caller.
    caller_opted_out: bool,
    full: bool,
    /// The call ended by itself.
    over: bool,
}

#[derive(Clone, Debug)]
struct Scripted(Rc<RefCell<World>>, Clock);

impl Scripted {
    fn pass(&self, time: Duration) {
        let mut world = self.0.borrow_mut();
        world.since_1970 += time;
        self.1.advance(world.since_1970);
    }

    fn act(&self, act: Act) {
        self.0.borrow_mut().acts.push_back(act);
    }

    fn log(&self) -> Vec<String> {
        self.0.borrow().log.clone()
    }

    fn samples(&self) -> usize {
        self.0.borrow().heard.iter().map(|(samples, _)| samples).sum()
    }

    fn lost(&self) -> u32 {
        self.0.borrow().heard.iter().map(|(_, lost)| lost).sum()
    }
}

impl Source for Scripted {
    fn open(&mut self) -> Result<u32, DeviceFault> {
        let mut world = self.0.borrow_mut();
        world.opened += 1;
        world.is_open = !world.absent;
        if world.absent { Err(DeviceFault::new("No such device")) } else { Ok(RATE) }
    }

    fn read(&mut self, pcm: &mut [i16]) -> Result<Reading, DeviceFault> {
        let (act, hasty) = {
            let mut world = self.0.borrow_mut();
            assert!(world.is_open, "only an open device is read");
            world.reads += 1;
            (world.acts.pop_front(), world.hasty)
        };
        if !hasty {
            self.pass(BLOCK);
        }
        match act {
            None => {
                pcm.fill(0);
                Ok(Reading::Samples(pcm.len()))
            }
            Some(Act::Talk(talk)) => {
                pcm[..talk.len()].copy_from_slice(&talk);
                Ok(Reading::Samples(talk.len()))
            }
            Some(Act::Overrun(time)) => {
                self.pass(time.saturating_sub(BLOCK));
                Ok(Reading::Overrun)
            }
            Some(Act::Nothing) => Ok(Reading::Nothing),
            Some(Act::Fault) => Err(DeviceFault::new("No such device")),
        }
    }

    fn close(&mut self) {
        self.0.borrow_mut().is_open = false;
    }
}

impl Calls for Scripted {
    fn may_listen(&self) -> bool {
        !self.0.borrow().opted_out
    }

    fn begin(&mut self, speaker: Option<SpeakerId>) -> Result<String, AskError> {
        let mut world = self.0.borrow_mut();
        let speaker = speaker.map(|speaker| speaker.reveal().to_owned());
        world.log.push(format!("begin {speaker:?}"));
        if world.full { Err(AskError::Conflict("full".to_owned())) } else { Ok("c1".to_owned()) }
    }

    fn hear(&mut self, capture: &Capture<'_>) {
        self.0.borrow_mut().heard.push((capture.pcm.len(), capture.lost));
    }

    fn look(&mut self) -> Option<Look> {
        let mut world = self.0.borrow_mut();
        world.speech += u64::from(!world.acts.is_empty());
        let analysed = !world.opted_out && !world.caller_opted_out;
        (!world.over).then_some(Look { speech: world.speech, analysed })
    }

    fn end(&mut self, gone: bool) {
        self.0.borrow_mut().log.push(format!("end, gone: {gone}"));
    }
}

/// An operator in its world, a device that calls itself `desk`.
struct Stage {
    world: Scripted,
    operator: Operator<Scripted, Scripted>,
    board: Arc<Board>,
}

impl Stage {
    fn new(auto_start: bool) -> Self {
        let clock = Clock::recorded();
        let world = Scripted(Rc::default(), clock.clone());
        world.pass(1000 * SECOND);
        let settings = Alsa {
            name: "desk".to_owned(),
            device: "hw:1,0".to_owned(),
            auto_start,
            channel: 1,
            rate: RATE,
            speaker: None,
            silence: 5 * SECOND,
            enabled: true,
        };
        let rules = Rules { enabled: true, auto_start, silence: 5 * SECOND, forgotten: 600 * SECOND };
        let board = Arc::new(Board::new(&settings));
        let pair = (world.clone(), world.clone());
        let operator = Operator::new(settings, pair, Station::new(rules), Arc::clone(&board), clock);
        Self { world, operator, board }
    }

    /// Lets time go by.
    fn run(&mut self, time: Duration) {
        let until = self.world.0.borrow().since_1970 + time;
        while self.world.0.borrow().since_1970 < until {
            let rest = self.operator.step();
            let left = until.saturating_sub(self.world.0.borrow().since_1970);
            self.world.pass(rest.min(left));
        }
    }

    fn state(&self) -> CaptureState {
        self.board.view().state
    }
}

/// Talk of Debian's telephone prompts in blocks, or `None`, with a line, where they are not installed.
fn talk() -> Option<Vec<Act>> {
    let file = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison/demo-congrats.wav");
    let Ok(read) = Recording::read(file) else {
        eprintln!("skipped: {} is not there; `make setup` installs it", file.display());
        return None;
    };
    Some(read.pcm_at(Band::Narrow).chunks(800).take(100).map(|block| Act::Talk(block.to_vec())).collect())
}

#[test]
fn a_call_that_somebody_starts_hears_the_device_until_somebody_stops_it() {
    let mut stage = Stage::new(false);
    stage.run(SECOND);
    assert_eq!((stage.state(), stage.world.0.borrow().reads), (CaptureState::Idle, 0), "nobody listens yet");
    stage.operator.start(Some(SpeakerId::new("1001").unwrap())).unwrap();
    stage.run(2 * SECOND);
    let view = stage.board.view();
    assert_eq!(
        (view.state, view.call.as_deref(), view.rate_hz),
        (CaptureState::InCall, Some("c1"), Some(RATE))
    );
    assert_eq!((stage.world.samples(), stage.world.lost()), (16_000, 0));
    assert!(matches!(stage.operator.start(None), Err(AskError::Conflict(text)) if text.contains("already")));
    stage.operator.stop().unwrap();
    assert!(matches!(stage.operator.stop(), Err(AskError::Conflict(_))));
    stage.run(SECOND);
    assert_eq!((stage.state(), stage.world.samples()), (CaptureState::Idle, 16_000));
    assert_eq!(stage.world.log(), ["begin Some(\"1001\")", "end, gone: false"]);
    assert!(!stage.world.0.borrow().is_open);
}

#[test]
fn speech_begins_a_call_with_its_first_words_and_silence_ends_it() {
    let Some(talk) = talk() else { return };
    let mut stage = Stage::new(true);
    stage.run(3 * SECOND);
    assert_eq!((stage.state(), stage.world.log().len()), (CaptureState::Listening, 0));
    stage.world.0.borrow_mut().acts.extend(talk);
    stage.run(10 * SECOND);
    assert_eq!((stage.state(), stage.world.log()), (CaptureState::InCall, vec!["begin None".to_owned()]));
    let heard = stage.world.samples();
    assert!(heard > 80_000, "all that was spoken, and some silence before it: {heard}");
    stage.run(4 * SECOND);
    assert_eq!(stage.state(), CaptureState::InCall, "the silence has only begun");
    stage.run(3 * SECOND);
    assert_eq!((stage.state(), stage.world.log().len()), (CaptureState::Listening, 2));
    stage.run(20 * SECOND);
    assert_eq!(stage.world.log()[1..], ["end, gone: false"], "silence begins nothing");
}

#[test]
fn a_call_that_is_refused_is_not_tried_again_at_once() {
    let Some(talk) = talk() else { return };
    let mut stage = Stage::new(true);
    stage.world.0.borrow_mut().full = true;
    stage.world.0.borrow_mut().acts.extend(talk);
    stage.run(4 * SECOND);
    assert_eq!(stage.world.log(), ["begin None"]);
    stage.run(6 * SECOND);
    assert_eq!(stage.world.log().len(), 2);
    assert_eq!(stage.state(), CaptureState::Listening);
}

#[test]
fn a_device_of_somebody_who_opted_out_is_neither_read_nor_open() {
    let mut stage = Stage::new(true);
    stage.run(2 * SECOND);
    stage.world.0.borrow_mut().opted_out = true;
    let reads = stage.world.0.borrow().reads;
    stage.run(60 * SECOND);
    assert_eq!((stage.state(), stage.world.0.borrow().reads), (CaptureState::OptedOut, reads));
    assert!(!stage.world.0.borrow().is_open);
    stage.world.0.borrow_mut().opted_out = false;
    stage.run(11 * SECOND);
    assert_eq!(stage.state(), CaptureState::Listening);
}

#[test]
fn a_call_that_began_by_itself_ends_with_the_opt_out_of_whose_device_it_is() {
    let Some(talk) = talk() else { return };
    let mut stage = Stage::new(true);
    stage.world.0.borrow_mut().acts.extend(talk);
    stage.run(5 * SECOND);
    assert_eq!(stage.state(), CaptureState::InCall);
    stage.world.0.borrow_mut().opted_out = true;
    stage.run(2 * SECOND);
    assert_eq!((stage.state(), stage.world.0.borrow().is_open), (CaptureState::OptedOut, false));
    assert_eq!(stage.world.log(), ["begin None", "end, gone: false"]);
}

#[test]
fn a_caller_who_opted_out_keeps_the_device_from_listening_until_the_call_is_forgotten() {
    let Some(talk) = talk() else { return };
    let mut stage = Stage::new(true);
    stage.world.0.borrow_mut().acts.extend(talk);
    stage.run(5 * SECOND);
    stage.world.0.borrow_mut().caller_opted_out = true;
    stage.run(590 * SECOND);
    assert_eq!((stage.state(), stage.world.log().len()), (CaptureState::InCall, 1));
    stage.run(20 * SECOND);
    assert_eq!((stage.state(), stage.world.log().len()), (CaptureState::Listening, 2));
}

#[test]
fn overruns_are_counted_and_what_they_cost_is_lost_and_not_heard() {
    let mut stage = Stage::new(false);
    stage.operator.start(None).unwrap();
    stage.run(SECOND);
    for _ in 0..2 {
        stage.world.act(Act::Overrun(2 * SECOND));
    }
    stage.run(6 * SECOND);
    assert_eq!(stage.board.view().overruns, 2);
    assert_eq!((stage.world.lost(), stage.board.view().lost_ms), (32_000, 4_000));
    assert_eq!(stage.world.samples() + 32_000, 7 * 8_000, "what was lost and what was heard is all");
    let counts = stage.board.counts();
    assert_eq!((counts.overruns, counts.lost, counts.heard), (2, 4 * SECOND, 3 * SECOND));
}

#[test]
fn a_call_goes_on_when_its_device_comes_back_and_the_gap_is_lost() {
    let mut stage = Stage::new(false);
    stage.operator.start(None).unwrap();
    stage.run(SECOND);
    stage.world.act(Act::Fault);
    stage.world.0.borrow_mut().absent = true;
    stage.run(2 * SECOND);
    let view = stage.board.view();
    assert_eq!((view.state, view.fault.as_deref()), (CaptureState::Absent, Some("No such device")));
    assert_eq!((view.call.as_deref(), view.rate_hz), (Some("c1"), None), "the call goes on");
    stage.world.0.borrow_mut().absent = false;
    stage.run(4 * SECOND);
    let view = stage.board.view();
    assert_eq!((view.state, view.fault), (CaptureState::InCall, None));
    assert_eq!(stage.world.log(), ["begin None"]);
    // Missing are the blocks that the failing reads would have given.
    let all = stage.world.samples() + stage.world.lost() as usize;
    assert!(stage.world.lost() >= 24_000 && all.abs_diff(7 * 8_000) <= 800, "{all}");
    assert_eq!(stage.board.counts().unplugged, 1);
}

#[test]
fn a_device_that_stays_away_ends_its_call_and_one_that_comes_back_is_found() {
    let mut stage = Stage::new(true);
    stage.operator.start(None).unwrap();
    stage.run(SECOND);
    stage.world.act(Act::Fault);
    stage.world.0.borrow_mut().absent = true;
    stage.run(12 * SECOND);
    assert_eq!(stage.world.log(), ["begin None", "end, gone: true"]);
    assert_eq!((stage.state(), stage.board.view().call), (CaptureState::Absent, None));
    stage.run(300 * SECOND);
    let opened = stage.world.0.borrow().opened;
    assert!((10..=20).contains(&opened), "tried every 30 s in the end: {opened}");
    stage.world.0.borrow_mut().absent = false;
    stage.run(31 * SECOND);
    assert_eq!((stage.state(), stage.board.view().fault), (CaptureState::Listening, None));
}

#[test]
fn a_device_that_cannot_be_opened_is_named_with_the_cause() {
    let mut stage = Stage::new(false);
    stage.world.0.borrow_mut().absent = true;
    let Err(AskError::Conflict(text)) = stage.operator.start(None) else { panic!("it was started") };
    assert_eq!(text, "desk cannot be used: hw:1,0: No such device");
    assert!(stage.world.log().is_empty());
    assert_eq!(stage.board.counts().open_failures, 1);
    // Somebody who starts it does not wait for the next attempt.
    stage.world.0.borrow_mut().absent = false;
    stage.operator.start(None).unwrap();
    assert_eq!(stage.state(), CaptureState::InCall);
}

#[test]
fn a_device_that_gives_nothing_is_given_up() {
    let mut stage = Stage::new(false);
    stage.operator.start(None).unwrap();
    (0..31).for_each(|_| stage.world.act(Act::Nothing));
    stage.run(Duration::from_millis(3_100));
    let view = stage.board.view();
    assert_eq!((view.state, view.fault.as_deref()), (CaptureState::Absent, Some("gave no audio for 3 s")));
}

#[test]
fn a_call_that_ends_elsewhere_frees_its_device() {
    let mut stage = Stage::new(false);
    stage.operator.start(None).unwrap();
    stage.run(SECOND);
    stage.world.0.borrow_mut().over = true;
    stage.run(2 * SECOND);
    assert_eq!((stage.state(), stage.board.view().call), (CaptureState::Idle, None));
    assert_eq!(stage.world.log(), ["begin None"], "there is nothing to end");
}

#[test]
fn a_plugin_that_gives_audio_as_fast_as_it_is_taken_runs_ahead_no_further_than_is_kept() {
    let mut stage = Stage::new(false);
    stage.world.0.borrow_mut().hasty = true;
    stage.operator.start(None).unwrap();
    stage.run(10 * SECOND);
    let seconds = stage.world.samples() / 8_000;
    assert!((39..=41).contains(&seconds), "30 s at once, then real time: {seconds}");
}
