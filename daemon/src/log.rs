//! Where the log goes: to the journal under systemd, to standard error otherwise.
//!
//! Under systemd the daemon speaks the journal's own protocol rather than prefixing lines with `<N>`, because only so
//! do fields stay fields: `journalctl -u vouchd VOUCH_CALL=c17` finds everything about one call.
//!
//! Personal data has no place in a log: see [`crate::pii`].

use std::os::linux::fs::MetadataExt;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::prelude::*;
use tracing_subscriber::util::TryInitError;

mod journal;

/// Level when nothing else is asked for.
pub const DEFAULT_FILTER: &str = "info";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is no level and no list of `target=level`.
    #[error("`{filter}` is no log level; use error, warn, info, debug, trace or target=level,...")]
    Filter {
        /// The text that was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Another part of the program set a log up before.
    #[error("the log is set up already")]
    Twice(#[from] TryInitError),
}

/// Sends the log of the whole program to where it belongs.
///
/// `filter` is a level such as `debug`, or a list such as `info,vouch::sip=debug`.
///
/// # Errors
/// When `filter` is not understood, or at a second call.
pub fn init(filter: &str) -> Result<(), LogError> {
    // What the database says about itself helps nobody who looks into a call.
    let filter = EnvFilter::try_new(format!("sled=warn,{filter}"))
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(filter);
    if stderr_is_journal() {
        registry.with(journal::JournalLayer).try_init()?;
    } else {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        registry.with(lines).try_init()?;
    }
    Ok(())
}

/// Whether systemd connected standard error with the journal.
///
/// The variable alone proves nothing, since children inherit it: it names the device and inode of the stream, and
/// these must be those of standard error (systemd.exec(5), `JOURNAL_STREAM`).
fn stderr_is_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let stderr = std::fs::metadata("/proc/self/fd/2").ok();
    match (stream.as_deref().and_then(parse_stream), stderr) {
        (Some(stream), Some(stderr)) => stream == (stderr.st_dev(), stderr.st_ino()),
        _ => false,
    }
}

fn parse_stream(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_stream_is_recognised() {
        assert_eq!(parse_stream("9:12345"), Some((9, 12345)));
        for text in ["", "9", "9:", ":1", "a:b", "9:1:2", "-1:2"] {
            assert_eq!(parse_stream(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = init("vouch=loud").unwrap_err();
        assert!(error.to_string().contains("`vouch=loud` is no log level"), "{error}");
    }
}
