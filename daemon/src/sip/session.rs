//! Session timers (RFC 4028): a dialog that nobody refreshes ends.

use super::message::{Headers, parse_number};
use std::time::{Duration, Instant};

/// Shortest session interval accepted, in seconds (RFC 4028 section 4).
pub const MIN_INTERVAL: u32 = 90;

/// The peer asks for an interval below [`MIN_INTERVAL`] and knows what 422 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalTooSmall;

/// An agreed session timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    interval: u32,
    /// Whether we send the refreshes.
    pub we_refresh: bool,
    peer_knows: bool,
}

impl SessionTimer {
    /// What a refresh request agrees on (RFC 4028 section 9, table 2). Without a `Session-Expires` there is no
    /// timer; nor where the refreshes would be ours and the peer takes no UPDATE to carry them.
    ///
    /// # Errors
    /// [`IntervalTooSmall`] asks for a 422.
    pub fn negotiate(headers: &Headers, peer_takes_update: bool) -> Result<Option<Self>, IntervalTooSmall> {
        let Some(value) = headers.get("Session-Expires") else {
            return Ok(None);
        };
        let mut parts = value.split(';').map(str::trim);
        let Ok(interval) = parse_number(parts.next().unwrap_or_default(), u32::MAX) else {
            return Ok(None);
        };
        let peer_knows = headers.lists_token("Supported", "timer") || headers.lists_token("Require", "timer");
        if interval < MIN_INTERVAL && peer_knows {
            return Err(IntervalTooSmall);
        }
        let asks_us = parts.any(|part| part.replace(' ', "").eq_ignore_ascii_case("refresher=uas"));
        let we_refresh = asks_us || !peer_knows;
        let timer = Self { interval: interval.max(MIN_INTERVAL), we_refresh, peer_knows };
        Ok((!we_refresh || peer_takes_update).then_some(timer))
    }

    /// Headers of the answer that accepts the timer.
    pub fn answer_headers(self) -> Vec<(String, String)> {
        let refresher = if self.we_refresh { "uas" } else { "uac" };
        let mut headers =
            vec![("Session-Expires".to_owned(), format!("{};refresher={refresher}", self.interval))];
        if self.peer_knows {
            headers.push(("Require".to_owned(), "timer".to_owned()));
        }
        headers
    }

    /// Headers of a refresh of ours.
    pub fn refresh_headers(self) -> Vec<(String, String)> {
        vec![
            ("Session-Expires".to_owned(), format!("{};refresher=uac", self.interval)),
            ("Supported".to_owned(), "timer".to_owned()),
        ]
    }

    /// When to act after a refresh `now`: at half the interval to refresh, a third of it (at most 32 s) before
    /// its end to hang up (RFC 4028 section 10).
    pub fn deadline(self, now: Instant) -> Instant {
        let interval = Duration::from_secs(self.interval.into());
        let wait = if self.we_refresh {
            interval / 2
        } else {
            interval - (interval / 3).min(Duration::from_secs(32))
        };
        now + wait
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;

    fn headers(extra: &str) -> Headers {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
             To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{extra}\r\n"
        );
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request.headers,
            other => panic!("{other:?}"),
        }
    }

    fn negotiate(extra: &str, update: bool) -> Option<String> {
        let timer = SessionTimer::negotiate(&headers(extra), update).unwrap()?;
        Some(timer.answer_headers().into_iter().map(|(name, value)| format!("{name}: {value}|")).collect())
    }

    #[test]
    fn the_refresher_is_chosen_as_in_table_2() {
        assert_eq!(negotiate("", true), None);
        let uac = Some("Session-Expires: 1800;refresher=uac|Require: timer|".to_owned());
        assert_eq!(negotiate("Session-Expires: 1800\r\nSupported: timer\r\n", false), uac);
        assert_eq!(negotiate("x: 1800 ; refresher=uac\r\nk: 100rel, timer\r\n", false), uac);
        let uas = Some("Session-Expires: 1800;refresher=uas|Require: timer|".to_owned());
        assert_eq!(negotiate("Session-Expires: 1800;refresher=uas\r\nSupported: timer\r\n", true), uas);
        assert_eq!(negotiate("Session-Expires: 1800;refresher=uas\r\nSupported: timer\r\n", false), None);
        assert_eq!(
            negotiate("Session-Expires: 1800\r\n", true),
            Some("Session-Expires: 1800;refresher=uas|".to_owned())
        );
        assert_eq!(negotiate("Session-Expires: soon\r\nSupported: timer\r\n", true), None);
    }

    #[test]
    fn short_intervals_are_refused_to_those_who_understand() {
        let short = headers("Session-Expires: 60\r\nSupported: timer\r\n");
        assert_eq!(SessionTimer::negotiate(&short, true), Err(IntervalTooSmall));
        let unaware = headers("Session-Expires: 60\r\n");
        assert_eq!(SessionTimer::negotiate(&unaware, true).unwrap().unwrap().interval, MIN_INTERVAL);
    }

    #[test]
    fn deadlines_come_before_the_end() {
        let start = Instant::now();
        let seconds = |interval, we_refresh| {
            let timer = SessionTimer { interval, we_refresh, peer_knows: true };
            (timer.deadline(start) - start).as_secs()
        };
        assert_eq!((seconds(1800, false), seconds(90, false), seconds(1800, true)), (1768, 60, 900));
    }
}
