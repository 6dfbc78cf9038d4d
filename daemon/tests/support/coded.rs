//! Recorded prompts in every codec, as RTP payloads of 20 ms.

use crate::linked;
use crate::opus::OpusEncoder;
use crate::talk::{Talk, payload_type};
use std::path::{Path, PathBuf};
use vouch::audio::Recording;
use vouch::engine::codec::Codec;
use vouch::wire::amr::Rate;
use vouch_dsp::codec::g711::Law;
use vouch_dsp::codec::g722::G722;
use vouch_dsp::features::Band;

const SOUNDS: &str = "/usr/share/asterisk/sounds";
pub const ALLISON: &str = "en_US_f_Allison";
pub const CARLO: &str = "it_IT_m_Carlo";

/// Prompts that one take may use, so that takes never share one.
const PROMPTS_PER_TAKE: usize = 40;

/// 20 ms packets of `seconds` of a person's prompts in a codec; different takes share none. `None`, with a line that says
/// so, where Debian's packages are not installed.
pub fn payloads(codec: Codec, person: &str, take: usize, seconds: usize) -> Option<Vec<Vec<u8>>> {
    let packets = 50 * seconds;
    let take = Take { person, first: PROMPTS_PER_TAKE * take };
    let cut = |bytes: Vec<u8>, size: usize| bytes.chunks_exact(size).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mut all = match codec {
        Codec::G722 => cut(take.raw("g722", 160 * packets)?, 160),
        Codec::Gsm => cut(take.raw("gsm", 33 * packets)?, 33),
        Codec::Pcmu => cut(take.narrow(160 * packets)?.iter().map(|&pcm| Law::Mu.encode(pcm)).collect(), 160),
        Codec::Pcma => cut(take.narrow(160 * packets)?.iter().map(|&pcm| Law::A.encode(pcm)).collect(), 160),
        Codec::L16Narrow => cut(linear(&take.narrow(160 * packets)?), 320),
        Codec::L16Wide => cut(linear(&take.wide(320 * packets)?), 640),
        Codec::Opus => OpusEncoder::open().packets(&take.wide(320 * packets)?),
        Codec::G729 => linked::g729(&take.narrow(160 * packets)?),
        Codec::Amr(Rate::Narrow, packing) => linked::amr(&take.narrow(160 * packets)?, Rate::Narrow, packing),
        Codec::Amr(Rate::Wide, packing) => linked::amr(&take.wide(320 * packets)?, Rate::Wide, packing),
    };
    all.truncate(packets);
    Some(all)
}

impl Talk {
    /// Packets of 20 ms each, in order.
    pub fn coded(&mut self, codec: Codec, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let packet = |payload: &Vec<u8>| {
            let packet = self.packet(payload_type(codec), payload);
            self.timestamp = self.timestamp.wrapping_add(codec.clock_hz() / 50);
            packet
        };
        payloads.iter().map(packet).collect()
    }
}

fn linear(pcm: &[i16]) -> Vec<u8> {
    pcm.iter().flat_map(|sample| sample.to_be_bytes()).collect()
}

/// Some of a person's prompts.
#[derive(Clone, Copy)]
struct Take<'a> {
    person: &'a str,
    first: usize,
}

impl Take<'_> {
    /// Prompts of at least a second and a half, by the size of their WAV files.
    fn prompts(self, ending: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(Path::new(SOUNDS).join(self.person)).into_iter().flatten().flatten();
        let long = |path: &PathBuf| {
            let wav = path.extension().is_some_and(|ending| ending == "wav");
            wav && path.metadata().is_ok_and(|data| (24_000..160_000).contains(&data.len()))
        };
        let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(long).collect();
        all.sort();
        let taken = all.into_iter().skip(self.first).take(PROMPTS_PER_TAKE);
        taken.map(|path| path.with_extension(ending)).filter(|path| path.is_file()).collect()
    }

    fn raw(self, ending: &str, length: usize) -> Option<Vec<u8>> {
        let bytes =
            self.prompts(ending).iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect();
        self.enough(bytes, length, ending)
    }

    fn narrow(self, length: usize) -> Option<Vec<i16>> {
        let read = |file: &PathBuf| Recording::read(file).expect("a prompt package holds readable files");
        let pcm = self.prompts("wav").iter().flat_map(|file| read(file).pcm_at(Band::Narrow)).collect();
        self.enough(pcm, length, "wav")
    }

    fn wide(self, length: usize) -> Option<Vec<i16>> {
        let coded = self.raw("g722", length / 2)?;
        let mut pcm = vec![0; 2 * coded.len()];
        G722::new().decode_into(&coded, &mut pcm);
        Some(pcm)
    }

    fn enough<T>(self, mut all: Vec<T>, length: usize, ending: &str) -> Option<Vec<T>> {
        if all.len() < length {
            let person = self.person;
            eprintln!(
                "skipped: {SOUNDS}/{person} holds too few .{ending} prompts; `make setup` installs them"
            );
            return None;
        }
        all.truncate(length);
        Some(all)
    }
}
