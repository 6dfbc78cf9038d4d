//! Makes `dsp/src/noise/babble.mel`, the noise of the noisy copies that an enrollment is also made of.
//!
//! `cargo run --release -p vouch --example babble -- RECORDING dsp/src/noise/babble.mel`
//!
//! The committed file is of `noise/babble/babble7_3.flac` of the development corpora: seven voices at once, 5 s of it.
//! One byte for each mel bin of each frame: how far it lies below the loudest, in sixteenths of a neper of power. No
//! voice can be made of it, and it depends on nothing but the features, so that another model does not need it anew.

use std::path::Path;
use vouch::audio::Recording;
use vouch_dsp::features::{Band, log_mel};
use vouch_dsp::noise::FRAMES;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("babble RECORDING FILE".into());
    };
    let band = Band::Wide;
    let pcm = Recording::read(Path::new(&from))?.pcm_at(band);
    let windows = pcm.windows(band.frame_samples()).step_by(band.shift_samples());
    let frames: Vec<_> = windows.map(|window| log_mel(band, window)).take(FRAMES).collect();
    if frames.len() < FRAMES {
        return Err(format!("the recording is shorter than {FRAMES} frames").into());
    }
    let loudest = frames.iter().flatten().copied().max().unwrap_or(0);
    let below = |value: &i16| u8::try_from((i32::from(loudest) - i32::from(*value)) >> 5).unwrap_or(u8::MAX);
    std::fs::write(to, frames.iter().flatten().map(below).collect::<Vec<u8>>())?;
    Ok(())
}
