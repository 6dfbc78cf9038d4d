use super::*;
use crate::trials::fit::normal_tail;
use proptest::prelude::*;

/// So many people with one test each, all pairs: cosines of normal spread 0.1 around 0.1 and, of genuine ones, `mean`.
fn cases(people: usize, mean: f64) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut seed = 1u64;
    let mut normal = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let p = ((seed >> 11) as f64 / (1u64 << 53) as f64).clamp(1e-9, 1.0 - 1e-9);
        if p < 0.5 { normal_tail(p) } else { -normal_tail(1.0 - p) }
    };
    for (one, other) in (0..people).flat_map(|one| (0..people).map(move |other| (one, other))) {
        let target = one == other;
        let cosine = if target { mean } else { 0.1 } + 0.1 * normal();
        let cosine = cosine.clamp(-1.0, 1.0) as f32;
        cases.push(Case { cosine, net_speech_ms: 10_000, target, speakers: (one, other) });
    }
    cases
}

fn rates(cases: &[Case], curve: &Curve) -> Rates {
    Rates::of(&cases.iter().map(|case| (*case, curve)).collect::<Vec<_>>()).unwrap()
}

#[test]
fn many_impostor_trials_move_the_scores_to_the_promised_rate() {
    let shipped = &Curves::shipped().narrow;
    let cases = cases(100, 0.5);
    let site = fit(shipped, &cases).unwrap();
    let (before, after) = (rates(&cases, shipped), rates(&cases, &site));
    let [_, (far, frr), _] = after.at;
    // Half of 1 in 1,000, since an impostor is likelier to pass than anybody.
    assert!((0.0001..=0.001).contains(&far), "{far}");
    assert!(frr < before.at[1].1, "{frr} {before:?}");
    // With as many targets the ratios go half of the way.
    let cost = |rates: &Rates| rates.metrics.cllr;
    assert!(before.metrics.cllr > 1.0 && cost(&after) < cost(&before) / 2.0, "{before:?} {after:?}");
}

#[test]
fn few_impostor_trials_make_nothing_easier() {
    let shipped = &Curves::shipped().narrow;
    let cases = cases(30, 0.7);
    assert!(Size::of(&cases).is_enough() && cases.len() < LEAST_TO_EASE);
    let site = fit(shipped, &cases).unwrap();
    let accepted = |curve: &Curve, cosine: f32| curve.score(curve.llr(cosine, 10_000)) >= 90.0;
    for step in 0..=100 {
        let cosine = step as f32 / 100.0;
        assert!(accepted(shipped, cosine) || !accepted(&site, cosine), "{cosine}");
    }
}

#[test]
fn people_that_all_sound_alike_make_it_harder() {
    let shipped = &Curves::shipped().narrow;
    let mut cases = cases(40, 0.9);
    cases.iter_mut().filter(|case| !case.target).for_each(|case| case.cosine += 0.5);
    let site = fit(shipped, &cases).unwrap();
    assert!(rates(&cases, shipped).at[1].0 > 0.005);
    assert!(rates(&cases, &site).at[1].0 <= 0.001);
}

#[test]
fn each_half_is_measured_by_the_other() {
    let shipped = &Curves::shipped().narrow;
    let [before, after] = cross_checked(shipped, &cases(100, 0.5)).unwrap();
    assert!(after.metrics.cllr < before.metrics.cllr && after.at[1].0 < 0.003, "{before:?} {after:?}");
    assert!(cross_checked(shipped, &cases(10, 0.5)).is_none());
}

#[test]
fn the_line_meets_its_points() {
    let points = [(-1.0, 3.0), (-2.0, 5.0), (-4.0, 5.5)];
    let at = [0.0, -1.0, -1.5, -2.0, -3.0, -9.0].map(|x| between(&points, x));
    assert_eq!(at, [3.0, 3.0, 4.0, 5.0, 5.25, 5.5]);
}

#[test]
fn swapped_labels_are_no_calibration() {
    let mut cases = cases(30, 0.8);
    cases.iter_mut().for_each(|case| case.cosine = -case.cosine);
    assert_eq!(fit(&Curves::shipped().narrow, &cases), None);
}

proptest! {
    #[test]
    fn every_fit_is_a_calibration(people in 20usize..40, mean in -0.5..1.0f64) {
        let Some(curve) = fit(&Curves::shipped().narrow, &cases(people, mean)) else { return Ok(()) };
        let narrow = Some(SiteCurve { targets: people, non_targets: 400, people, curve });
        let site = SiteCalibration { made: Timestamp::UNIX_EPOCH, narrow, wide: None };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.toml");
        site.write_new(&path).unwrap();
        let read = SiteCalibration::load(&path);
        prop_assert!(read.is_ok(), "{:?}", read);
        prop_assert_eq!(read.unwrap(), site);
    }
}
