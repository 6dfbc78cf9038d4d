//! Times of the speaker network on each kernel, and how near it comes to the machine's peak; a line of JSON a figure.
//!
//! `benches/peers/run.sh` runs it beside ONNX Runtime. All times are processor time of the one thread.

mod peak;

use clap::Parser;
use serde_json::json;
use std::io::{self, Write};
use vouch_benches::{Memory, ThreadTime, frames};
use vouch_dsp::features::Band;
use vouch_dsp::kernel::Kernel;
use vouch_dsp::network::{Network, Part};

const SECONDS: [usize; 3] = [3, 10, 30];

/// Times the speaker network.
#[derive(Parser)]
struct Options {
    /// Time the plain kernel too, which takes 20 s
    #[arg(long)]
    with_scalar: bool,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let network = Network::load(vouch::model::BLOB).map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    for kernel in Kernel::all().filter(|kernel| options.with_scalar || *kernel != Kernel::scalar()) {
        let network = network.clone().with_kernel(kernel);
        let rounds = if kernel == Kernel::scalar() { 1 } else { 3 };
        for seconds in SECONDS {
            let times = (0..rounds).map(|_| parts(&network, seconds)).collect::<io::Result<Vec<_>>>()?;
            let total = times.iter().map(|[head, blocks]| head + blocks).fold(f64::MAX, f64::min);
            figure(&mut out, &format!("Vouch {}", kernel.name()), seconds, total)?;
            if seconds == 10
                && let Some(peak) = peak::gmacs(kernel.name())
            {
                let blocks = times.iter().map(|[_, blocks]| *blocks).fold(f64::MAX, f64::min);
                let work = network.work(100 * seconds, Band::Narrow);
                let of_peak = |macs: u64, ms: f64| macs as f64 / ms / 1e6 / peak;
                let name = kernel.name();
                figure(&mut out, &format!("{name}: peak in GMAC/s"), 0, peak)?;
                let whole = of_peak(work.head + work.blocks, total);
                figure(&mut out, &format!("{name}: whole network, part of the peak"), 0, whole)?;
                figure(
                    &mut out,
                    &format!("{name}: dense blocks, part of the peak"),
                    0,
                    of_peak(work.blocks, blocks),
                )?;
            }
        }
    }
    Ok(())
}

/// Milliseconds of the head and of the rest.
fn parts(network: &Network<'_>, seconds: usize) -> io::Result<[f64; 2]> {
    let speech = frames(100 * seconds);
    let mut memory = Memory::new(speech.len());
    // Once to have the memory.
    network.embed(&speech, Band::Narrow, &mut memory.scratch()).map_err(io::Error::other)?;
    let mut times = [0.0; 2];
    let mut start = ThreadTime::now();
    let done = |part| {
        times[usize::from(part != Part::Head)] += start.elapsed_ms();
        start = ThreadTime::now();
    };
    network.embed_in_parts(&speech, Band::Narrow, &mut memory.scratch(), done).map_err(io::Error::other)?;
    Ok(times)
}

fn figure(out: &mut impl Write, what: &str, seconds: usize, value: f64) -> io::Result<()> {
    writeln!(out, "{}", json!({ "what": what, "seconds": seconds, "value": value }))
}
