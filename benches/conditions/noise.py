"""Noises and rooms: recordings of a folder, or made up where there are none.

The folder holds `babble/`, `car/`, `ambient/` (for the street) and `rir/` with WAV or FLAC files of any rate.
"""

import pathlib

import numpy as np
import scipy.signal

import sound

FOLDERS = {"babble": "babble", "car": "car", "street": "ambient", "room": "rir"}
SPEAKERS = 7  # of babble that is made up
REVERBERATION_S = 0.5


class Noises:
    """Where noises come from; `folder` may be None."""

    def __init__(self, folder):
        self.files = {}
        for kind, name in FOLDERS.items():
            found = pathlib.Path(folder).glob(f"{name}/*") if folder else ()
            self.files[kind] = sorted(path for path in found if path.suffix in (".wav", ".flac"))

    def describe(self):
        """Names of the files by kind, so that a change of them is noticed."""
        return {kind: [path.name for path in files] for kind, files in self.files.items()}

    def of(self, kind, length, rate, random):
        """`length` samples of a noise, from anywhere in one of its recordings, which goes round."""
        if not self.files[kind]:
            return MADE_UP[kind](length, rate, random)
        samples, recorded = sound.read(self.files[kind][random.integers(len(self.files[kind]))])
        samples = sound.resample(samples, recorded, rate)
        start = random.integers(len(samples))
        return np.take(samples, np.arange(start, start + length), mode="wrap")

    def room(self, rate, random):
        """A room impulse response."""
        if not self.files["room"]:
            return _decay(rate, random)
        samples, recorded = sound.read(self.files["room"][random.integers(len(self.files["room"]))])
        return sound.resample(samples, recorded, rate)


def _coloured(length, rate, random, shape):
    """Noise whose amplitude at each frequency is shape(hertz)."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    samples = np.fft.irfft(spectrum * shape(np.fft.rfftfreq(length, 1 / rate)), length)
    return samples / np.sqrt(np.mean(samples**2))


def _swell(length, rate, random, hertz):
    """A slow envelope between 0 and about 2."""
    points = max(int(length / rate * hertz * 2) + 2, 4)
    return np.interp(np.linspace(0, points - 1, length), np.arange(points), random.uniform(0, 2, points))


def _babble(length, rate, random):
    def speech(hertz):
        return 1 / (1 + (hertz / 500) ** 1.5)

    voices = [
        _coloured(length, rate, random, speech) * _swell(length, rate, random, 4.0) ** 2 for _ in range(SPEAKERS)
    ]
    return np.sum(voices, axis=0)


def _car(length, rate, random):
    def road(hertz):
        return 1 / (1 + (hertz / 120) ** 1.2)

    time = np.arange(length) / rate
    engine = sum(np.sin(2 * np.pi * 30 * harmonic * time) / harmonic for harmonic in range(1, 12))
    return _coloured(length, rate, random, road) + 0.3 * engine


def _street(length, rate, random):
    def traffic(hertz):
        return 1 / np.sqrt(1 + hertz / 100)

    return _coloured(length, rate, random, traffic) * (0.3 + _swell(length, rate, random, 0.3))


def _decay(rate, random):
    length = int(rate * REVERBERATION_S)
    tail = random.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[0] = 3 * np.abs(tail).max()
    return scipy.signal.lfilter([1, 0.3], [1], tail)


MADE_UP = {"babble": _babble, "car": _car, "street": _street}
