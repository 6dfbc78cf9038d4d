"""Samples as float64 between -1 and 1: files, rates and levels."""

import math
import os
import pathlib

import numpy as np
import scipy.signal
import soundfile

FRAME_S = 0.02
MARGIN_DB = 15.9  # ITU-T P.56: speech is active down to this far below its active level
NOMINAL_DB = -26.0  # active level of speech on a line, below full scale
TAPS = 129
PASS_HZ = (300, 3400)


def read(path):
    """Samples of the first channel and their rate."""
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    return samples[:, 0], rate


def write(path, samples, rate, subtype):
    """Writes a WAV file that is whole or not there."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.new")
    soundfile.write(new, to_pcm(samples), rate, subtype=subtype, format="WAV")
    new.replace(path)


def to_pcm(samples):
    """16-bit samples; what is louder than full scale is clipped."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2")


def resample(samples, rate, wanted):
    """The same sound at another rate."""
    if rate == wanted:
        return samples
    common = math.gcd(rate, wanted)
    return scipy.signal.resample_poly(samples, wanted // common, rate // common)


def telephone_band(samples, rate):
    """What a telephone lets through, without delay."""
    taps = scipy.signal.firwin(TAPS, PASS_HZ, pass_zero=False, fs=rate)
    return scipy.signal.fftconvolve(samples, taps, mode="same")


def active(samples, rate):
    """Which samples belong to 20 ms frames of active speech, and the mean power of those."""
    length = int(rate * FRAME_S)
    count = len(samples) // length
    powers = np.mean(samples[: count * length].reshape(count, length) ** 2, axis=1)
    level, frames = powers.mean(), np.ones(count, bool)
    for _ in range(20):
        now = powers > level * 10 ** (-MARGIN_DB / 10)
        if not now.any() or (now == frames).all():
            break
        frames, level = now, powers[now].mean()
    marks = np.zeros(len(samples), bool)
    marks[: count * length] = np.repeat(frames, length)
    return marks, level


def to_level(samples, rate, decibels):
    """Brings the active speech to a level below full scale."""
    _, power = active(samples, rate)
    return samples * 10 ** (decibels / 20) / math.sqrt(power) if power > 0 else samples
