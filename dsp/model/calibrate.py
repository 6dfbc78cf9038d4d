"""Measures how large the activations of the network get on real speech: writes calibration.npz.

    python3 calibrate.py SOUNDS [--cache DIR] [--adaptation FILE] [--out calibration.npz]

SOUNDS is the folder of Debian's Asterisk voices (/usr/share/asterisk/sounds). The result is committed and is an
input of convert.py: matrix products in floating point differ in the last bits between machines, so running
this again may move a figure by one unit of its 11 bits, while convert.py gives the same bytes everywhere.
"""

import argparse

import numpy as np

import adaptation
import checkpoint
import quantise
import reference
import speech

UTTERANCES = {True: 24, False: 20}  # narrowband, wideband
MOST_FRAMES = 700
SAMPLES = 200  # positions kept of each map and utterance
FACTORS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def main():
    """Runs the float network over the calibration speech."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds")
    parser.add_argument("--cache", default="cache")
    parser.add_argument("--adaptation", default=adaptation.SHIPPED)
    parser.add_argument("--out", default="calibration.npz")
    options = parser.parse_args()
    layers = adaptation.apply(reference.layers(checkpoint.load(options.cache)), adaptation.load(options.adaptation))
    watch = Watch()
    network = reference.Network(layers, watch)
    for narrow, count in UTTERANCES.items():
        calibration, _ = speech.utterances(options.sounds, narrow)
        for utterance in speech.spread(calibration, count):
            network.embed(speech.features(options.sounds, utterance)[:MOST_FRAMES])
    figures = watch.figures()
    for name in quantise.points(layers):
        figures[f"factor/{name}"] = np.float16(_best_factor(layers, figures, name, watch.samples(name)))
    np.savez_compressed(options.out, **figures)


class Watch:
    """Tap that keeps the largest value, the mean and some samples of each map, by channel."""

    def __init__(self):
        self.maps = {}
        self.random = np.random.default_rng(0)

    def __call__(self, name, values):
        rows = values.reshape(-1, values.shape[-1])
        kept = rows[self.random.choice(len(rows), min(SAMPLES, len(rows)), replace=False)]
        self.maps.setdefault(name, []).append((np.abs(rows).max(0), rows.mean(0), kept))
        return values

    def samples(self, name):
        """Samples of a map over all utterances, [positions][channels]."""
        return np.concatenate([kept for _, _, kept in self.maps[name]])

    def figures(self):
        """Largest magnitude and mean of every channel of every map."""
        found = {}
        for name, seen in self.maps.items():
            found[f"max/{name}"] = np.max([largest for largest, _, _ in seen], axis=0).astype(np.float16)
            found[f"mean/{name}"] = np.mean([mean for _, mean, _ in seen], axis=0).astype(np.float16)
        return found


def _best_factor(layers, figures, name, samples):
    """Fraction of the full range whose 7-bit grid moves the sums of the layers behind it least."""
    errors = []
    for factor in FACTORS:
        steps = quantise.steps(layers, {**figures, f"factor/{name}": factor}, name)
        moved = np.clip(np.rint(samples / steps), 0, 127) * steps - samples
        sums = [moved @ rows.T for rows in quantise.reader_rows(layers, name)]
        errors.append(sum(float(np.sum(total**2)) for total in sums))
    return FACTORS[int(np.argmin(errors))]


if __name__ == "__main__":
    main()
