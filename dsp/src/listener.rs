//! One ear: PCM in, speech frames and quality out.

use crate::features::{Band, LogMel, MAX_FRAME_SAMPLES, log_mel};
use crate::kernel::Kernel;
use crate::speech::{Detector, FRAMES_PER_STEP, Sound, WAITING};
use heapless::Deque;

mod quality;

pub use quality::Quality;
use quality::{FrameFigures, Tally};

/// Where samples came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Decoded from a packet that arrived.
    Heard,
    /// Invented by loss concealment: never counts as speech.
    Concealed,
}

/// Detector and front end of one stream.
///
/// Frames come out in order, each less than [`MAX_WAIT_FRAMES`] frames after its last sample was heard: what follows a
/// sound shows whether it is speech.
#[derive(Clone, Debug)]
pub struct Listener {
    band: Band,
    /// Samples of the next frame, oldest first.
    buffer: [i16; MAX_FRAME_SAMPLES],
    filled: usize,
    /// Samples in the buffer that are concealed or older than the newest concealed one.
    tainted: usize,
    detector: Detector,
    waiting: Deque<Waiting, WAITING>,
    tally: Tally,
}

/// Most frames that a speech frame waits before it is handed out.
pub const MAX_WAIT_FRAMES: usize = WAITING;

/// A frame that may turn out to be speech.
#[derive(Clone, Debug)]
struct Waiting {
    mel: LogMel,
    figures: FrameFigures,
    sound: Sound,
}

impl Listener {
    /// A listener that heard nothing yet, with the fastest kernel of this processor. To ask for it takes long on a
    /// virtual machine: better [`restart`](Self::restart) a listener than make another.
    pub fn new(band: Band) -> Self {
        Self::with_kernel(band, Kernel::detect())
    }

    /// A listener that heard nothing yet.
    pub const fn with_kernel(band: Band, kernel: Kernel) -> Self {
        Self {
            band,
            buffer: [0; MAX_FRAME_SAMPLES],
            filled: 0,
            tainted: 0,
            detector: Detector::new(band, kernel),
            waiting: Deque::new(),
            tally: Tally::new(),
        }
    }

    /// Forgets everything; a stream of this band begins.
    pub fn restart(&mut self, band: Band) {
        *self = Self::with_kernel(band, self.detector.kernel());
    }

    /// Band of the stream.
    pub const fn band(&self) -> Band {
        self.band
    }

    /// Goes on in another band: what the stream sounds like is learnt anew, the figures go on.
    pub fn change_band(&mut self, band: Band) {
        *self = Self { tally: self.tally.clone(), ..Self::with_kernel(band, self.detector.kernel()) };
    }

    /// Takes the next samples; `speech` gets each frame that counts as net speech, in order.
    pub fn hear(&mut self, pcm: &[i16], origin: Origin, mut speech: impl FnMut(&LogMel)) {
        self.tally.heard(pcm.len(), self.band, origin == Origin::Concealed);
        self.take(pcm, origin, &mut speech);
    }

    /// The stream has ended: what still waits is judged as if silence followed.
    pub fn finish(&mut self, mut speech: impl FnMut(&LogMel)) {
        let silence = [0; MAX_FRAME_SAMPLES];
        self.take(&silence[..self.band.frame_samples()], Origin::Heard, &mut speech);
        for _ in 0..WAITING {
            self.take(&silence[..self.band.shift_samples()], Origin::Heard, &mut speech);
        }
    }

    fn take(&mut self, pcm: &[i16], origin: Origin, speech: &mut impl FnMut(&LogMel)) {
        let mut rest = pcm;
        while !rest.is_empty() {
            let room = self.band.frame_samples() - self.filled;
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.buffer[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            if origin == Origin::Concealed {
                self.tainted = self.filled;
            }
            rest = later;
            if self.filled == self.band.frame_samples() {
                self.frame(speech);
                self.shift();
            }
        }
    }

    /// Figures so far.
    pub fn quality(&self) -> Quality {
        self.tally.quality()
    }

    /// Judges the frame in the buffer.
    fn frame(&mut self, speech: &mut impl FnMut(&LogMel)) {
        if self.tainted > 0 {
            return;
        }
        let samples = &self.buffer[..self.filled];
        let newest = &samples[samples.len() - self.band.shift_samples()..];
        let mel = log_mel(self.band, samples);
        let noticed = self.detector.hear(&mel);
        let now = Waiting { mel, figures: FrameFigures::of(newest), sound: noticed.sound };
        if self.waiting.push_back(now).is_err() {
            unreachable!("of WAITING frames the detector judges the first ones");
        }
        if let Some(is_speech) = noticed.judged {
            for waited in (0..FRAMES_PER_STEP).filter_map(|_| self.waiting.pop_front()) {
                match (is_speech, waited.sound) {
                    (true, Sound::Background | Sound::Foreground) => {
                        self.tally.speech(waited.figures);
                        speech(&waited.mel);
                    }
                    (false, Sound::Background) => self.tally.pause(waited.figures),
                    (_, Sound::Tone) | (false, Sound::Foreground) => self.tally.sound(),
                }
            }
        }
    }

    /// Makes room for the next 10 ms.
    fn shift(&mut self) {
        let shift = self.band.shift_samples();
        self.buffer.copy_within(shift..self.filled, 0);
        self.filled -= shift;
        self.tainted = self.tainted.saturating_sub(shift);
    }
}
