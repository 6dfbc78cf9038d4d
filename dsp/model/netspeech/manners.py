"""Clean speech spoken otherwise, for training: `python3 manners.py --help`.

Readers and prompts speak calmly, callers do not. WORLD (Morise et al., 2016) takes a recording apart into pitch, spectral
envelope and aperiodicity; these are changed and put together again: raised and lively voices with the flat spectrum of
vocal effort, deep ones, fast and slow ones, breathy ones, children's.
"""

import argparse
import pathlib

import numpy as np
import pyworld
import scipy.signal
import soundfile

import sounds

RATE = 16000
FRAME_MS = 5.0
EFFORT_FROM = 400.0  # Hz: vocal effort raises what lies above


class Parts:
    """A recording taken apart."""

    def __init__(self, pcm):
        pcm = np.ascontiguousarray(pcm, np.float64)
        rough, times = pyworld.dio(pcm, RATE, f0_floor=60, f0_ceil=500, frame_period=FRAME_MS)
        self.pitch = pyworld.stonemask(pcm, rough, times, RATE)
        self.envelope = pyworld.cheaptrick(pcm, self.pitch, times, RATE)
        self.aperiodicity = pyworld.d4c(pcm, self.pitch, times, RATE)

    def spoken(self, random):
        """The recording in another manner, at 8 kHz."""
        kind = random.random()
        if kind < 0.5:  # raised
            height, formants, effort = random.uniform(1.15, 2.0), random.uniform(0.97, 1.15), random.uniform(0, 6)
        elif kind < 0.75:  # deep
            height, formants, effort = random.uniform(0.6, 0.95), random.uniform(0.85, 1.0), random.uniform(-3, 3)
        else:  # a child, or another person
            height, formants, effort = random.uniform(0.9, 1.7), random.uniform(0.9, 1.3), random.uniform(-2, 4)
        pitch = self._lively(height, random.uniform(0.3, 1.8))
        envelope, aperiodicity = self._louder(effort), self.aperiodicity
        if random.random() < 0.1:  # breathy
            aperiodicity = aperiodicity ** random.uniform(0.1, 0.6)
        envelope, aperiodicity = _stretched(envelope, formants), _stretched(aperiodicity, formants)
        at = self._moments(random)
        pcm = pyworld.synthesize(pitch[at], envelope[at], aperiodicity[at], RATE, FRAME_MS)
        return scipy.signal.resample_poly(pcm, 1, 2)

    def _lively(self, height, range_factor):
        """Pitch that is so much higher and moves so much more."""
        voiced = self.pitch > 0
        log = np.log(self.pitch, where=voiced, out=np.zeros_like(self.pitch))
        middle = log[voiced].mean() if voiced.any() else 0.0
        return np.where(voiced, np.clip(np.exp(middle + (log - middle) * range_factor) * height, 50, 700), 0.0)

    def _louder(self, effort):
        """The envelope with so many dB an octave more."""
        hertz = np.linspace(0, RATE / 2, self.envelope.shape[1])
        octaves = np.log2(np.maximum(hertz, EFFORT_FROM) / EFFORT_FROM)
        return self.envelope * 10 ** (np.minimum(octaves * effort, 15) / 10)

    def _moments(self, random):
        """Frames to speak: faster or slower, changing a little on the way."""
        points = random.uniform(0.85, 1.15, max(2, len(self.pitch) // 100)) * random.uniform(0.65, 1.5)
        pace = np.interp(np.linspace(0, 1, 2 * len(self.pitch)), np.linspace(0, 1, len(points)), points)
        at = np.cumsum(pace).astype(int)
        return at[at < len(self.pitch)]


def _stretched(spectrum, factor):
    """Each row with its features at so many times their frequency."""
    bins = np.arange(spectrum.shape[1])
    below = np.minimum(bins / factor, bins[-1])
    low = np.floor(below).astype(int)
    high, part = np.minimum(low + 1, bins[-1]), below - low
    return np.ascontiguousarray(spectrum[:, low] * (1 - part) + spectrum[:, high] * part)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--librispeech", required=True, help="folder of LibriSpeech utterances (FLAC)")
    parser.add_argument("--prompts", default="/usr/share/asterisk/sounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="the folder that is written")
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    readers = [(name, pcm, 3) for name, pcm in sounds.librispeech(arguments.librispeech, held_out=False)]
    prompts = [(name, pcm, 1) for name, pcm in sounds.prompts(arguments.prompts)][::2]
    for index, (name, pcm, copies) in enumerate(readers + prompts):
        parts = Parts(scipy.signal.resample_poly(pcm, 2, 1))
        for copy in range(copies):
            spoken = parts.spoken(random)
            if np.isfinite(spoken).all():  # WORLD fails on a few recordings
                spoken = spoken / (np.abs(spoken).max() + 1e-9) * 0.9
                soundfile.write(out / f"{name}-{index}-{copy}.flac", spoken, sounds.RATE)


if __name__ == "__main__":
    main()
