//! From the caller's packets to speech frames: jitter buffer, decoder, concealment, detector, ring.

use super::clock::{Gap, StreamClock};
use super::codec::{Codec, MAX_SAMPLES, Payload, PayloadMap};
use super::jitter::{JitterBuffer, Ordered, PAYLOAD_BYTES};
use super::stream::Traffic;
use crate::wire::rtp::RtpPacket;
use std::time::Instant;
use vouch_dsp::codec::conceal::Concealer;
use vouch_dsp::features::{Band, LogMel};
use vouch_dsp::listener::{Listener, Origin, Quality};
use vouch_dsp::ring::SpeechRing;
use vouch_dsp::sizes::{MAX_FRAMES, MELS};

/// Bytes that an ear holds beside itself: the newest speech, and the packets whose turn has not come.
pub(super) const EAR_BYTES: usize = MAX_FRAMES * size_of::<LogMel>() + PAYLOAD_BYTES;

/// Longest stretch invented for a loss, in samples: 1 s. What is longer would only repeat the same fact.
const MAX_CONCEALED: u32 = 8000;
/// Longest stretch of silence put where a sender paused (silence suppression), in samples: 200 ms, enough for the
/// detector to see the pause.
const MAX_PAUSE: u32 = 1600;
/// Samples concealed at once: 20 ms.
const BLOCK: usize = 160;

/// Hears one stream.
#[derive(Debug)]
pub(super) struct Ear {
    jitter: JitterBuffer,
    hearing: Hearing,
}

/// Everything behind the jitter buffer.
#[derive(Debug)]
struct Hearing {
    listener: Listener,
    concealer: Concealer,
    ring: SpeechRing<FrameMemory>,
    clock: StreamClock,
    facts: Facts,
}

/// Memory of the newest [`MAX_FRAMES`] speech frames. As plain numbers it comes zeroed from the system, which gives
/// the pages only when a call fills them.
#[derive(Debug)]
struct FrameMemory(Box<[i16]>);

/// What an ear noticed beside the speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Codec heard last.
    pub(super) codec: Option<Codec>,
    /// Packets of payload types that nobody decodes.
    pub(super) unsupported: u64,
    /// The last such payload type.
    pub(super) unsupported_type: Option<u8>,
    /// When the first frame of the speech held since the last restart came.
    pub(super) speech_from: Option<Instant>,
    /// When the newest one came.
    pub(super) speech_to: Option<Instant>,
}

impl Ear {
    /// An ear that heard nothing; everything it ever needs is allocated here.
    pub(super) fn new() -> Self {
        Self { jitter: JitterBuffer::new(), hearing: Hearing::new() }
    }

    /// Takes the next packet of the stream.
    pub(super) fn take(&mut self, packet: &RtpPacket<'_>, map: &PayloadMap, now: Instant) {
        let Self { jitter, hearing } = self;
        jitter.push(packet, now, &mut |ordered| hearing.take(&ordered, map, now));
    }

    /// Gives up what has been missing for too long.
    pub(super) fn tick(&mut self, map: &PayloadMap, now: Instant) {
        let Self { jitter, hearing } = self;
        jitter.tick(now, &mut |ordered| hearing.take(&ordered, map, now));
    }

    /// Notes that the stream stops here for a while: what comes later follows on nothing.
    pub(super) fn interrupt(&mut self, map: &PayloadMap, now: Instant) {
        let Self { jitter, hearing } = self;
        jitter.interrupt(&mut |ordered| hearing.take(&ordered, map, now));
    }

    /// Whether packets wait for [`Self::tick`].
    pub(super) fn is_waiting(&self) -> bool {
        self.jitter.is_waiting()
    }

    /// Forgets and wipes the speech collected, but not the place in the stream.
    pub(super) fn restart(&mut self) {
        self.hearing.restart(self.band());
    }

    /// Forgets and wipes everything; gives what it counted up to now.
    pub(super) fn clear(&mut self) -> Traffic {
        let traffic = self.traffic();
        self.jitter.clear();
        self.hearing.clear();
        traffic
    }

    /// What became of the packets since the ear was last cleared.
    pub(super) fn traffic(&self) -> Traffic {
        let jitter = self.jitter.counts();
        Traffic { jitter, unsupported: self.hearing.facts.unsupported, ..Traffic::default() }
    }

    pub(super) fn facts(&self) -> Facts {
        self.hearing.facts
    }

    pub(super) fn quality(&self) -> Quality {
        self.hearing.listener.quality()
    }

    pub(super) fn band(&self) -> Band {
        self.hearing.listener.band()
    }

