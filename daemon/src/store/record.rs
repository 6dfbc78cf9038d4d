//! What is stored of a speaker, and its bytes before sealing.

use crate::pii::{Pii, SpeakerId};
use jiff::Timestamp;
use vouch_dsp::features::Band;
use vouch_dsp::network::Embedding;
use vouch_dsp::sizes::EMBEDDING;
use zeroize::Zeroizing;

/// Most embeddings of one voiceprint. The database splits its pages by number of records, not by size;
/// with this many a page of 16 records stays below the 128 KiB from which it would use a file of its own.
pub const MAX_EMBEDDINGS: usize = 8;

/// Longest consent reference, in bytes.
pub const MAX_CONSENT: usize = 1024;

/// An embedding of a voiceprint and what it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEmbedding {
    /// The embedding, kept from logs.
    pub embedding: Pii<Embedding>,
    /// Band of the audio.
    pub band: Band,
    /// Net speech it was made of, in ms.
    pub net_speech_ms: u32,
    /// Speech-to-noise ratio of that speech, in dB.
    pub snr_db: Option<i16>,
}

/// A voiceprint to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVoiceprint {
    /// One to [`MAX_EMBEDDINGS`] embeddings.
    pub embeddings: Vec<StoredEmbedding>,
    /// Version of the model that made them.
    pub model_version: u32,
    /// Reference of the speaker's consent, of at most [`MAX_CONSENT`] bytes.
    pub consent: Option<Pii<String>>,
    /// When the enrollment was complete; kept to the millisecond.
    pub made_at: Timestamp,
}

/// A stored voiceprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voiceprint {
    /// Grows by one with every enrollment of the speaker.
    pub version: u32,
    /// Its content.
    pub content: NewVoiceprint,
}

impl Voiceprint {
    /// Net speech behind the voiceprint, in ms.
    pub fn net_speech_ms(&self) -> u32 {
        self.content.embeddings.iter().fold(0, |sum, e| sum.saturating_add(e.net_speech_ms))
    }
}

/// What the store knows of a speaker. A speaker of whom it knows nothing has no record at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerRecord {
    /// There is a voiceprint.
    Enrolled(Voiceprint),
    /// The speaker opted out, and the voiceprint is gone.
    OptedOut {
        /// When; kept to the millisecond.
        since: Timestamp,
        /// Version of the last voiceprint, so that versions go on after an opt-in; 0 if there was none.
        last_version: u32,
    },
}

/// Bytes that are no record of this format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

const ENROLLED: u8 = 1;
const OPTED_OUT: u8 = 2;
/// Stands for an absent text (as length) or figure.
const NO_TEXT: u16 = u16::MAX;
const NO_FIGURE: i16 = i16::MIN;

/// The record's bytes: numbers little-endian, texts with their length before them. Wiped when dropped.
pub(super) fn encode(speaker: &SpeakerId, record: &SpeakerRecord) -> Zeroizing<Vec<u8>> {
    // Room for the largest record at once: a vector that grows leaves copies behind unwiped.
    let mut out = Zeroizing::new(Vec::with_capacity(LARGEST));
    match record {
        SpeakerRecord::Enrolled(voiceprint) => {
            out.push(ENROLLED);
            put_text(&mut out, Some(speaker.reveal()));
            put_voiceprint(&mut out, voiceprint);
        }
        SpeakerRecord::OptedOut { since, last_version } => {
            out.push(OPTED_OUT);
            put_text(&mut out, Some(speaker.reveal()));
            out.extend(since.as_millisecond().to_le_bytes());
            out.extend(last_version.to_le_bytes());
        }
    }
    out
}

/// A text of 256 characters, a consent and all embeddings, with their figures.
const LARGEST: usize =
    64 + 4 * crate::pii::MAX_SPEAKER_ID + MAX_CONSENT + MAX_EMBEDDINGS * (16 + 2 * EMBEDDING);

