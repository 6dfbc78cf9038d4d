//! Which frames of recordings are net speech: reads raw 16-bit samples at 8 kHz from standard input, preceded by their
//! number (u32), one recording after another, little endian; writes for each recording one byte a frame, 1 for speech.
//!
//! `benches/netspeech/compare.py` drives it.

use std::io::{self, Read, Write};
use vouch_dsp::features::Band;
use vouch_dsp::listener::{Listener, MAX_WAIT_FRAMES, Origin};

fn main() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let mut rest = &input[..];
    while let Some((count, later)) = rest.split_first_chunk() {
        let count = 2 * u32::from_le_bytes(*count) as usize;
        let (bytes, later) = later.split_at_checked(count).ok_or(io::ErrorKind::UnexpectedEof)?;
        let pcm: Vec<i16> =
            bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        io::stdout().write_all(&frames(&pcm))?;
        rest = later;
    }
    Ok(())
}

/// One byte for each 25 ms frame that fits. Frames come out a fixed time after they were heard, so silence follows.
fn frames(pcm: &[i16]) -> Vec<u8> {
    let band = Band::Narrow;
    let count =
        (pcm.len() + band.shift_samples()).saturating_sub(band.frame_samples()) / band.shift_samples();
    let mut marks = vec![0; count + 2 * MAX_WAIT_FRAMES];
    let mut listener = Listener::new(band);
    let (first, shifts) = pcm.split_at((band.frame_samples() - band.shift_samples()).min(pcm.len()));
    listener.hear(first, Origin::Heard, |_| ());
    let silence = vec![0; MAX_WAIT_FRAMES * band.shift_samples()];
    let whole = shifts.len() / band.shift_samples() * band.shift_samples();
    for (now, samples) in [&shifts[..whole], &silence].concat().chunks(band.shift_samples()).enumerate() {
        let mut place = (now + 1).saturating_sub(MAX_WAIT_FRAMES);
        listener.hear(samples, Origin::Heard, |_| {
            marks[place] = 1;
            place += 1;
        });
    }
    marks.truncate(count);
    marks
}
