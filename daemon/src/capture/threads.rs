//! A thread for each device, and what it does all day.

use super::alsa_device::AlsaDevice;
use super::board::Board;
use super::calls::Calls;
use super::operator::Operator;
use super::source::Source;
use super::station::{Rules, Station};
use super::{Captures, Extension, Request};
use crate::config::{Alsa, Config};
use crate::exchange::{CaptureLine, Exchange};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Requests that may wait for a device.
const WAITING: usize = 4;
/// How long the devices may take to end their calls when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// The threads of the devices; their calls end when this is dropped.
#[derive(Debug)]
pub struct Threads {
    exchange: Exchange,
    running: Vec<Receiver<()>>,
}

impl Threads {
    /// Starts a thread for each device of the configuration; their calls go to `exchange`, and their requests come
    /// through it.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub fn start(config: &Config, exchange: &Exchange, runtime: &Handle) -> io::Result<Self> {
        let mut captures = Captures::default();
        let mut running = Vec::new();
        for settings in &config.alsa {
            let (requests, mailbox) = mpsc::sync_channel(WAITING);
            let board = Arc::new(Board::new(settings));
            let name = settings.name.clone();
            captures.0.push(Extension { name, board: Arc::clone(&board), requests });
            running.push(spawn(settings, config.limits.media_timeout, exchange, (board, mailbox), runtime)?);
        }
        exchange.connect(captures);
        Ok(Self { exchange: exchange.clone(), running })
    }
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
