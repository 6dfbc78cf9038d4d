//! `vouchctl watch`: calls as they happen.
//!
//! On a terminal the calls in progress stand in a table at the bottom that is drawn anew with every event, and what
//! has come to its end stays above it. Elsewhere every event is a line.

use super::client::{Client, Content, Events, PATIENCE};
use super::error::CtlError;
use super::output::{print, print_line, terminal};
use super::show::{call_table, gateway_warning, status_and_reasons};
use super::table::{local_clock, printable};
use crate::events::GAP;
use crate::view::{CallView, EnrollmentState, Event};
use hyper::Method;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Pause between attempts to reach a daemon that went away.
const RETRY: Duration = Duration::from_secs(1);
/// Lines of the terminal that the table leaves free.
const FREE_LINES: usize = 2;

/// Shows events until interrupted, across restarts of the daemon.
pub(super) async fn run(client: &Client, json: bool, zone: &TimeZone) -> Result<(), CtlError> {
    let mut screen =
        Screen { zone: zone.clone(), json, calls: BTreeMap::new(), drawn: 0, missed_some: false };
    // The first attempt tells whether there is a daemon at all.
    let (mut events, mut calls) = open(client, None).await?;
    let mut last = None;
    loop {
        screen.show_all(calls)?;
        last = follow(client, &mut events, &mut screen, last).await?;
        screen.note("the daemon closed the stream; waiting for it")?;
        (events, calls) = reopen(client, last).await;
        screen.note("the daemon is back")?;
    }
}

/// The events after `last`, and the calls as they are once these are listened to.
async fn open(client: &Client, last: Option<u64>) -> Result<(Events, Vec<CallView>), CtlError> {
    Ok((client.events(last).await?, calls(client).await?))
}

async fn reopen(client: &Client, last: Option<u64>) -> (Events, Vec<CallView>) {
    loop {
        tokio::time::sleep(RETRY).await;
        if let Ok(opened) = open(client, last).await {
            return opened;
        }
    }
}

/// Shows events until the stream ends; returns the number of the last one.
async fn follow(
    client: &Client,
    events: &mut Events,
    screen: &mut Screen,
    mut last: Option<u64>,
) -> Result<Option<u64>, CtlError> {
    while let Some(message) = events.next().await {
        last = message.id.or(last);
        screen.show(&message.data)?;
        if std::mem::take(&mut screen.missed_some) {
            screen.show_all(calls(client).await?)?;
        }
    }
    Ok(last)
}

async fn calls(client: &Client) -> Result<Vec<CallView>, CtlError> {
    let answer = client.ask(Method::GET, "/v1/calls", Content::default(), PATIENCE).await?;
    serde_json::from_slice(&answer).map_err(|error| CtlError::Foreign(error.to_string()))
}

/// What is shown, and what stands on the terminal because of it.
struct Screen {
    zone: TimeZone,
    json: bool,
    /// Calls in progress, by start and id.
    calls: BTreeMap<(String, String), CallView>,
    /// Lines of the table on the terminal.
    drawn: usize,
    /// Whether a gap was shown, after which the calls have to be read anew.
    missed_some: bool,
}

impl Screen {
    /// Starts over with the calls in progress.
    fn show_all(&mut self, calls: Vec<CallView>) -> Result<(), CtlError> {
        let active = calls.into_iter().filter(|call| call.ended.is_none());
        self.calls = active.map(|call| (key(&call), call)).collect();
        self.draw(None)
    }

    fn show(&mut self, data: &str) -> Result<(), CtlError> {
        if self.json {
            return print_line(data);
        }
        let event: Event =
            serde_json::from_str(data).map_err(|error| CtlError::Foreign(error.to_string()))?;
        self.missed_some |= event.kind == GAP;
        self.remember(&event);
        let line = line(&event, &self.zone);
        // Progress shows in the table where there is one.
        let above = if terminal().is_some() && event.kind == "progress" { None } else { Some(line) };
        self.draw(above.as_deref())
    }

    fn remember(&mut self, event: &Event) {
        if let Some(call) = &event.call {
            if call.ended.is_some() {
                self.calls.remove(&key(call));
            } else {
                self.calls.insert(key(call), call.clone());
            }
        }
    }

    fn note(&mut self, text: &str) -> Result<(), CtlError> {
        if self.json {
            eprintln!("vouchctl: {text}");
            return Ok(());
        }
        self.draw(Some(text))
    }

