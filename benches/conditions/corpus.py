"""Built conditions of a corpus, as trials with absolute paths."""

import csv
import dataclasses
import json
import os
import pathlib


@dataclasses.dataclass
class Built:
    """One condition of one corpus. The trials of all of a corpus's conditions are in the same order."""

    corpus: str
    name: str
    title: str
    enroll_speech: float
    test_speech: float
    enroll: list  # a tuple of files for each trial
    test: list
    target: list


def read(folder, enroll_speech, test_speech):
    """All conditions in a folder that build.py filled, by name; speech in seconds at most."""
    folder = pathlib.Path(folder)
    found = {}
    for about in sorted(folder.glob("*/condition.json")):
        condition = json.loads(about.read_text(encoding="utf-8"))
        with open(about.parent / "trials.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found[condition["name"]] = Built(
            folder.name,
            condition["name"],
            condition["title"],
            enroll_speech,
            min(test_speech, condition["test_speech"]),
            [_files(about.parent, row["enroll"]) for row in rows],
            [_files(about.parent, row["test"]) for row in rows],
            [row["target"].strip() == "1" for row in rows],
        )
    if not found:
        raise SystemExit(f"{folder}: there are no conditions; build.py makes them")
    return found


def _files(folder, side):
    return tuple(os.path.abspath(folder / file.strip()) for file in side.split(";"))


def speakers(built):
    """Numbers of each trial's two speakers: sides that target trials join are one speaker."""
    parent = {}

    def root(side):
        parent.setdefault(side, side)
        while parent[side] != side:
            side = parent[side]
        return side

    for enroll, test, target in zip(built.enroll, built.test, built.target):
        if target:
            parent[root(("test", test))] = root(("enroll", enroll))
    numbers = {}
    pairs = []
    for enroll, test in zip(built.enroll, built.test):
        both = (root(("enroll", enroll)), root(("test", test)))
        pairs.append([numbers.setdefault(side, len(numbers)) for side in both])
    return pairs
