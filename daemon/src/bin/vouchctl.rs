//! The technician's tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    vouch::ctl::main()
}
