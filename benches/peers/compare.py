"""Times the speaker network in ONNX Runtime and in Vouch: same machine, same run, one thread.

    benches/peers/run.sh [--rounds 9]

Prints a table of the median time for 3, 10 and 30 s of telephone speech. All times are processor time of the one
thread that works, so that other programs on the machine disturb them little; the programs take turns in every round.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "dsp" / "model"
sys.path.insert(0, str(MODEL))

import numpy as np
import onnx
import onnxruntime

import checkpoint
import export
import reference
import speech

SECONDS = (3, 10, 30)
CALIBRATION = 12  # utterances
CLOSE_ENOUGH = 0.9999  # cosine of the exported network to the reference


def main():
    """Exports, checks, takes turns, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sounds", default="/usr/share/asterisk/sounds")
    parser.add_argument("--cache", default=MODEL / "cache")
    parser.add_argument("--vouch", required=True, help="the program embedding-times")
    options = parser.parse_args()
    work = pathlib.Path(options.cache)
    layers = reference.layers(checkpoint.load(options.cache))
    material = calibration_speech(options.sounds)
    sessions = exported(layers, material, work)
    check(sessions, layers, material[0])
    times = rounds(sessions, lengthened(material), options)
    show(times)


def calibration_speech(sounds):
    """Telephone features of real prompts."""
    found, _ = speech.utterances(sounds, True)
    return [speech.features(sounds, utterance).astype(np.float32) for utterance in speech.spread(found, CALIBRATION)]


def exported(layers, material, work):
    """Sessions of both forms, with the options a server would choose for one thread."""
    paths = {"ONNX Runtime fp32": work / "campplus.fp32.onnx", "ONNX Runtime int8": work / "campplus.int8.onnx"}
    onnx.save(export.fp32(layers), paths["ONNX Runtime fp32"])
    export.int8(paths["ONNX Runtime fp32"], paths["ONNX Runtime int8"], material)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    providers = ["CPUExecutionProvider"]
    return {name: onnxruntime.InferenceSession(path, options, providers) for name, path in paths.items()}


def check(sessions, layers, features):
    """The exported network is the network: otherwise its times would say nothing."""
    wanted = reference.Network(layers).embed(features)
    for name, session in sessions.items():
        found = session.run(None, {"features": features[None]})[0][0]
        cosine = float(found @ wanted / np.linalg.norm(found))
        print(f"{name}: cosine to the reference {cosine:.5f}", file=sys.stderr)
        if name.endswith("fp32") and cosine < CLOSE_ENOUGH:
            raise SystemExit(f"{name} computes something else: cosine {cosine:.5f}")


def lengthened(material):
    """Features of exactly 3, 10 and 30 s."""
    joined = np.concatenate(material * 4)
    return {seconds: joined[: 100 * seconds][None] for seconds in SECONDS}


def rounds(sessions, inputs, options):
    """{(program, seconds): [ms]}"""
    times = {}
    for number in range(options.rounds + 1):
        for name, session in sessions.items():
            for seconds, features in inputs.items():
                took = spent(lambda: session.run(None, {"features": features}))
                if number > 0:  # the first round warms up
                    times.setdefault((name, seconds), []).append(took)
        command = [options.vouch] + (["--with-scalar"] if number == 1 else [])
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            row = json.loads(line)
            times.setdefault((row["what"], row["seconds"]), []).append(row["value"])
    return times


def spent(work):
    """Processor time of this thread in ms."""
    start = time.thread_time()
    work()
    return (time.thread_time() - start) * 1e3


def show(times):
    """Times, ratios and the fraction of the machine's peak."""
    middle = {key: statistics.median(values) for key, values in times.items()}
    names = list(dict.fromkeys(name for name, seconds in middle if seconds))
    best = [name for name in names if name.startswith("Vouch") and "scalar" not in name][0]
    print("| median ms, one thread |" + "".join(f" {seconds} s |" for seconds in SECONDS) + " against best, 10 s |")
    print("|---|" + "---|" * (len(SECONDS) + 1))
    for name in names:
        cells = "".join(f" {middle[name, seconds]:.1f} |" for seconds in SECONDS)
        print(f"| {name} |{cells} {middle[name, 10] / middle[best, 10]:.2f} |")
    print()
    for (name, seconds), value in middle.items():
        if not seconds:
            print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
