//! Standard output: one place where writing can fail.

use super::error::CtlError;
use std::io::{IsTerminal, Write, stdout};

/// Prints `text` and flushes, so that a reader at the other end of a pipe has it at once.
pub(super) fn print(text: &str) -> Result<(), CtlError> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CtlError::Output)
}

/// Prints `text` and ends the line.
pub(super) fn print_line(text: &str) -> Result<(), CtlError> {
    print(&format!("{text}\n"))
}

/// Width and height of the terminal that standard output is, if it is one.
pub(super) fn terminal() -> Option<(usize, usize)> {
    if !stdout().is_terminal() {
        return None;
    }
    let (width, height) = terminal_size::terminal_size().map_or((80, 24), |(w, h)| (w.0, h.0));
    Some((usize::from(width), usize::from(height)))
}
