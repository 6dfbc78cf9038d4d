//! `vouchctl`, the technician's tool.
//!
//! Each command is one request to the socket API, except the offline ones, which need no daemon. Standard output
//! carries the answer (a table, or with `--json` what the daemon said), standard error carries what went wrong, and
//! the exit code says which kind of end it was ([`error::CtlError::exit_code`]).

pub mod args;
pub mod client;
pub mod error;

mod commands;
mod early;
mod form;
mod offline;
mod output;
mod replay;
mod show;
mod sse;
mod table;
mod watch;

use args::Ctl;
use clap::Parser;
use error::CtlError;
use std::io;
use std::process::ExitCode;

/// Runs the tool with the arguments of the process.
pub fn main() -> ExitCode {
    let ctl = Ctl::parse();
    let json = ctl.json;
    match commands::run(ctl) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has what he wanted, as `head` has.
        Err(CtlError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            if json {
                eprintln!("{}", error.to_problem().json());
            } else {
                eprintln!("vouchctl: {error}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}
