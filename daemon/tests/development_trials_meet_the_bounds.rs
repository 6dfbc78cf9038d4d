//! All development trials, from recording to score, through the shipped model and calibration.
//!
//! Needs the development corpora: folder `shared` beside the repository, or `VOUCH_SHARED`. On the plain kernel, which
//! would take most of ten minutes on two cores, only one test recording of each enrolled person and every fourth of the
//! others are tried, against all enrollments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use vouch::calibration::SiteCalibration;
use vouch::trials::report::Report;
use vouch::trials::voice::Voice;
use vouch::trials::{DEFAULT_THRESHOLD, TrialsRequest, outcomes, run};

fn shared() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("VOUCH_SHARED").map_or_else(beside, PathBuf::from)
}

/// The lines of `list` whose test is the first of an enrolled person or every fourth of the others. Enrollment, test
/// and target are the first three columns of the development trials.
fn some(list: &str) -> String {
    let rows = || list.lines().skip(1).map(|line| (line, line.split(',').collect::<Vec<_>>()));
    let mut enrolled = BTreeSet::new();
    let mut tests: BTreeSet<&str> = BTreeSet::new();
    let mut genuine: BTreeSet<&str> = BTreeSet::new();
    for (_, row) in rows().filter(|(_, row)| row[2] == "1") {
        genuine.insert(row[1]);
        if enrolled.insert(row[0]) {
            tests.insert(row[1]);
        }
    }
    let others: BTreeSet<&str> =
        rows().map(|(_, row)| row[1]).filter(|test| !genuine.contains(test)).collect();
    tests.extend(others.into_iter().step_by(4));
    let kept = rows().filter(|(_, row)| tests.contains(row[1])).map(|(line, _)| line);
    list.lines().take(1).chain(kept).map(|line| format!("{line}\n")).collect()
}

/// The development trials, all or as many as the kernel does in time; `None` where there are none.
fn request(folder: &Path) -> Option<TrialsRequest> {
    let root = shared().join("corpora/dev-telephone");
    let list = root.join("trials.csv");
    if !list.exists() {
        eprintln!("SKIPPED: {} is not there", list.display());
        return None;
    }
    let list = match Voice::new().unwrap().kernel() {
        "scalar" => {
            let path = folder.join("some.csv");
            std::fs::write(&path, some(&std::fs::read_to_string(list).unwrap())).unwrap();
            path
        }
        _ => list,
    };
    Some(TrialsRequest {
        list,
        root,
        scores: None,
        narrowband: false,
        enroll_speech_s: 30.0,
        test_speech_s: 10.0,
        threshold: DEFAULT_THRESHOLD,
        calibration: None,
        calibrate: None,
        json: true,
    })
}

#[test]
fn development_trials_meet_the_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let Some(request) = request(folder.path()) else { return };
    let made = outcomes(&request).unwrap();
    let report = Report::of(&made.list, &made.outcomes, request.threshold);
    let mut printed = Vec::new();
    report.print_table(&mut printed).unwrap();
    eprintln!("{}", String::from_utf8(printed).unwrap());

    let (metrics, _) = report.rates.unwrap();
    assert!(report.inconclusive() <= 0.02, "{:.4} of the trials got no figures", report.inconclusive());
    assert!(metrics.eer <= 0.015, "EER {:.4}", metrics.eer);
    assert!(metrics.frr_at_far[0] <= 0.05, "FRR {:.4} at FAR 1 %", metrics.frr_at_far[0]);
    // What an administrator is told about a threshold of 90, and about typical scores.
    assert!(metrics.far <= 0.001, "FAR {:.5} at 90", metrics.far);
    assert!(report.target_median > Some(97.0), "genuine median {:?}", report.target_median);
    assert!(report.non_target_median < Some(10.0), "impostor median {:?}", report.non_target_median);
}

#[test]
fn a_site_calibrates_on_its_own_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let Some(request) = request(folder.path()) else { return };
    let path = folder.path().join("site.toml");
    let mut printed = Vec::new();
    run(&TrialsRequest { calibrate: Some(path.clone()), ..request.clone() }, &mut printed).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&printed).unwrap();
    let site = SiteCalibration::load(&path).unwrap();
    assert_eq!(report["id"], site.id());
    let narrow = site.narrow.unwrap();
    assert!(narrow.people >= 20 && narrow.targets == 116, "{narrow:?}");

    // People whose calls it was not made of: ratios that are as honest as before, and as few impostors.
    let crossed = &report["bands"][0]["cross_checked"];
    let figure = |by: &str| crossed[by]["cllr"].as_f64().unwrap();
    assert!(figure("calibrated") <= 1.3 * figure("shipped"), "{crossed}");
    let far = crossed["calibrated"]["at_threshold"][1]["far"].as_f64().unwrap();
    assert!(far <= 0.003, "{crossed}");

    // Nothing is made over, and nothing is heard before that is known.
    let again = run(&TrialsRequest { calibrate: Some(path), ..request }, &mut Vec::new()).unwrap_err();
    assert!(again.to_string().contains("site.toml: is there already"), "{again}");
}
