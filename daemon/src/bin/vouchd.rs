//! The daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    vouch::daemon::main()
}
