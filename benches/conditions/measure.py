"""Measures Vouch, the usual way and Resemblyzer on built conditions.

    python3 measure.py FOLDER[:ENROLL:TEST]... --vouchctl PROGRAM --cache DIR --out RESULTS.json

FOLDER is what build.py filled; ENROLL and TEST are the most seconds of net speech, 30 and 10 when not given. The
embeddings of the other systems are kept in the cache. Vouch is run each time: it is one run for each length of speech,
with the trials of all conditions in one list, so that no recording is heard twice.
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import tempfile

import numpy as np

import corpus
import metrics
import systems
from conditions import BY_NAME, MU_LAW

VOUCH = "vouch"
FAIR_FAR = 0.001  # what the threshold of the other systems is set to, on clean mu-law


def main():
    args = _arguments()
    corpora = [_read(text) for text in args.folders]
    trials = {VOUCH: _by_vouch(args, [built for conditions in corpora for built in conditions.values()])}
    for name in systems.SYSTEMS:
        trials[name] = _by_other(args, name, corpora)
    results = {"conditions": []}
    for conditions in corpora:
        for name in sorted(conditions, key=list(BY_NAME).index):
            results["conditions"].append(_figures(conditions[name], trials))
    args.out.write_text(json.dumps(results) + "\n", encoding="utf-8")
    print(f"{args.out}: {len(results['conditions'])} conditions")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER[:ENROLL:TEST]")
    parser.add_argument("--vouchctl", required=True)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


def _read(text):
    folder, *seconds = text.split(":")
    return corpus.read(folder, *(map(float, seconds) if seconds else (30.0, 10.0)))


def _key(built):
    return built.corpus, built.name


def _by_vouch(args, every):
    """{condition: {llr, accepted, scored}}, in the order of its trials."""
    found = {}
    for lengths in sorted({(built.enroll_speech, built.test_speech) for built in every}):
        group = [built for built in every if (built.enroll_speech, built.test_speech) == lengths]
        for row in _run_vouch(args.vouchctl, group, lengths):
            known = found.setdefault((row["corpus"], row["condition"]), {"llr": [], "accepted": [], "scored": []})
            known["llr"].append(float(row["llr"] or "nan"))
            known["accepted"].append(row["decision"] == "authenticated")
            known["scored"].append(bool(row["llr"]))
    return found


def _run_vouch(program, group, lengths):
    with tempfile.TemporaryDirectory() as folder:
        listed, scored = pathlib.Path(folder, "trials.csv"), pathlib.Path(folder, "scores.csv")
        with open(listed, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["corpus", "condition", "enroll", "test", "target"])
            for built in group:
                for enroll, test, target in zip(built.enroll, built.test, built.target):
                    writer.writerow([*_key(built), ";".join(enroll), ";".join(test), int(target)])
        speech = [f"--enroll-speech={lengths[0]:.0f}", f"--test-speech={lengths[1]:.0f}"]
        command = [program, "trials", listed, "--root", "/", "--json", "--scores", scored, *speech]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(scored, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _by_other(args, name, corpora):
    """As [_by_vouch]. Ratios and threshold come from the first corpus's clean mu-law trials themselves, a favour."""
    every = [built for conditions in corpora for built in conditions.values()]
    sides = {("enroll", files, built.enroll_speech) for built in every for files in built.enroll}
    sides |= {("test", files, built.test_speech) for built in every for files in built.test}
    known = systems.embeddings(name, sides, args.cache, args.jobs)
    scores = {_key(built): _cosines(built, known) for built in every}
    clean = corpora[0][MU_LAW]
    at_hand = ~np.isnan(scores[_key(clean)])
    cosines, target = scores[_key(clean)][at_hand], np.array(clean.target)[at_hand]
    scale, offset = metrics.affine(cosines, target)
    others = np.sort(cosines[~target])[::-1]
    threshold = others[int(FAIR_FAR * len(others))]  # so many others lie above
    return {
        key: {"llr": scale * each + offset, "accepted": each > threshold, "scored": ~np.isnan(each)}
        for key, each in scores.items()
    }


def _cosines(built, known):
    found = []
    for enroll, test in zip(built.enroll, built.test):
        a, b = known["enroll", enroll, built.enroll_speech][0], known["test", test, built.test_speech][0]
        found.append(float("nan") if a is None or b is None else float(a @ b))
    return np.array(found)


def _figures(built, trials):
    """Figures of one condition, of each system, on the trials that all systems gave figures for."""
    about = {"corpus": built.corpus, "name": built.name, "title": built.title, "systems": {}}
    about |= {"trials": len(built.target), "targets": sum(built.target)}
    pairs, target = np.array(corpus.speakers(built)), np.array(built.target)
    here = {system: by_condition[_key(built)] for system, by_condition in trials.items()}
    common = np.all([found["scored"] for found in here.values()], axis=0)
    for system, found in here.items():
        kept = {key: np.array(found[key])[common] for key in ("llr", "accepted")} | {"target": target[common]}
        far, frr = metrics.det(kept["llr"], kept["target"])
        about["systems"][system] = {
            "figures": metrics.measure(kept, pairs[common]),
            "unscored": int((~np.array(found["scored"])).sum()),
            "det": [far.tolist(), frr.tolist()],
        }
    return about


if __name__ == "__main__":
    main()