    /// Frames of net speech since the last restart.
    pub(super) fn speech_frames(&self) -> u64 {
        self.hearing.ring.total()
    }

    /// Copies speech frames from `first` on; see [`SpeechRing::copy_window`].
    pub(super) fn copy_window(&self, first: u64, out: &mut [LogMel]) -> bool {
        self.hearing.ring.copy_window(first, out)
    }
}

impl FrameMemory {
    fn new() -> Self {
        Self(vec![0; MAX_FRAMES * MELS].into_boxed_slice())
    }
}

impl AsRef<[LogMel]> for FrameMemory {
    fn as_ref(&self) -> &[LogMel] {
        self.0.as_chunks().0
    }
}

impl AsMut<[LogMel]> for FrameMemory {
    fn as_mut(&mut self) -> &mut [LogMel] {
        self.0.as_chunks_mut().0
    }
}

#[cfg(test)]
impl Ear {
    /// Puts frames of speech into the ring, each carrying its number.
    pub(super) fn push_speech(&mut self, frames: u64) {
        for _ in 0..frames {
            let number = self.hearing.ring.total() as i16;
            self.hearing.ring.push(&[number; MELS]);
        }
    }
}

impl Hearing {
    fn new() -> Self {
        Self {
            listener: Listener::new(Band::Narrow),
            concealer: Concealer::new(),
            ring: SpeechRing::new(FrameMemory::new()),
            clock: StreamClock::default(),
            facts: Facts::default(),
        }
    }

    fn restart(&mut self, band: Band) {
        self.listener.restart(band);
        self.ring.clear();
        self.facts.speech_from = None;
        self.facts.speech_to = None;
    }

    fn clear(&mut self) {
        self.restart(Band::Narrow);
        self.concealer = Concealer::new();
        self.clock = StreamClock::default();
        self.facts = Facts::default();
    }

    fn take(&mut self, packet: &Ordered<'_>, map: &PayloadMap, now: Instant) {
        self.clock.arrive(packet.new_source, packet.lost_before);
        match map.get(packet.payload_type) {
            Payload::Audio(codec) => self.take_audio(codec, packet, now),
            Payload::TelephoneEvent => self.take_event(packet),
            Payload::ComfortNoise => {}
            Payload::Unknown => {
                self.facts.unsupported += 1;
                self.facts.unsupported_type = Some(packet.payload_type);
            }
        }
    }

    fn take_audio(&mut self, codec: Codec, packet: &Ordered<'_>, now: Instant) {
        if codec.band() != self.listener.band() {
            self.restart(codec.band());
        }
        let mut pcm = [0; MAX_SAMPLES];
        let samples = codec.decode(packet.payload, &mut pcm);
        if samples == 0 {
            return;
        }
        let gap = self.clock.step(packet.timestamp, samples as u32);
        self.bridge(gap, now);
        let pcm = &mut pcm[..samples];
        self.concealer.heard(pcm);
        if self.clock.is_pressed(packet.timestamp) {
            pcm.fill(0);
        }
        self.hear(pcm, Origin::Heard, now);
        self.facts.codec = Some(codec);
    }

    /// Fills a gap: what was lost is concealed, and where the sender paused there is silence.
    fn bridge(&mut self, gap: Gap, now: Instant) {
        let mut block = [0; BLOCK];
        for length in blocks(gap.lost.min(MAX_CONCEALED)) {
            self.concealer.conceal(&mut block[..length]);
            self.hear(&block[..length], Origin::Concealed, now);
        }
        block.fill(0);
        for length in blocks(gap.pause.min(MAX_PAUSE)) {
            self.hear(&block[..length], Origin::Heard, now);
        }
    }

    /// Notes a key press: event, end and volume, duration (RFC 4733 section 2.3).
    fn take_event(&mut self, packet: &Ordered<'_>) {
        if let [_, _, high, low, ..] = *packet.payload {
            self.clock.press(packet.timestamp, u16::from_be_bytes([high, low]));
        }
    }

    fn hear(&mut self, pcm: &[i16], origin: Origin, now: Instant) {
        let Self { listener, ring, facts, .. } = self;
        listener.hear(pcm, origin, |frame| {
            ring.push(frame);
            facts.speech_from.get_or_insert(now);
            facts.speech_to = Some(now);
        });
    }
}

/// Cuts `samples` into lengths of at most [`BLOCK`].
fn blocks(samples: u32) -> impl Iterator<Item = usize> {
    let samples = samples as usize;
    (0..samples).step_by(BLOCK).map(move |done| BLOCK.min(samples - done))
}
