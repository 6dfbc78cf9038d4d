"""Which frames of a clean recording are speech: what a careful person would mark.

Speech is what stands out of the studio's silence, down to 32 dB below the loud vowels. Pauses of less than 200 ms
belong to it: closures of stops and the like are part of a word. Shorter things than 50 ms that stand alone (clicks,
lips) do not.
"""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import fbank

BELOW_LOUD = 32.0  # dB, from the loud vowels
NOISE = 8.0  # times the tenth percentile of a mel bin's energies: what noise seldom exceeds
CLEAN = 26.0  # dB from the tenth percentile of the level to the loud vowels: below that no such mark is to be trusted
FIRST_BIN = 6  # below lie hum and thumps
SHORTEST = 5  # frames of 10 ms
SPLIT = 4  # frames: shorter dips never split anything
GAP = 20  # frames


def log_mel(pcm):
    """Natural logarithm of the mel energies of 8 kHz samples, [frames][58]."""
    return fbank.log_mel(fbank.frames(np.asarray(pcm), 8000), 8000)[:, : fbank.NARROW_BINS]


def speech_frames(pcm):
    """Which frames of a clean 8 kHz recording are speech."""
    energies = np.exp(log_mel(pcm)[:, FIRST_BIN:])
    noise = NOISE * np.percentile(energies, 10, axis=0)
    level = smooth(decibels(np.maximum(energies - noise, 0).sum(axis=1) + 1))
    return closed(level > loud(level) - BELOW_LOUD)


def is_clean(pcm):
    """Whether the recording is quiet enough to mark it by energy."""
    level = smooth(decibels(np.exp(log_mel(pcm)[:, FIRST_BIN:]).sum(axis=1)))
    return loud(level) - np.percentile(level, 10) > CLEAN


def decibels(energy):
    return 10 * np.log10(energy)


def smooth(level):
    return np.convolve(np.pad(level, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")


def loud(level):
    """Level of the loud vowels: the median of the loudest 20 dB."""
    return np.median(level[level > np.percentile(level, 95) - 20])


def closed(marked):
    """Marks without short bursts and with short gaps filled."""
    marked = filled(np.array(marked, bool), SPLIT)
    for begin, end in runs(marked):
        if end - begin < SHORTEST:
            marked[begin:end] = False
    return filled(marked, GAP)


def filled(marked, shorter_than):
    """Marks with the inner gaps filled that are shorter than that."""
    for begin, end in runs(~marked):
        if begin > 0 and end < len(marked) and end - begin < shorter_than:
            marked[begin:end] = True
    return marked


def runs(marked):
    """(begin, end) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(marked, np.int8), [0]])))
    return list(zip(edges[::2], edges[1::2]))
