"""Builds the degraded conditions of a clean corpus.

    python3 build.py TRIALS.csv --root DIR --out DIR [--noise DIR] [--conditions NAME,...] [--jobs N] [--seed TEXT]

TRIALS.csv is a list as `vouchctl trials` takes it. Each condition becomes a folder of OUT with `trials.csv`, paths
relative to that folder and all other columns kept, and `condition.json`. What is there already is kept, unless its
condition, the seed or the noises changed. The same arguments give the same files.
"""

import argparse
import csv
import json
import multiprocessing
import os
import pathlib
import shutil
import sys

import codec
import conditions
import noise
import sound
import way

VERSION = 1  # raise it when a change here changes the files


def main():
    args = _arguments()
    missing = codec.missing()
    if missing:
        raise SystemExit(f"missing programs: apt install {' '.join(missing)}")
    with open(args.trials, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"enroll", "test", "target"} <= rows[0].keys():
        raise SystemExit(f"{args.trials}: needs trials and the columns enroll, test and target")
    files = {side: sorted({file for row in rows for file in split(row[side])}) for side in ("enroll", "test")}
    for file in (file for side in files.values() for file in side):
        if pathlib.PurePosixPath(file).is_absolute() or ".." in pathlib.PurePosixPath(file).parts:
            raise SystemExit(f"{args.trials}: {file}: paths must lie inside --root")
    rate = min(sound.soundfile.info(args.root / file).samplerate for side in files.values() for file in side)
    wanted = conditions.chosen(args.conditions, rate)
    sources = sorted({(side, source_of(c, side)) for c in wanted for side in files})
    noises = noise.Noises(args.noise)
    for name in {name for _, name in sources}:
        _forget_if_changed(args, conditions.BY_NAME[name], noises)
    jobs = [(args, noises, side, name, file) for side, name in sources for file in files[side]]
    with multiprocessing.Pool(args.jobs) as pool:
        made = sum(pool.imap_unordered(_make, jobs, chunksize=4))
    for condition in wanted:
        _write_list(args.out, condition, rows)
    print(f"{args.out}: {len(wanted)} conditions, {made} of {len(jobs)} files made")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", type=pathlib.Path, help="list of trials")
    parser.add_argument("--root", type=pathlib.Path, required=True, help="folder that the list's paths start from")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the conditions")
    parser.add_argument("--noise", type=pathlib.Path, help="folder of noises; made up without it")
    parser.add_argument("--conditions", type=lambda text: text.split(","), default=[], help="only these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--seed", default="vouch", help="another one draws other noises and losses")
    return parser.parse_args()


def split(side):
    """The files of one side of a trial."""
    return [file.strip() for file in side.split(";")]


def source_of(condition, side):
    """Name of the condition whose files a side uses."""
    if side == "enroll":
        return condition.enroll_from
    return condition.test_from or condition.name


def place(name, side, file):
    """Where the copy of a file lies in the output folder."""
    return pathlib.PurePosixPath(name, side, file if file.endswith(".wav") else f"{file}.wav")


def _forget_if_changed(args, condition, noises):
    stamp = {"version": VERSION, "seed": args.seed, "condition": condition.definition()}
    if condition.noise or condition.room:
        stamp["noises"] = noises.describe()
    stamp = json.loads(json.dumps(stamp))
    folder = args.out / condition.name
    path = folder / "made.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) == stamp:
        return
    for side in ("enroll", "test"):
        shutil.rmtree(folder / side, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def _make(job):
    args, noises, side, name, file = job
    path = args.out / place(name, side, file)
    if path.exists():
        return 0
    condition = conditions.BY_NAME[name]
    samples, rate = sound.read(args.root / file)
    # The ratio is not part of the seed: the same noise comes louder and less loud.
    samples, rate = way.degraded(condition, samples, rate, noises, f"{args.seed} {side} {file}")
    sound.write(path, samples, rate, condition.last)
    return 1


def _write_list(out, condition, rows):
    folder = out / condition.name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "trials.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, **{side: _moved(condition, side, row[side]) for side in ("enroll", "test")}})
    about = {"name": condition.name, "title": condition.title, "test_speech": condition.test_speech}
    (folder / "condition.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


def _moved(condition, side, files):
    name = source_of(condition, side)
    places = (place("" if name == condition.name else f"../{name}", side, file) for file in split(files))
    return ";".join(map(str, places))


if __name__ == "__main__":
    sys.exit(main())
