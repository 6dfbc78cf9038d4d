"""The float front end: Kaldi's log mel filter bank (Povey window, dither off), at 8 or 16 kHz.

At 8 kHz a 256-point transform has the bin width of 512 points at 16 kHz, so that both rates share one filter
bank; the constant gain between them vanishes with the mean over the frames.
"""

import numpy as np

MELS = 80
LOWEST, HIGHEST = 20.0, 8000.0  # Hz, edges of the filter bank
TELEPHONE_EDGE = 3600.0  # Hz: mel bins whose centre lies above carry no telephone speech
PREEMPHASIS = 0.97
FLOOR = 128.0  # what the epsilon of float32 becomes when samples are not divided by 32768


def mel(hertz):
    """Hertz to mel, Kaldi's formula."""
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


def centres():
    """Centre of each mel bin, in mel."""
    return np.linspace(mel(LOWEST), mel(HIGHEST), MELS + 2)[1:-1]


NARROW_BINS = int(np.sum(centres() <= mel(TELEPHONE_EDGE)))


def frames(pcm, rate):
    """25 ms frames every 10 ms, [frames][samples], those that fit whole."""
    length, shift = rate // 40, rate // 100
    return np.lib.stride_tricks.sliding_window_view(pcm, length)[::shift]


def loud(framed):
    """Which frames lie less than 30 dB below the mean energy: exact in integers, so any program agrees."""
    energy = np.sum(framed.astype(np.int64) ** 2, axis=1)
    return energy * 1000 * len(energy) > energy.sum()


def log_mel(framed, rate):
    """Natural logarithm of the mel energies, [frames][80], of 16-bit samples."""
    size = 512 * rate // 16000
    x = framed.astype(np.float64)
    x -= x.mean(axis=1, keepdims=True)
    x = x - PREEMPHASIS * np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    length = x.shape[1]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))) ** 0.85
    power = np.abs(np.fft.rfft(x * window, size)[:, : size // 2]) ** 2
    energies = power @ _filters(size // 2, rate / size).T
    return np.log(np.maximum(energies, FLOOR))


def _filters(bins, width):
    edges = np.linspace(mel(LOWEST), mel(HIGHEST), MELS + 2)
    at = mel(np.arange(bins) * width)
    rise = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(np.minimum(rise, fall), 0)


def network_input(logs, narrow):
    """Mean normalisation over the frames; the missing band of a telephone line becomes the mean."""
    x = logs - logs.mean(axis=0)
    if narrow:
        x[:, NARROW_BINS:] = 0
    return x.astype(np.float32)
