//! Load: many SIPREC calls at once against a vouchd of its own, on one machine, with recorded speech.
//!
//! `cargo run --release -p vouch-benches --bin load -- --calls 100,300,1000` prints a line for each number of calls;
//! `--calls 1000 --minutes 10` shows the memory over time. Both streams of each call carry speech in 20 ms packets of
//! G.711; nine callers of ten are who they claim to be.

#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

mod cast;
mod daemon;
mod run;

use cast::Cast;
use clap::Parser;
use std::process::ExitCode;
use std::time::Duration;

/// Places many SIPREC calls with recorded speech to a vouchd of its own, and measures what they cost.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Args {
    /// Calls at once; several numbers are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "100,300,1000,2000")]
    calls: Vec<usize>,
    /// Calls placed in a second.
    #[arg(long, default_value_t = 25)]
    rate: u32,
    /// Seconds that are measured, after every caller has been decided on.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Measure so many minutes instead, from the last call on, with samples of the memory.
    #[arg(long)]
    minutes: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(calls) = args.calls.iter().find(|calls| !(1..=daemon::MAX_CALLS).contains(*calls)) {
        eprintln!("load: --calls {calls}: between 1 and {} calls can be placed", daemon::MAX_CALLS);
        return ExitCode::from(2);
    }
    let Some(cast) = Cast::new() else { return ExitCode::SUCCESS };
    let mut all_well = true;
    for &calls in &args.calls {
        let plan = run::Plan {
            calls,
            rate: args.rate.max(1),
            window: args.minutes.map_or(Duration::from_secs(args.seconds), Duration::from_mins),
            soak: args.minutes.is_some(),
        };
        let Some(report) = run::run(&cast, plan) else { return ExitCode::SUCCESS };
        println!("{report}");
        all_well &= report.is_well();
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
