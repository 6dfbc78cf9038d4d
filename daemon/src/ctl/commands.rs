//! Each command: one request, and its answer printed.

use super::args::{CaptureCommand, Command, Ctl, Format, ResultArgs, SpeakerCommand};
use super::client::{Client, Content, PATIENCE, segment};
use super::error::CtlError;
use super::output::{print, print_line};
use super::{form, offline, replay, show, watch};
use crate::api::{EnrollRequest, EvaluateRequest, SpeakerOfCall, StartRequest};
use crate::pii::SpeakerId;
use crate::verdict::Verdict;
use hyper::Method;
use hyper::body::Bytes;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;

/// How long enrolling from recordings may take.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(120);

/// Carries out the command.
pub(super) fn run(ctl: Ctl) -> Result<(), CtlError> {
    let Ctl { socket, json, command } = ctl;
    match command {
        Command::Compare(args) => offline::compare(args, json),
        Command::Trials(args) => offline::trials(args, json),
        Command::Thresholds(args) => offline::thresholds(&args, json),
        Command::Capacity => offline::capacity(json),
        Command::Replay(args) => replay::run(args, json),
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let asker = Asker { client: Client::new(socket), json, zone: TimeZone::system() };
            runtime.map_err(CtlError::Start)?.block_on(asker.run(command))
        }
    }
}

/// Asks the daemon and prints the answer.
struct Asker {
    client: Client,
    json: bool,
    zone: TimeZone,
}

impl Asker {
    async fn run(self, command: Command) -> Result<(), CtlError> {
        match command {
            Command::Status => self.get("/v1/status", show::status).await,
            Command::Calls => self.get("/v1/calls", |calls: &Vec<_>| show::calls(calls, &self.zone)).await,
            Command::Call { call } => {
                self.get(&call_path(&call, ""), |view| show::call(view, &self.zone)).await
            }
            Command::Watch => watch::run(&self.client, self.json, &self.zone).await,
            Command::SetSpeaker { call, speaker } => self.set_speaker(&call, &speaker).await,
            Command::Enroll { call, consent } => {
                let content = Content::json(&EnrollRequest { consent });
                self.post(&call_path(&call, "/enroll"), content, show::enrollment).await
            }
            Command::Evaluate { call, start_new } => {
                let content = Content::json(&EvaluateRequest { start_new });
                self.post(&call_path(&call, "/evaluate"), content, |view| show::result(view, &self.zone))
                    .await
            }
            Command::Result(args) => self.result(&args).await,
            Command::Capture { command } => self.capture(command).await,
            Command::Speaker { command } => self.speaker(command).await,
            Command::EnrollFile { speaker, files, consent } => {
                self.enroll_file(&speaker, &files, consent.as_deref()).await
            }
            // These were carried out before there was a runtime.
            Command::Compare(_)
            | Command::Trials(_)
            | Command::Thresholds(_)
            | Command::Capacity
            | Command::Replay(_) => Ok(()),
        }
    }

    async fn set_speaker(&self, call: &str, speaker: &SpeakerId) -> Result<(), CtlError> {
        let content = Content::json(&SpeakerOfCall { speaker_id: Some(speaker.reveal().to_owned()) });
        let answer = self.client.ask(Method::PUT, &call_path(call, "/speaker"), content, PATIENCE).await?;
        self.show(&answer, |view| show::call(view, &self.zone))
    }

    async fn result(&self, args: &ResultArgs) -> Result<(), CtlError> {
        let (query, limit) = match args.wait {
            Some(wait) => (format!("/result?wait={}ms", wait.as_millis()), wait + PATIENCE),
            None => ("/result".to_owned(), PATIENCE),
        };
        let path = call_path(&args.call, &query);
        let answer = self.client.ask(Method::GET, &path, Content::default(), limit).await?;
        match args.format {
            Format::Plain => print_line(parse::<Verdict>(&answer)?.status.as_str()),
            Format::Json => print_json(&answer),
            Format::Table => self.show(&answer, |verdict| show::result(verdict, &self.zone)),
        }
    }

    async fn capture(&self, command: CaptureCommand) -> Result<(), CtlError> {
        match command {
            CaptureCommand::List => self.get("/v1/captures", |views: &Vec<_>| show::captures(views)).await,
            CaptureCommand::Start { device, speaker } => {
                let speaker_id = speaker.map(|speaker| speaker.reveal().to_owned());
                let content = Content::json(&StartRequest { speaker_id });
                self.post(&capture_path(&device, "/start"), content, show::capture).await
            }
            CaptureCommand::Stop { device } => {
                self.post(&capture_path(&device, "/stop"), Content::default(), show::capture).await
            }
        }
    }

    async fn speaker(&self, command: SpeakerCommand) -> Result<(), CtlError> {
        let view = |view: &_| show::speaker(view, &self.zone);
        match command {
            SpeakerCommand::List => {
                self.get("/v1/speakers", |views: &Vec<_>| show::speakers(views, &self.zone)).await
            }
            SpeakerCommand::Show(args) => self.get(&speaker_path(&args.speaker, ""), view).await,
            SpeakerCommand::OptOut(args) => {
                self.post(&speaker_path(&args.speaker, "/opt-out"), Content::default(), view).await
            }
            SpeakerCommand::OptIn(args) => {
                self.post(&speaker_path(&args.speaker, "/opt-in"), Content::default(), view).await
            }
            SpeakerCommand::Delete(args) => {
                let path = speaker_path(&args.speaker, "");
                self.client.ask(Method::DELETE, &path, Content::default(), PATIENCE).await?;
                if self.json { Ok(()) } else { print_line("deleted") }
            }
        }
    }

    async fn enroll_file(
        &self,
        speaker: &SpeakerId,
        files: &[PathBuf],
        consent: Option<&str>,
    ) -> Result<(), CtlError> {
        let content = form::recordings(files, consent)?;
        let path = speaker_path(speaker, "/enroll");
        let answer = self.client.ask(Method::POST, &path, content, UPLOAD_PATIENCE).await?;
        self.show(&answer, |view| show::speaker(view, &self.zone))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CtlError> {
        let answer = self.client.ask(Method::GET, path, Content::default(), PATIENCE).await?;
        self.show(&answer, text)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        content: Content,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CtlError> {
        let answer = self.client.ask(Method::POST, path, content, PATIENCE).await?;
        self.show(&answer, text)
    }

    /// Prints an answer, as it came or as `text` puts it.
    fn show<T: DeserializeOwned>(
        &self,
        answer: &Bytes,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CtlError> {
        if self.json { print_json(answer) } else { print(&text(&parse(answer)?)) }
    }
}

fn call_path(call: &str, rest: &str) -> String {
    format!("/v1/calls/{}{rest}", segment(call))
}

fn capture_path(device: &str, rest: &str) -> String {
    format!("/v1/captures/{}{rest}", segment(device))
}

fn speaker_path(speaker: &SpeakerId, rest: &str) -> String {
    format!("/v1/speakers/{}{rest}", segment(speaker.reveal()))
}

/// The answer as a value of this version.
fn parse<T: DeserializeOwned>(answer: &Bytes) -> Result<T, CtlError> {
    serde_json::from_slice(answer).map_err(|error| CtlError::Foreign(error.to_string()))
}

/// Prints the answer as the daemon gave it, fields that this version does not know included.
fn print_json(answer: &Bytes) -> Result<(), CtlError> {
    print_line(&String::from_utf8_lossy(answer))
}
