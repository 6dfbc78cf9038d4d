//! Commands that need no daemon: handed on to [`crate::trials`].

use super::args::{CompareArgs, ThresholdsArgs, TrialsArgs};
use super::error::CtlError;
use crate::trials::compare::{self, CompareRequest};
use crate::trials::{self, OfflineError, TrialsRequest, capacity, thresholds};
use std::io::{Write, stdout};

pub(super) fn compare(args: CompareArgs, json: bool) -> Result<(), CtlError> {
    let CompareArgs { enroll, test, narrowband, threshold, calibration } = args;
    let request = CompareRequest { enroll, test, narrowband, threshold, calibration, json };
    print(|out| compare::run(&request, out))
}

pub(super) fn trials(args: TrialsArgs, json: bool) -> Result<(), CtlError> {
    let request = TrialsRequest {
        list: args.list,
        root: args.root,
        scores: args.scores,
        narrowband: args.narrowband,
        // At most 600, which an f32 holds exactly.
        enroll_speech_s: args.enroll_speech as f32,
        test_speech_s: args.test_speech as f32,
        threshold: args.threshold,
        calibration: args.calibration,
        calibrate: args.calibrate,
        json,
    };
    print(|out| trials::run(&request, out))
}

pub(super) fn thresholds(args: &ThresholdsArgs, json: bool) -> Result<(), CtlError> {
    print(|out| thresholds::run(args.calibration.as_deref(), json, out))
}

pub(super) fn capacity(json: bool) -> Result<(), CtlError> {
    print(|out| capacity::run(json, out))
}

fn print(command: impl FnOnce(&mut dyn Write) -> Result<(), OfflineError>) -> Result<(), CtlError> {
    command(&mut stdout().lock()).map_err(|error| match error {
        OfflineError::Print(error) => CtlError::Output(error),
        error => CtlError::Offline(error),
    })
}
