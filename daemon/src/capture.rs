//! Capture devices for hardware phones: ALSA in, calls like all others out.
//!
//! Each device has a thread of its own, for a driver may keep it waiting for as long as it likes. Read in the order the
//! audio flows: [`source`] (the device; [`alsa_device`] is the real one), [`converter`], [`trigger`] (when a call
//! begins by itself), [`operator`] (carries out what [`station`] decides, by the clock of
//! [`timeline`]); [`board`] is what everybody else sees.

mod alsa_device;
mod board;
mod calls;
mod converter;
mod operator;
mod source;
mod station;
mod timeline;
mod trigger;

pub use board::CaptureCounts;
pub(crate) use calls::{Calls, Look};

use crate::ask::AskError;
use crate::config::{Alsa, Config};
use crate::exchange::{CaptureLine, Exchange};
use crate::pii::SpeakerId;
use crate::view::CaptureView;
use alsa_device::AlsaDevice;
use board::Board;
use operator::Operator;
use source::Source;
use station::{Rules, Station};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::Builder;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long a device may take to do what it was asked.
const ANSWER: Duration = Duration::from_secs(5);
/// Requests that may wait for a device.
const WAITING: usize = 4;
/// How long the devices may take to end their calls when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// Something that a device is asked to do.
#[derive(Debug)]
enum Request {
    Start { speaker: Option<SpeakerId>, answer: Answer },
    Stop { answer: Answer },
}

type Answer = oneshot::Sender<Result<(), AskError>>;

/// The devices of the configuration, for those who ask about them.
#[derive(Debug, Default)]
pub struct Captures(Vec<Extension>);

/// How a device is reached.
#[derive(Debug)]
struct Extension {
    name: String,
    board: Arc<Board>,
    requests: SyncSender<Request>,
}

/// The threads of the devices; their calls end when this is dropped.
#[derive(Debug)]
pub struct Threads {
    exchange: Exchange,
    running: Vec<Receiver<()>>,
}

impl Captures {
    /// Starts a thread for each device of the configuration; their calls go to `exchange`, and their requests come
    /// through it.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn start(config: &Config, exchange: &Exchange, runtime: &Handle) -> io::Result<Threads> {
        let mut captures = Self::default();
        let mut running = Vec::new();
        for settings in &config.alsa {
            let (requests, mailbox) = mpsc::sync_channel(WAITING);
            let board = Arc::new(Board::new(settings));
            let name = settings.name.clone();
            captures.0.push(Extension { name, board: Arc::clone(&board), requests });
            running.push(spawn(settings, config.limits.media_timeout, exchange, (board, mailbox), runtime)?);
        }
        exchange.connect(captures);
        Ok(Threads { exchange: exchange.clone(), running })
    }

    /// The devices as they are.
    pub fn views(&self) -> Vec<CaptureView> {
        self.0.iter().map(|extension| extension.board.view()).collect()
    }

    /// What all of them counted.
    pub fn counts(&self) -> CaptureCounts {
        let mut counts = CaptureCounts::default();
        self.0.iter().for_each(|extension| counts.add(&extension.board.counts()));
        counts
    }

    /// Asks a device to begin a call of `speaker`, or of whose device it is; gives what to wait for.
    ///
    /// # Errors
    /// [`AskError::NoSuchDevice`], or [`AskError::Conflict`] where it does not answer.
    pub fn ask_to_start(&self, name: &str, speaker: Option<SpeakerId>) -> Result<Pending, AskError> {
        self.ask(name, |answer| Request::Start { speaker, answer })
    }

    /// Asks a device to end its call; gives what to wait for.
    ///
    /// # Errors
    /// As [`Self::ask_to_start`].
    pub fn ask_to_stop(&self, name: &str) -> Result<Pending, AskError> {
        self.ask(name, |answer| Request::Stop { answer })
    }

    fn ask(&self, name: &str, request: impl FnOnce(Answer) -> Request) -> Result<Pending, AskError> {
        let extension =
            self.0.iter().find(|extension| extension.name == name).ok_or(AskError::NoSuchDevice)?;
        let (answer, answered) = oneshot::channel();
        // A thread that reads no requests waits in its device.
        extension.requests.try_send(request(answer)).map_err(|_| does_not_answer(name))?;
        Ok(Pending { name: name.to_owned(), board: Arc::clone(&extension.board), answered })
    }
}

