"""Makes a list of trials of a corpus with a folder a speaker.

    python3 folders.py DIR --out TRIALS.csv [--enroll 34] [--test 11]
    python3 folders.py DIR --out TRIALS.csv --halves --root DIR

The first form joins files, in the order of their names, to one enrollment and as many tests as there is sound for.
The second is for corpora with one recording a speaker: it cuts each in the middle, into WAV files under ROOT, and
enrolls one half to test the other. Those target trials are of one session, even of one breath, so their false-reject
rates flatter; they serve to compare lines. Seconds are of sound, pauses included.
"""

import argparse
import csv
import pathlib

import sound

SUFFIXES = (".wav", ".flac")


def main():
    args = _arguments()
    folders = sorted(path for path in args.corpus.iterdir() if path.is_dir())
    speakers = {folder.name: sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES) for folder in folders}
    enrolled, tests = {}, []
    for speaker, files in speakers.items():
        sides = _halves(args, speaker, files) if args.halves else _joined(args, files)
        if len(sides) > 1:
            enrolled[speaker] = sides[0]
            tests += [(speaker, side) for side in sides[1:]]
    if not enrolled:
        raise SystemExit(f"{args.corpus}: no folder holds enough sound for an enrollment and a test")
    with open(args.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["enroll", "test", "target", "enroll_speaker", "test_speaker"])
        for claimed, enrollment in enrolled.items():
            for speaker, test in tests:
                writer.writerow([enrollment, test, int(claimed == speaker), claimed, speaker])
    print(f"{args.out}: {len(enrolled)} speakers, {len(tests)} tests")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=pathlib.Path, help="folder with a folder a speaker")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the list")
    parser.add_argument("--enroll", type=float, default=34.0, help="seconds of sound of an enrollment")
    parser.add_argument("--test", type=float, default=11.0, help="seconds of sound of a test")
    parser.add_argument("--halves", action="store_true", help="cut the first file of each speaker in two")
    parser.add_argument("--root", type=pathlib.Path, help="where halves are written")
    args = parser.parse_args()
    if args.halves and not args.root:
        parser.error("--halves needs --root")
    return args


def _joined(args, files):
    """The enrollment and the tests of a speaker; what is left over at the end is not used."""
    sides, group, seconds = [], [], 0.0
    for file in files:
        group.append(str(file.relative_to(args.corpus)))
        seconds += sound.soundfile.info(file).duration
        if seconds >= (args.test if sides else args.enroll):
            sides.append(";".join(group))
            group, seconds = [], 0.0
    return sides


def _halves(args, speaker, files):
    samples, rate = sound.read(files[0])
    middle = len(samples) // 2
    sides = []
    for name, half in (("first", samples[:middle]), ("second", samples[middle:])):
        sound.write(args.root / speaker / f"{name}.wav", half, rate, "PCM_16")
        sides.append(f"{speaker}/{name}.wav")
    return sides


if __name__ == "__main__":
    main()
