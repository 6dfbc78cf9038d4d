//! Keys for SRTP in session descriptions: `a=crypto` of RFC 4568.
//!
//! What we cannot do is refused line by line; an offer lists many, and the first that we can do counts.

use super::super::srtp::{MAX_MKI, MasterKey, Suite};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Written with padding; read with and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest `a=crypto` value that is looked at.
const MAX_LENGTH: usize = 512;

/// An `a=crypto` line that we can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Names the line in the answer.
    pub tag: u32,
    /// The key of its sender, with the suite.
    pub key: MasterKey,
    /// Bytes of the master key identifier in each packet. Its value says nothing where there is one key.
    pub mki_length: usize,
}

/// Why an `a=crypto` line is not used. Holds no text of the line, which has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// Not `tag suite key-parameters`.
    #[error("malformed")]
    Form,
    /// A suite that we do not have.
    #[error("a suite that is not supported")]
    Suite,
    /// A key that is not `inline:`, or not as long as the suite wants.
    #[error("no key of the suite's length in base64")]
    Key,
    /// Several keys, between which packets would choose.
    #[error("several keys in one line")]
    SeveralKeys,
    /// No lifetime such as `2^31`.
    #[error("malformed lifetime of the key")]
    Lifetime,
    /// No master key identifier such as `1:4`.
    #[error("malformed master key identifier")]
    Mki,
    /// Key derivation at a rate above zero.
    #[error("a key derivation rate is not supported")]
    DerivationRate,
    /// Packets that would not be encrypted, or not authenticated.
    #[error("packets without encryption or authentication are not taken")]
    Unprotected,
    /// A parameter that nobody may ignore.
    #[error("a session parameter that is not supported")]
    Parameter,
}

impl Crypto {
    /// Reads the value of an `a=crypto` line.
    ///
    /// # Errors
    /// [`CryptoError`] says why it cannot be used.
    pub fn parse(value: &str) -> Result<Self, CryptoError> {
        let mut fields = value.split_ascii_whitespace();
        let (Some(tag), Some(suite), Some(keys)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(CryptoError::Form);
        };
        let digits = (1..=9).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_digit());
        let tag =
            tag.parse().ok().filter(|_| digits && value.len() <= MAX_LENGTH).ok_or(CryptoError::Form)?;
        let suite = Suite::named(suite).ok_or(CryptoError::Suite)?;
        let (key, mki_length) = inline_key(suite, keys)?;
        fields.try_for_each(check_parameter)?;
        Ok(Self { tag, key, mki_length })
    }

    /// Value of the line that gives `key` under this tag.
    pub fn write(tag: u32, key: &MasterKey) -> String {
        format!("{tag} {} inline:{}", key.suite().name(), BASE64.encode(key.reveal()))
    }
}

/// `inline:KEY[|LIFETIME][|MKI:LENGTH]`: the key, and the bytes of the identifier.
fn inline_key(suite: Suite, text: &str) -> Result<(MasterKey, usize), CryptoError> {
    if text.contains(';') {
        return Err(CryptoError::SeveralKeys);
    }
    let (method, text) = text.split_once(':').ok_or(CryptoError::Key)?;
    let mut parts = text.split('|');
    let encoded = parts.next().unwrap_or_default();
    let bytes = BASE64.decode(encoded).map(Zeroizing::new).map_err(|_| CryptoError::Key)?;
    let inline = method.eq_ignore_ascii_case("inline");
    let key = MasterKey::new(suite, &bytes).filter(|_| inline).ok_or(CryptoError::Key)?;
    let mut next = parts.next();
    if let Some(lifetime) = next.filter(|part| !part.contains(':')) {
        // No call lasts as long as the shortest lifetime that peers write.
        let number = lifetime.strip_prefix("2^").unwrap_or(lifetime);
        number.parse::<u64>().ok().filter(|&number| number > 0).ok_or(CryptoError::Lifetime)?;
        next = parts.next();
    }
    let mki_length = next.map_or(Ok(0), identifier_length)?;
    if parts.next().is_some() { Err(CryptoError::Form) } else { Ok((key, mki_length)) }
}

/// The length in `VALUE:LENGTH`.
fn identifier_length(text: &str) -> Result<usize, CryptoError> {
    let (value, length) = text.split_once(':').ok_or(CryptoError::Mki)?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let length = length.parse().ok().filter(|length| is_number && (1..=MAX_MKI).contains(length));
    length.ok_or(CryptoError::Mki)
}

