//! A site's own calibration of the scores, as a file: made by `vouchctl trials --calibrate`, named in
//! `authentication.calibration`, and taken back by taking that key out.

use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use vouch_dsp::features::Band;
use vouch_dsp::score::calibrate::{DURATIONS_S, KNOTS};
use vouch_dsp::score::{Curve, Curves, MODEL_VERSION, THRESHOLDS};

/// Version of the file's format.
const FORMAT: u32 = 1;
/// Largest file that is read, in bytes; a calibration has about 6 kB.
const MAX_BYTES: u64 = 1 << 20;
/// Digits of the checksum that name a calibration.
const ID_DIGITS: usize = 12;
/// Why a calibration is not written over another.
pub const THERE_ALREADY: &str = "is there already; name another file, so that you can go back to this one";
const HEAD: &str = "# Calibration of Vouch's scores on a site's own calls, made by `vouchctl trials LIST.csv --calibrate FILE`.
# Name this file in vouchd.toml as authentication.calibration; without that key the shipped calibration is used.
# vouchd refuses the file when a number in it was changed.\n\n";

/// A calibration of one or both bands.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteCalibration {
    /// When it was made.
    pub made: Timestamp,
    /// Of telephone audio; shipped curve when absent.
    pub narrow: Option<SiteCurve>,
    /// Of wideband audio; shipped curve when absent.
    pub wide: Option<SiteCurve>,
}

impl fmt::Display for SiteCalibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "site {} of {}", self.id(), self.made.strftime("%Y-%m-%d"))
    }
}

/// The curve of a band, and how many trials it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteCurve {
    /// Target trials.
    pub targets: usize,
    /// Non-target trials.
    pub non_targets: usize,
    /// People in them.
    pub people: usize,
    /// The curve.
    pub curve: Curve,
}

/// Why a calibration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct CalibrationError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

impl SiteCalibration {
    /// Reads a file.
    ///
    /// # Errors
    /// [`CalibrationError`] when it cannot be read, was changed, or was made for another model.
    pub fn load(path: &Path) -> Result<Self, CalibrationError> {
        let failed = |problem| CalibrationError { path: path.to_owned(), problem };
        let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(failed(format!("has {size} bytes, so it is no calibration")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Self::parse(&text).map_err(failed)
    }

    /// Writes a new file; one that is there already is left alone, so that the way back stays open.
    ///
    /// # Errors
    /// [`CalibrationError`] when the file exists or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), CalibrationError> {
        let failed = |error: std::io::Error| CalibrationError {
            path: path.to_owned(),
            problem: match error.kind() {
                std::io::ErrorKind::AlreadyExists => THERE_ALREADY.to_owned(),
                _ => error.to_string(),
            },
        };
        let mut file = std::fs::File::create_new(path).map_err(failed)?;
        file.write_all(self.text().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// Name of the calibration: the same numbers have the same name.
    pub fn id(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&MODEL_VERSION.to_le_bytes());
        for (mark, band) in [(b"n", &self.narrow), (b"w", &self.wide)] {
            let Some(SiteCurve { curve, .. }) = band else { continue };
            context.update(mark);
            let knots = curve.knots.iter().flat_map(|(llr, score)| [llr, score]);
            let numbers = [&curve.slope, &curve.offset].into_iter().chain(&curve.duration).chain(knots);
            for number in numbers.chain(&curve.far).chain(&curve.frr) {
                context.update(&number.to_le_bytes());
            }
        }
        let mut id = String::with_capacity(ID_DIGITS);
        for byte in &context.finish().as_ref()[..ID_DIGITS / 2] {
            // Writing to a string does not fail.
            let _ = write!(id, "{byte:02x}");
        }
        id
    }

    /// The shipped curves, with those of this calibration in their place.
    pub fn curves(&self) -> Curves {
        let mut curves = Curves::default();
        for (band, site) in [(Band::Narrow, &self.narrow), (Band::Wide, &self.wide)] {
            if let Some(site) = site {
                *curves.of_mut(band) = site.curve.clone();
            }
        }
        curves
    }

    fn text(&self) -> String {
        let file = File {
            format: FORMAT,
            model_version: MODEL_VERSION,
            made: self.made.to_string(),
            id: self.id(),
            narrow: self.narrow.as_ref().map(Table::of),
            wide: self.wide.as_ref().map(Table::of),
        };
        let text = toml::to_string(&file).expect("plain numbers and text are TOML");
        format!("{HEAD}{text}")
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.format != FORMAT {
            return Err(format!("format {}; this program reads format {FORMAT}", file.format));
        }
        if file.model_version != MODEL_VERSION {
            return Err(format!(
                "was made for model version {}, and this is version {MODEL_VERSION}: make it anew with \
                 `vouchctl trials --calibrate`",
                file.model_version
            ));
        }
        let made = file.made.parse().map_err(|error| format!("made: {error}"))?;
        let curve = |name: &str, table: Option<Table>| {
            table.map(|table| table.curve().map_err(|problem| format!("{name}: {problem}"))).transpose()
        };
        let site = Self { made, narrow: curve("narrow", file.narrow)?, wide: curve("wide", file.wide)? };
        if site.id() != file.id {
            return Err("its numbers are not those that were measured: they do not give its id".to_owned());
        }
        Ok(site)
    }
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    format: u32,
    model_version: u32,
    made: String,
    id: String,
    narrow: Option<Table>,
    wide: Option<Table>,
}

/// One band in it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Table {
    targets: usize,
    non_targets: usize,
    people: usize,
    slope: f32,
    offset: f32,
    duration: [f32; DURATIONS_S.len()],
    knots: [(f32, f32); KNOTS],
    far: Vec<f32>,
    frr: Vec<f32>,
}

impl Table {
    fn of(site: &SiteCurve) -> Self {
        let Curve { slope, offset, duration, knots, far, frr } = &site.curve;
        Self {
            targets: site.targets,
            non_targets: site.non_targets,
            people: site.people,
            slope: *slope,
            offset: *offset,
            duration: *duration,
            knots: *knots,
            far: far.to_vec(),
            frr: frr.to_vec(),
        }
    }

