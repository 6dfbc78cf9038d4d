//! From the caller's packets to speech frames: jitter buffer, decoder, concealment, detector, ring.

use super::captured::Capture;
use super::clock::{Gap, StreamClock};
use super::codec::{Codec, Foreign, MAX_SAMPLES, Payload, PayloadMap};
use super::decoders::Decoders;
use super::jitter::{JitterBuffer, Ordered, PAYLOAD_BYTES};
use super::stream::Traffic;
use crate::wire::rtp::RtpPacket;
use std::time::Instant;
use vouch_dsp::codec::conceal::Concealer;
use vouch_dsp::features::{Band, LogMel};
use vouch_dsp::listener::{Listener, Origin, Quality};
use vouch_dsp::ring::SpeechRing;
use vouch_dsp::sizes::{MAX_FRAMES, MELS};

/// Bytes that an ear holds beside itself: the newest speech, the packets whose turn has not come, the decoders' state.
pub(super) fn ear_bytes() -> usize {
    MAX_FRAMES * size_of::<LogMel>() + PAYLOAD_BYTES + Decoders::state_bytes()
}

/// Longest stretch invented for a loss, in ms. What is longer would only repeat the same fact.
const MAX_CONCEALED_MS: u32 = 1000;
/// Longest stretch of silence put where a sender paused (silence suppression), in ms: enough for the detector to see
/// the pause.
const MAX_PAUSE_MS: u32 = 200;
/// Samples concealed at once: 10 or 20 ms.
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
    decoders: Decoders,
    listener: Listener,
    concealer: Concealer,
    /// Frames of both bands, in the scale of the telephone.
    ring: SpeechRing<FrameMemory>,
    /// First frame of the stretch of wideband speech that goes on to the newest one.
    wide_from: Option<u64>,
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
    /// The last codec heard of that nobody decodes.
    pub(super) foreign: Option<Foreign>,
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

    /// Takes what a capture device gave: in order, and decoded.
    pub(super) fn take_capture(&mut self, capture: &Capture<'_>) {
        self.hearing.take_capture(capture);
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

    /// Band of the speech from frame `first` on: the wide one only where all of it is wideband.
    pub(super) fn band_from(&self, first: u64) -> Band {
        let is_wide = self.hearing.wide_from.is_some_and(|from| first >= from);
        if is_wide { Band::Wide } else { Band::Narrow }
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
            decoders: Decoders::new(),
            listener: Listener::new(Band::Narrow),
            concealer: Concealer::new(Band::Narrow),
            ring: SpeechRing::new(FrameMemory::new()),
            wide_from: None,
            clock: StreamClock::default(),
            facts: Facts::default(),
        }
    }

    fn restart(&mut self, band: Band) {
        self.listener.restart(band);
        self.ring.clear();
        self.wide_from = (band == Band::Wide).then_some(0);
        self.facts.speech_from = None;
        self.facts.speech_to = None;
    }

    fn clear(&mut self) {
        self.restart(Band::Narrow);
        self.decoders.reset();
        self.concealer = Concealer::new(Band::Narrow);
        self.clock = StreamClock::default();
        self.facts = Facts::default();
    }

    fn take(&mut self, packet: &Ordered<'_>, map: &PayloadMap, now: Instant) {
        self.clock.arrive(packet.new_source, packet.lost_before);
        if packet.new_source {
            self.decoders.reset();
        }
        match map.get(packet.payload_type) {
            Payload::Audio(codec) => self.take_audio(codec, packet, now),
            Payload::TelephoneEvent { clock_khz } => self.take_event(packet, clock_khz),
            Payload::ComfortNoise => {}
            Payload::Foreign(codec) => {
                self.facts.foreign = Some(codec);
                self.facts.miss(packet.payload_type);
            }
            Payload::Unknown => self.facts.miss(packet.payload_type),
        }
    }

    fn take_audio(&mut self, codec: Codec, packet: &Ordered<'_>, now: Instant) {
        let mut pcm = [0; MAX_SAMPLES];
        let samples = self.decoders.decode(codec, packet.payload, &mut pcm);
        if samples == 0 {
            return;
        }
        self.hear_in(codec.band());
        let gap = self.clock.step(packet.timestamp, codec.ticks(samples as u32), codec.clock_hz());
        self.bridge(Gap { lost: codec.samples(gap.lost), pause: codec.samples(gap.pause) }, now);
        let pcm = &mut pcm[..samples];
        self.concealer.heard(pcm);
        if self.clock.is_pressed(packet.timestamp) {
            pcm.fill(0);
        }
        self.hear(pcm, Origin::Heard, now);
        self.facts.codec = Some(codec);
    }

    fn take_capture(&mut self, capture: &Capture<'_>) {
        self.hear_in(capture.band);
        self.bridge(Gap { lost: capture.lost, pause: 0 }, capture.at);
        // The concealer fades what follows a loss in, in place; without a loss it only remembers.
        let mut block = [0; BLOCK];
        for pcm in capture.pcm.chunks(BLOCK) {
            let block = &mut block[..pcm.len()];
            block.copy_from_slice(pcm);
            self.concealer.heard(block);
            self.hear(block, Origin::Heard, capture.at);
        }
        self.facts.codec = Some(match capture.band {
            Band::Narrow => Codec::L16Narrow,
            Band::Wide => Codec::L16Wide,
        });
    }

    /// Goes on in another band, if it is another one. Speech collected so far stays, for the telephone band.
    fn hear_in(&mut self, band: Band) {
        if band == self.listener.band() {
            return;
        }
        self.listener.change_band(band);
        self.concealer = Concealer::new(band);
        self.wide_from = (band == Band::Wide).then(|| self.ring.total());
    }

    /// Fills a gap, given in samples: what was lost is concealed, and where the sender paused there is silence.
    fn bridge(&mut self, gap: Gap, now: Instant) {
        let per_ms = self.listener.band().sample_rate() as u32 / 1000;
        let mut block = [0; BLOCK];
        for length in blocks(gap.lost.min(MAX_CONCEALED_MS * per_ms)) {
            self.concealer.conceal(&mut block[..length]);
            self.hear(&block[..length], Origin::Concealed, now);
        }
        block.fill(0);
        for length in blocks(gap.pause.min(MAX_PAUSE_MS * per_ms)) {
            self.hear(&block[..length], Origin::Heard, now);
        }
    }

    /// Notes a key press: event, end and volume, duration (RFC 4733 section 2.3). The duration may count by another clock
    /// than the audio beside it.
    fn take_event(&mut self, packet: &Ordered<'_>, clock_khz: u8) {
        if let [_, _, high, low, ..] = *packet.payload {
            let duration = u32::from(u16::from_be_bytes([high, low]));
            let audio_khz = self.clock.rate() / 1000;
            let rates = if audio_khz == 0 { (1, 1) } else { (audio_khz, u32::from(clock_khz.max(1))) };
            self.clock.press(packet.timestamp, duration * rates.0 / rates.1);
        }
    }

    fn hear(&mut self, pcm: &[i16], origin: Origin, now: Instant) {
        let Self { listener, ring, facts, .. } = self;
        let band = listener.band();
        listener.hear(pcm, origin, |frame| {
            let mut frame = *frame;
            band.to_telephone_scale(&mut frame);
            ring.push(&frame);
            facts.speech_from.get_or_insert(now);
            facts.speech_to = Some(now);
        });
    }
}

impl Facts {
    /// Notes a packet that nobody decodes.
    fn miss(&mut self, payload_type: u8) {
        self.unsupported += 1;
        self.unsupported_type = Some(payload_type);
    }
}

/// Cuts `samples` into lengths of at most [`BLOCK`].
fn blocks(samples: u32) -> impl Iterator<Item = usize> {
    let samples = samples as usize;
    (0..samples).step_by(BLOCK).map(move |done| BLOCK.min(samples - done))
}