/// Whether we can do what a session parameter asks (RFC 4568 section 6.3).
fn check_parameter(parameter: &str) -> Result<(), CryptoError> {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    match name.to_ascii_uppercase().as_str() {
        // Our window is larger than any that must be offered.
        "WSH" => Ok(()),
        "KDR" if value == "0" => Ok(()),
        "KDR" => Err(CryptoError::DerivationRate),
        "UNENCRYPTED_SRTP" | "UNENCRYPTED_SRTCP" | "UNAUTHENTICATED_SRTP" => Err(CryptoError::Unprotected),
        // RFC 4568 section 6.3.7: what begins with a dash may be ignored.
        name if name.starts_with('-') => Ok(()),
        _ => Err(CryptoError::Parameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 30 bytes, as counter mode wants them.
    const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    fn read(text: &str) -> Result<(u32, usize), CryptoError> {
        Crypto::parse(text).map(|crypto| (crypto.tag, crypto.mki_length))
    }

    #[test]
    fn lines_of_real_offers_are_read() {
        // The examples of RFC 4568, and what phones make of them.
        for (parameters, mki) in [
            ("", 0),
            ("|2^20", 0),
            ("|1048576", 0),
            ("|2^20|1:4", 4),
            ("|1:32", 32),
            (" KDR=0 WSH=64 -X=1", 0),
        ] {
            let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{parameters}");
            assert_eq!(read(&text), Ok((1, mki)), "{parameters}");
        }
        let key = Crypto::parse(&format!("7 aes_cm_128_hmac_sha1_32 INLINE:{KEY}")).unwrap().key;
        assert_eq!(key.suite(), Suite::AesCm128HmacSha1With32);
        assert_eq!(key.reveal(), b"wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#");
    }

    #[test]
    fn what_we_cannot_do_is_refused_with_its_cause() {
        let with = |rest: &str| read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{rest}"));
        assert_eq!(read("1 AES_CM_128_HMAC_SHA1_80"), Err(CryptoError::Form));
        assert_eq!(read(&format!("+1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")), Err(CryptoError::Form));
        assert_eq!(read(&format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}")), Err(CryptoError::Suite));
        assert_eq!(read(&format!("1 AEAD_AES_128_GCM inline:{KEY}")), Err(CryptoError::Key));
        assert_eq!(read(&format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}")), Err(CryptoError::Key));
        assert_eq!(read("1 AES_CM_128_HMAC_SHA1_80 inline:?"), Err(CryptoError::Key));
        assert_eq!(with(&format!(";inline:{KEY}")), Err(CryptoError::SeveralKeys));
        assert_eq!(with("|2^"), Err(CryptoError::Lifetime));
        for wrong in ["|2^20|1", "|1:0", "|1:129", "|x:4", "|:4"] {
            assert_eq!(with(wrong), Err(CryptoError::Mki), "{wrong}");
        }
        assert_eq!(with("|2^20|1:4|1:4"), Err(CryptoError::Form));
        assert_eq!(with(" KDR=1"), Err(CryptoError::DerivationRate));
        for name in ["UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP"] {
            assert_eq!(with(&format!(" {name}")), Err(CryptoError::Unprotected));
        }
        assert_eq!(with(" FEC_ORDER=FEC_SRTP"), Err(CryptoError::Parameter));
        assert_eq!(with(&" -X".repeat(200)), Err(CryptoError::Form));
    }

    #[test]
    fn keys_written_are_read_again_with_and_without_padding() {
        for suite in Suite::ALL {
            let bytes: Vec<u8> = (0..MasterKey::length(suite) as u8).map(|byte| byte ^ 0xa5).collect();
            let key = MasterKey::new(suite, &bytes).unwrap();
            let text = Crypto::write(4, &key);
            let read = Crypto::parse(&text).unwrap();
            assert_eq!(read, Crypto { tag: 4, key, mki_length: 0 });
            assert_eq!(Crypto::parse(text.trim_end_matches('=')), Ok(read));
        }
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
        let shown = format!("{:?}", Crypto::parse(&text).unwrap());
        assert_eq!(shown, "Crypto { tag: 1, key: <key of AES_CM_128_HMAC_SHA1_80>, mki_length: 0 }");
    }

    proptest! {
        #[test]
        fn any_text_is_a_line_or_an_error(text in "([0-9]{1,3} AES_CM_128_HMAC_SHA1_(80|32) inline:)?[ -~]{0,60}") {
            let _ = Crypto::parse(&text);
        }
    }
}