fn put_text(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else { return out.extend(NO_TEXT.to_le_bytes()) };
    // Speaker ids and consents are limited far below 64 KiB where they come in.
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_voiceprint(out: &mut Vec<u8>, voiceprint: &Voiceprint) {
    let content = &voiceprint.content;
    out.extend(voiceprint.version.to_le_bytes());
    out.extend(content.model_version.to_le_bytes());
    out.extend(content.made_at.as_millisecond().to_le_bytes());
    put_text(out, content.consent.as_ref().map(|consent| consent.reveal().as_str()));
    out.push(content.embeddings.len() as u8);
    for stored in &content.embeddings {
        out.push(match stored.band {
            Band::Narrow => 0,
            Band::Wide => 1,
        });
        out.extend(stored.net_speech_ms.to_le_bytes());
        out.extend(stored.snr_db.unwrap_or(NO_FIGURE).to_le_bytes());
        stored.embedding.reveal().0.iter().for_each(|value| out.extend(value.to_le_bytes()));
    }
}

/// The record that [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Result<(SpeakerId, SpeakerRecord), Malformed> {
    let mut input = Input(bytes);
    let kind = u8::from_le_bytes(input.take()?);
    let speaker = input.text()?.ok_or(Malformed)?;
    let speaker = SpeakerId::new(speaker).map_err(|_| Malformed)?;
    let record = match kind {
        ENROLLED => SpeakerRecord::Enrolled(input.voiceprint()?),
        OPTED_OUT => {
            let since = input.time()?;
            SpeakerRecord::OptedOut { since, last_version: u32::from_le_bytes(input.take()?) }
        }
        _ => return Err(Malformed),
    };
    if input.0.is_empty() { Ok((speaker, record)) } else { Err(Malformed) }
}

/// What is left to be read.
struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = tail;
        Ok(*head)
    }

    fn text(&mut self) -> Result<Option<&'b str>, Malformed> {
        let length = u16::from_le_bytes(self.take()?);
        if length == NO_TEXT {
            return Ok(None);
        }
        let (text, tail) = self.0.split_at_checked(usize::from(length)).ok_or(Malformed)?;
        self.0 = tail;
        std::str::from_utf8(text).map(Some).map_err(|_| Malformed)
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        Timestamp::from_millisecond(i64::from_le_bytes(self.take()?)).map_err(|_| Malformed)
    }

    fn voiceprint(&mut self) -> Result<Voiceprint, Malformed> {
        let version = u32::from_le_bytes(self.take()?);
        let model_version = u32::from_le_bytes(self.take()?);
        let made_at = self.time()?;
        let consent = self.text()?.map(|text| Pii::new(text.to_owned()));
        let count = u8::from_le_bytes(self.take()?);
        let embeddings = (0..count).map(|_| self.embedding()).collect::<Result<_, _>>()?;
        Ok(Voiceprint { version, content: NewVoiceprint { embeddings, model_version, consent, made_at } })
    }

    fn embedding(&mut self) -> Result<StoredEmbedding, Malformed> {
        let band = match u8::from_le_bytes(self.take()?) {
            0 => Band::Narrow,
            1 => Band::Wide,
            _ => return Err(Malformed),
        };
        let net_speech_ms = u32::from_le_bytes(self.take()?);
        let snr_db = Some(i16::from_le_bytes(self.take()?)).filter(|&snr| snr != NO_FIGURE);
        let mut embedding = Embedding([0; EMBEDDING]);
        for value in &mut embedding.0 {
            *value = i16::from_le_bytes(self.take()?);
        }
        Ok(StoredEmbedding { embedding: Pii::new(embedding), band, net_speech_ms, snr_db })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn embedding() -> impl Strategy<Value = StoredEmbedding> {
        (any::<[i16; 32]>(), any::<bool>(), any::<u32>(), proptest::option::of(-99_i16..99)).prop_map(
            |(seed, wide, net_speech_ms, snr_db)| StoredEmbedding {
                embedding: Pii::new(Embedding(std::array::from_fn(|i| seed[i % 32].wrapping_mul(i as i16)))),
                band: if wide { Band::Wide } else { Band::Narrow },
                net_speech_ms,
                snr_db,
            },
        )
    }

    fn record() -> impl Strategy<Value = SpeakerRecord> {
        let time = || (0_i64..4_000_000_000_000).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap());
        let enrolled = (
            proptest::collection::vec(embedding(), 1..=MAX_EMBEDDINGS),
            any::<(u32, u32)>(),
            proptest::option::of(".{0,20}"),
            time(),
        )
            .prop_map(|(embeddings, (version, model_version), consent, made_at)| {
                let consent = consent.map(Pii::new);
                let content = NewVoiceprint { embeddings, model_version, consent, made_at };
                SpeakerRecord::Enrolled(Voiceprint { version, content })
            });
        let opted_out = (time(), any::<u32>())
            .prop_map(|(since, last_version)| SpeakerRecord::OptedOut { since, last_version });
        prop_oneof![enrolled, opted_out]
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(id in "[a-zé📞 ]{1,256}", record in record(), cut: proptest::sample::Index) {
            let id = SpeakerId::new(&id).unwrap();
            let bytes = encode(&id, &record);
            prop_assert!(bytes.len() <= LARGEST);
            prop_assert_eq!(decode(&bytes), Ok((id, record)));
            prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())]), Err(Malformed));
            prop_assert_eq!(decode(&[&bytes[..], &[0]].concat()), Err(Malformed));
        }

        #[test]
        fn no_bytes_make_decode_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = decode(&bytes);
        }
    }
}
