//! Codings of telephone lines. Those that Vouch itself does not decode are left to `sox` and `ffmpeg`, as programs.

use crate::Outcome;
use std::io::Write;
use std::process::{Command, Stdio};
use vouch_dsp::codec::g711::Law;

/// A coding, there and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    G711(Law),
    /// GSM full rate (`sox`).
    Gsm,
    /// AMR narrowband at 4.75 kbit/s (0) to 12.2 kbit/s (7) (`sox`).
    Amr(u8),
    /// Opus at so many kbit/s (`ffmpeg`).
    Opus(u8),
}

impl Codec {
    /// What comes out of the decoder.
    pub(crate) fn carry(self, pcm: &[i16], rate: usize) -> Outcome<Vec<i16>> {
        let raw = format!("-t raw -r {rate} -e signed -b 16 -c 1 -");
        let plain = format!("-f s16le -ar {rate} -ac 1");
        let sox = |coded: &str, options: &str| -> Outcome<Vec<u8>> {
            let sent = run("sox", &format!("-D {raw} {coded} {options} -"), bytes(pcm))?;
            run("sox", &format!("-D {coded} - {raw}"), sent)
        };
        let decoded = match self {
            Self::None => return Ok(pcm.to_vec()),
            Self::G711(law) => return Ok(pcm.iter().map(|&sample| law.decode(law.encode(sample))).collect()),
            Self::Gsm => sox("-t gsm -r 8000 -c 1", "")?,
            Self::Amr(mode) => sox("-t amr-nb", &format!("-C {mode}"))?,
            Self::Opus(kbits) => {
                let options = format!("-c:a libopus -b:a {kbits}k -application voip -f ogg -");
                let sent = run("ffmpeg", &format!("-v error {plain} -i - {options}"), bytes(pcm))?;
                run("ffmpeg", &format!("-v error -f ogg -i - {plain} -"), sent)?
            }
        };
        Ok(samples(&decoded))
    }
}

fn bytes(pcm: &[i16]) -> Vec<u8> {
    pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    let (samples, _) = bytes.as_chunks::<2>();
    samples.iter().map(|&sample| i16::from_le_bytes(sample)).collect()
}

/// What `program` makes of `input`; `arguments` are separated by spaces.
fn run(program: &str, arguments: &str, input: Vec<u8>) -> Outcome<Vec<u8>> {
    let failed = |said: &dyn std::fmt::Display| format!("{program} {arguments}: {said}");
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| failed(&error))?;
    let mut stdin = child.stdin.take().ok_or("a child without input")?;
    // Input and output at once: either pipe may fill up.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "a thread died")?.map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(output.stdout)
}