    /// Prints a line that stays, and on a terminal the table below it.
    fn draw(&mut self, above: Option<&str>) -> Result<(), CtlError> {
        if self.json {
            return Ok(());
        }
        let Some((width, height)) = terminal() else {
            return above.map_or(Ok(()), print_line);
        };
        let mut table = call_table(self.calls.values(), &self.zone).lines();
        fit(&mut table, height.saturating_sub(FREE_LINES));
        let text = redraw(self.drawn, above, &table, width);
        self.drawn = table.len();
        print(&text)
    }
}

fn key(call: &CallView) -> (String, String) {
    (call.started.clone(), call.id.clone())
}

/// Cuts a table to `height` lines and says how many it lacks; the newest calls are at its end and stay.
fn fit(table: &mut Vec<String>, height: usize) {
    if table.len() > height && height > 2 {
        let hidden = table.len() - height + 1;
        table.drain(1..=hidden);
        table.insert(1, format!("... {hidden} earlier calls"));
    }
}

/// What moves a terminal from a table of `drawn` lines to the line `above` and the new `table`.
fn redraw(drawn: usize, above: Option<&str>, table: &[String], width: usize) -> String {
    let mut text = String::new();
    if drawn > 0 {
        // Writing into a String cannot fail. CUU and ED of ECMA-48: up `drawn` lines, erase to the end.
        let _ = write!(text, "\x1b[{drawn}A\x1b[J");
    }
    // A line that wraps would be two to go up; the lines that stay may wrap.
    let cut = table.iter().map(|line| line.chars().take(width).collect());
    for line in above.map(str::to_owned).into_iter().chain(cut) {
        text += &line;
        text.push('\n');
    }
    text
}

/// An event as one line.
fn line(event: &Event, zone: &TimeZone) -> String {
    if event.kind == GAP {
        return "         some events were missed; `vouchctl calls` shows how things are".to_owned();
    }
    let mut line = format!("{}  {:<12}", local_clock(&event.time, zone), event.kind);
    let mut add = |text: &str| line += &format!("  {}", printable(text));
    if let Some(call) = &event.call {
        add(&call.id);
        add(call.speaker_id.as_deref().unwrap_or("-"));
        add(&status_and_reasons(&call.result));
        if let Some(score) = call.result.score {
            add(&format!("score {score:.1}"));
        }
        add(&format!("speech {:.1} s", call.net_speech_s));
        match call.enrollment.state {
            EnrollmentState::None => {}
            EnrollmentState::Collecting => add("enrolling"),
            EnrollmentState::Complete => add("enrolled"),
            EnrollmentState::Failed => add("enrollment failed"),
        }
    }
    if let Some(warning) = &event.warning {
        add(&gateway_warning(warning));
    }
    if let Some(speaker) = &event.speaker {
        add(&speaker.id);
        add(&speaker.status);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_drawn_over_the_last_one() {
        let table = ["HEAD".to_owned(), "row too wide".to_owned()];
        assert_eq!(redraw(0, None, &table, 7), "HEAD\nrow too\n");
        assert_eq!(
            redraw(3, Some("a line that stays"), &table, 7),
            "\x1b[3A\x1b[Ja line that stays\nHEAD\nrow too\n"
        );
    }

    #[test]
    fn a_table_taller_than_the_terminal_shows_its_end() {
        let mut table: Vec<String> = ["HEAD", "1", "2", "3", "4"].map(str::to_owned).into();
        fit(&mut table, 5);
        assert_eq!(table.len(), 5);
        fit(&mut table, 4);
        assert_eq!(table, ["HEAD", "... 2 earlier calls", "3", "4"]);
    }

    #[test]
    fn a_speaker_event_is_a_line_and_obeys_no_escape() {
        let data = r#"{"id":1,"kind":"speaker","time":"2026-11-23T22:30:05Z","call":null,"speaker":{"id":"a\u001b[2J",
            "status":"opted-out","voiceprint_version":null,"model_version":null,"enrolled_at":null,
            "net_speech_s":null,"opted_out_at":null,"consent":null}}"#;
        let event = serde_json::from_str(data).unwrap();
        assert_eq!(line(&event, &TimeZone::UTC), "22:30:05  speaker       a\u{fffd}[2J  opted-out");
    }
}
