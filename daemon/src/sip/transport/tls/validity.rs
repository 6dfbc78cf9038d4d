//! When a certificate ends: the one field of X.509 (RFC 5280 section 4.1) that is read here, for a warning.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of the validity of a certificate in DER; `None` where it is none.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (_, outer, _) = element(certificate)?;
    let (_, mut rest, _) = element(outer)?;
    // Serial number, algorithm and issuer come before it, and the version where it is not the first.
    let skipped = if rest.first() == Some(&VERSION) { 4 } else { 3 };
    for _ in 0..skipped {
        (_, _, rest) = element(rest)?;
    }
    let (kind, validity, _) = element(rest)?;
    let (_, _, rest) = element(validity)?;
    let (end_kind, end, _) = element(rest)?;
    (kind == SEQUENCE).then(|| time(end_kind, end))?
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = bytes.split_first_chunk()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` from 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(kind: u8, text: &[u8]) -> Option<Timestamp> {
    let digits = text.strip_suffix(b"Z")?;
    let pair = |place: usize| match digits.get(place..place + 2)? {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(i16::from(10 * (tens - b'0') + (ones - b'0'))),
        _ => None,
    };
    let (year, at) = match (kind, digits.len()) {
        (UTC_TIME, 12) => (pair(0).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?, 2),
        (GENERALIZED_TIME, 14) => (100 * pair(0)? + pair(2)?, 4),
        _ => return None,
    };
    let field = |number: usize| pair(at + 2 * number).map(|value| value as i8);
    let time = DateTime::new(year, field(0)?, field(1)?, field(2)?, field(3)?, field(4)?, 0).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_of_a_certificate_is_found() {
        for (year, expected) in [(2031, "2031-02-03T00:00:00Z"), (2061, "2061-02-03T00:00:00Z")] {
            let mut wanted = rcgen::CertificateParams::new(vec!["vouch.test".to_owned()]).unwrap();
            wanted.not_after = rcgen::date_time_ymd(year, 2, 3);
            let made = wanted.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            assert_eq!(not_after(made.der()), Some(expected.parse().unwrap()));
            for cut in 0..60 {
                assert_eq!(not_after(&made.der()[..cut]), None, "{cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_end_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = not_after(&bytes);
        }
    }
}
