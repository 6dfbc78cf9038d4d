//! Calls whose audio a capture device brings: no packets, no sockets, and a time that whoever reads the device tells.

use super::codec::PayloadMap;
use super::line::Line;
use super::{CallSlot, Engine, EngineError, StreamId, StreamRole};
use std::time::Instant;
use vouch_dsp::features::Band;

/// What a capture device gave.
#[derive(Clone, Copy, Debug)]
pub struct Capture<'a> {
    /// Samples of the caller's channel, at the rate of the band.
    pub pcm: &'a [i16],
    /// The band.
    pub band: Band,
    /// Samples that were lost in front of these, by an overrun or while the device was away.
    pub lost: u32,
    /// When the last of the samples was spoken.
    pub at: Instant,
}

impl Engine {
    /// Takes a slot for a call of a capture device, whose audio [`Self::hear_capture`] brings; `analysed` as for
    /// [`Self::open_call`].
    ///
    /// # Errors
    /// [`EngineError::PoolFull`]; other calls are not affected.
    pub fn open_captured_call(&self, analysed: bool) -> Result<(CallSlot, StreamId), EngineError> {
        let slot = self.take_slot(analysed, true)?;
        let stream = self.add_line(slot, Line::tapped(), StreamRole::Caller)?;
        self.set_tapped(stream, PayloadMap::default(), true, None)?;
        Ok((slot, stream))
    }

    /// Takes audio of a captured call. Of a call that ended it takes nothing.
    pub fn hear_capture(&self, stream: StreamId, capture: &Capture<'_>) {
        let Some(mut call) = self.pool.call(stream.slot) else { return };
        call.take_capture(stream.line, capture);
        if call.reached_mark() {
            self.pool.changes.tell(stream.slot.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineConfig;
    use crate::engine::codec::Codec;
    use std::time::Duration;
    use vouch_dsp::network::Network;

    fn engine() -> Engine {
        let config = EngineConfig { max_calls: 1, ports: 40_000..=40_003, workers: 1, receivers: 1 };
        Engine::start(&config, Network::load(crate::model::BLOB).unwrap()).unwrap()
    }

    #[test]
    fn what_is_captured_is_heard_in_its_band_and_lost_audio_counts_as_lost() {
        let (engine, start) = (engine(), Instant::now());
        for (band, codec) in [(Band::Wide, Codec::L16Wide), (Band::Narrow, Codec::L16Narrow)] {
            let (slot, stream) = engine.open_captured_call(true).unwrap();
            let second = vec![100; band.sample_rate()];
            for lost in [0, second.len() as u32 / 2] {
                engine.hear_capture(stream, &Capture { pcm: &second, band, lost, at: start });
            }
            let progress = engine.progress(slot).unwrap();
            assert_eq!((progress.band, progress.codec), (band, Some(codec)));
            assert_eq!((progress.quality.heard_ms, progress.quality.concealed_ms), (2500, 500));
            assert_eq!((progress.traffic.packets, progress.traffic.unheard), (2, 0));
            assert_eq!(progress.last_packet, Some(start));
            engine.close_call(slot);
        }
    }

    #[test]
    fn of_a_caller_who_must_not_be_analysed_nothing_is_heard() {
        let (engine, start) = (engine(), Instant::now());
        let (slot, stream) = engine.open_captured_call(false).unwrap();
        let hear = |seconds| {
            let at = start + Duration::from_secs(seconds);
            engine.hear_capture(stream, &Capture { pcm: &[100; 8000], band: Band::Narrow, lost: 800, at });
            engine.progress(slot).unwrap()
        };
        let progress = hear(1);
        assert_eq!((progress.quality.heard_ms, progress.traffic.unheard), (0, 1));
        engine.set_analysed(slot, true).unwrap();
        assert!(hear(2).quality.heard_ms >= 1000);
        engine.set_analysed(slot, false).unwrap();
        let progress = hear(3);
        assert_eq!((progress.quality.heard_ms, progress.traffic.unheard), (0, 2));
    }

    #[test]
    fn a_full_engine_refuses_and_a_call_that_ended_takes_nothing() {
        let engine = engine();
        let (slot, stream) = engine.open_captured_call(true).unwrap();
        assert!(matches!(engine.open_captured_call(true), Err(EngineError::PoolFull(1))));
        engine.close_call(slot);
        let at = Instant::now();
        engine.hear_capture(stream, &Capture { pcm: &[100; 80], band: Band::Narrow, lost: 0, at });
        assert_eq!(engine.counters().traffic.packets, 0);
    }
}
