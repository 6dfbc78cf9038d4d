"""What the integers cost: the network of Vouch in fp32 on the very features that the integer engine had.

    quantisation.py --cache DIR CONDITION=LIST.csv=EMBEDDINGS.txt=FEATURES.bin ...

EMBEDDINGS.txt and FEATURES.bin are what the program `embeddings` writes of the trial list LIST.csv with `--features`; DIR
keeps the public checkpoint. Prints a row of a table for each condition: cosine of the two embeddings of a recording, and
the rates of both, by plain cosine. Needs numpy, scipy and PyTorch.
"""

import argparse
import csv
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "conditions"))

import float_network  # noqa: E402  puts dsp/model on the path
import metrics  # noqa: E402

import fbank  # noqa: E402

MELS, SIZE = 80, 192
FRAME_MS = 10
Q9 = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("conditions", nargs="+", metavar="CONDITION=LIST.csv=EMBEDDINGS.txt=FEATURES.bin")
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = float_network.FloatNetwork(args.cache, adapted=True)
    print("| condition | cosine, mean (worst) | EER integer, fp32 | FRR at FAR 1 % | FRR at FAR 0.1 % |")
    print("|---|---|---|---|---|")
    for condition in args.conditions:
        name, listed, embeddings, features = condition.split("=")
        print(_row(name, listed, _sides(network, embeddings, features)), flush=True)


def _sides(network, embeddings, features):
    """{(role, files): (integer embedding, float embedding)}"""
    frames = np.fromfile(features, "<i2").reshape(-1, MELS) / Q9
    found, at = {}, 0
    for row in open(embeddings, encoding="utf-8"):
        role, files, speech_ms, *values = row.rstrip("\n").split("\t")
        count = int(speech_ms) // FRAME_MS
        heard, at = frames[at : at + count], at + count
        if len(values) == SIZE:
            exact = network.embed(fbank.network_input(heard, narrow=True))
            integer = np.array(values, float)
            found[role, files] = integer / np.linalg.norm(integer), exact
    if at != len(frames):
        raise SystemExit(f"{features} holds {len(frames)} frames, {embeddings} names {at}")
    return found


def _row(name, listed, sides):
    with open(listed, newline="", encoding="utf-8") as file:
        trials = [(("enroll", row["enroll"]), ("test", row["test"]), row["target"] == "1") for row in csv.DictReader(file)]
    trials = [trial for trial in trials if trial[0] in sides and trial[1] in sides]
    target = np.array([trial[2] for trial in trials])
    alike = np.array([integer @ exact for integer, exact in sides.values()])
    both = []
    for way in (0, 1):
        scores = np.array([sides[enroll][way] @ sides[test][way] for enroll, test, _ in trials])
        both.append(metrics.rates(scores, target))
    cells = [", ".join(f"{100 * rates[figure]:.2f}" for rates in both) for figure in ("eer", "frr_at_0.01", "frr_at_0.001")]
    return f"| {name} | {alike.mean():.4f} ({alike.min():.4f}) | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
