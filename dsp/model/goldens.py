"""Golden embeddings: what the float network makes of 50 real utterances. Writes ../tests/data/embeddings.csv.

    python3 goldens.py SOUNDS [--cache DIR] [--adaptation FILE] [--out FILE]

SOUNDS is the folder of Debian's Asterisk voices (/usr/share/asterisk/sounds). No utterance here was used for
calibration. `dsp/tests/network_golden.rs` makes the same utterances and compares the integer engine.
"""

import argparse
import csv
import pathlib

import numpy as np

import adaptation
import checkpoint
import reference
import speech

UTTERANCES = {True: 30, False: 20}  # narrowband, wideband


def main():
    """Embeds and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds")
    parser.add_argument("--cache", default="cache")
    parser.add_argument("--adaptation", default=adaptation.SHIPPED)
    parser.add_argument("--out", default=pathlib.Path(__file__).parent.parent / "tests/data/embeddings.csv")
    options = parser.parse_args()
    public = reference.layers(checkpoint.load(options.cache))
    network = reference.Network(adaptation.apply(public, adaptation.load(options.adaptation)))
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["band", "files", "embedding_q15"])
        for narrow, count in UTTERANCES.items():
            _, measuring = speech.utterances(options.sounds, narrow)
            for utterance in speech.spread(measuring, count):
                embedding = network.embed(speech.features(options.sounds, utterance))
                values = np.rint(embedding * 32767).astype(int)
                table.writerow(["narrow" if narrow else "wide", ";".join(utterance.files), " ".join(map(str, values))])


if __name__ == "__main__":
    main()