/// An answer of a device that is on its way.
#[derive(Debug)]
pub struct Pending {
    name: String,
    board: Arc<Board>,
    answered: oneshot::Receiver<Result<(), AskError>>,
}

impl Pending {
    /// The device when it has done what it was asked.
    ///
    /// # Errors
    /// [`AskError`] says why it did not, or [`AskError::Conflict`] that it does not answer.
    pub async fn outcome(self) -> Result<CaptureView, AskError> {
        match tokio::time::timeout(ANSWER, self.answered).await {
            Ok(Ok(outcome)) => outcome.map(|()| self.board.view()),
            Ok(Err(_)) | Err(_) => Err(does_not_answer(&self.name)),
        }
    }
}

fn does_not_answer(name: &str) -> AskError {
    AskError::Conflict(format!("{name} does not answer: its driver keeps vouchd waiting"))
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Without their mailboxes the threads end. One that waits in its device is not waited for.
        self.exchange.connect(Captures::default());
        let until = Instant::now() + FAREWELL;
        for thread in &self.running {
            let _ = thread.recv_timeout(until.saturating_duration_since(Instant::now()));
        }
    }
}

/// Starts the thread of a device; what is given ends with it.
fn spawn(
    settings: &Alsa,
    forgotten: Duration,
    exchange: &Exchange,
    (board, mailbox): (Arc<Board>, Receiver<Request>),
    runtime: &Handle,
) -> io::Result<Receiver<()>> {
    let rules = Rules {
        enabled: settings.enabled,
        auto_start: settings.auto_start,
        silence: settings.silence,
        forgotten,
    };
    let (settings, exchange, runtime) = (settings.clone(), exchange.clone(), runtime.clone());
    let (ending, ended) = mpsc::sync_channel(1);
    let run = move || {
        // What calls want done in the background is done there.
        let _context = runtime.enter();
        let source = AlsaDevice::new(&settings.device, settings.channel, settings.rate);
        let line = CaptureLine::new(exchange.clone(), &settings);
        let operator =
            Operator::new(settings, (source, line), Station::new(rules), board, exchange.clock().clone());
        serve(operator, &mailbox);
        drop(ending);
    };
    Builder::new().name("capture".to_owned()).spawn(run)?;
    Ok(ended)
}

/// Serves a device until nobody can ask for it any more.
fn serve<S: Source, C: Calls>(mut operator: Operator<S, C>, mailbox: &Receiver<Request>) {
    loop {
        let stepped = catch_unwind(AssertUnwindSafe(|| operator.step()));
        let rest = stepped.unwrap_or_else(|_| {
            tracing::error!("a capture device failed on its audio, which is a bug; it is opened anew");
            operator.give_up("failed by a bug of vouchd; see the log");
            Duration::ZERO
        });
        match mailbox.recv_timeout(rest) {
            Ok(request) => carry_out(&mut operator, request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return operator.finish(),
        }
    }
}

fn carry_out<S: Source, C: Calls>(operator: &mut Operator<S, C>, request: Request) {
    let (outcome, answer) = match request {
        // Who waits no more was told that the device does not answer: nothing may begin behind his back.
        Request::Start { answer, .. } | Request::Stop { answer } if answer.is_closed() => return,
        Request::Start { speaker, answer } => (operator.start(speaker), answer),
        Request::Stop { answer } => (operator.stop(), answer),
    };
    // He may have gone meanwhile, and sees the outcome on the board.
    let _ = answer.send(outcome);
}
