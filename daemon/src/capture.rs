//! Capture devices for hardware phones: ALSA in, calls like all others out.
//!
//! Each device has a thread of its own ([`threads`]), for a driver may keep it waiting for as long as it likes. Read in the order the
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
mod threads;
mod timeline;
mod trigger;

pub use board::CaptureCounts;
pub(crate) use calls::{Calls, Look};
pub use threads::Threads;

use crate::ask::AskError;
use crate::pii::SpeakerId;
use crate::view::CaptureView;
use board::Board;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a device may take to do what it was asked.
const ANSWER: Duration = Duration::from_secs(5);

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

impl Captures {
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