    fn curve(self) -> Result<SiteCurve, String> {
        let Self { targets, non_targets, people, slope, offset, duration, knots, far, frr } = self;
        let rates = |name: &str, rates: Vec<f32>| {
            let found = rates.len();
            <[f32; THRESHOLDS]>::try_from(rates)
                .map_err(|_| format!("{name} has {found} rates, not {THRESHOLDS}"))
        };
        let curve =
            Curve { slope, offset, duration, knots, far: rates("far", far)?, frr: rates("frr", frr)? };
        check(&curve)?;
        Ok(SiteCurve { targets, non_targets, people, curve })
    }
}

/// What scoring rests on: ratios and scores that rise, rates that are rates.
fn check(curve: &Curve) -> Result<(), String> {
    let in_order = |rates: &[f32], rises: bool| {
        rates.windows(2).all(|pair| (pair[0] <= pair[1]) == rises || pair[0] == pair[1])
    };
    let rates = curve.far.iter().chain(&curve.frr);
    let numbers = [curve.slope, curve.offset];
    let faults = [
        (numbers.iter().chain(&curve.duration).any(|number| !number.is_finite()), "a number is not finite"),
        (curve.slope <= 0.0, "slope is not above 0"),
        (!curve.knots.windows(2).all(|k| k[0].0 < k[1].0 && k[0].1 < k[1].1), "knots do not rise"),
        (curve.knots[0].1 != 0.0 || curve.knots[KNOTS - 1].1 != 100.0, "knots do not go from score 0 to 100"),
        (!rates.into_iter().all(|rate| (0.0..=1.0).contains(rate)), "a rate is not 0 to 1"),
        (!in_order(&curve.far, false), "far rises somewhere"),
        (!in_order(&curve.frr, true), "frr falls somewhere"),
    ];
    match faults.into_iter().find(|(wrong, _)| *wrong) {
        Some((_, fault)) => Err(fault.to_owned()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> SiteCalibration {
        let mut curve = Curves::shipped().narrow.clone();
        curve.offset -= 0.75;
        let narrow = SiteCurve { targets: 40, non_targets: 5000, people: 21, curve };
        SiteCalibration { made: Timestamp::UNIX_EPOCH, narrow: Some(narrow), wide: None }
    }

    #[test]
    fn what_was_written_is_read_and_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.toml");
        site().write_new(&path).unwrap();
        let read = SiteCalibration::load(&path).unwrap();
        assert_eq!((&read, read.id().len()), (&site(), ID_DIGITS));
        let curves = read.curves();
        assert_eq!(curves.narrow, site().narrow.unwrap().curve);
        assert_eq!(curves.wide, Curves::shipped().wide);
    }

    #[test]
    fn a_file_that_is_there_is_kept() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = site().write_new(file.path()).unwrap_err().to_string();
        assert!(said.contains("is there already"), "{said}");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"");
    }

    #[test]
    fn faults_name_the_file_and_the_cause() {
        let text = site().text();
        for (from, to, expected) in [
            ("format = 1", "format = 2", "format 2; this program reads format 1"),
            (
                &*format!("model-version = {MODEL_VERSION}"),
                "model-version = 1",
                "was made for model version 1",
            ),
            ("targets = 40\n", "", "missing field `targets`"),
            ("[narrow]\n", "[narrow]\ncolour = 1\n", "unknown field `colour`"),
            ("slope = ", "slope = -", "slope is not above 0"),
            ("slope = ", "slope = 1", "do not give its id"),
            ("far = [1.0", "far = [2.0", "a rate is not 0 to 1"),
            ("far = [1.0", "far = [0.0", "far rises somewhere"),
            ("[narrow]", "[broad]", "unknown field `broad`"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), changed).unwrap();
            let said = SiteCalibration::load(file.path()).unwrap_err().to_string();
            assert!(
                said.starts_with(&file.path().display().to_string()) && said.contains(expected),
                "{said}"
            );
        }
    }
}
