"""Signals that are made, not recorded: signalling tones, fax and modem signals, comfort noise, hum. 8 kHz, floats of 16-bit range.

Frequencies and cadences: ITU-T E.180 supplement 2 (tones of the countries), Q.23 (DTMF), T.30 (fax), V.8, V.21, V.25;
comfort noise is reflection coefficients and a level as in G.711 Appendix II.
"""

import numpy as np
import scipy.signal

RATE = 8000

# name: lines in Hz, then (seconds on, seconds off)...; one period.
TONES = {
    "dial North America": ((350, 440), (10, 0)),
    "dial Europe": ((425,), (10, 0)),
    "dial United Kingdom": ((350, 450), (10, 0)),
    "dial Japan": ((400,), (10, 0)),
    "dial Australia": ((425, 400), (10, 0)),
    "dial Europe, stutter": ((425,), (0.1, 0.1)),
    "ringback North America": ((440, 480), (2, 4)),
    "ringback Europe": ((425,), (1, 4)),
    "ringback United Kingdom": ((400, 450), (0.4, 0.2), (0.4, 2.0)),
    "ringback Australia": ((400, 425, 450), (0.4, 0.2), (0.4, 2.0)),
    "ringback Japan": ((384, 416), (1, 2)),
    "busy North America": ((480, 620), (0.5, 0.5)),
    "busy Europe": ((425,), (0.5, 0.5)),
    "busy United Kingdom": ((400,), (0.375, 0.375)),
    "busy Australia": ((425,), (0.375, 0.375)),
    "busy Japan": ((400,), (0.5, 0.5)),
    "congestion North America": ((480, 620), (0.25, 0.25)),
    "congestion Europe": ((425,), (0.25, 0.25)),
    "congestion United Kingdom": ((400,), (0.4, 0.35), (0.225, 0.525)),
    "call waiting": ((440,), (0.3, 4)),
    "recording warning": ((1400,), (0.5, 3)),
    "off hook, North America": ((1400, 2060, 2450, 2600), (0.1, 0.1)),
    "fax CNG": ((1100,), (0.5, 3)),
    "fax CED": ((2100,), (3, 1)),
    "test 1004 Hz": ((1004,), (10, 0)),
}
SIT = {  # special information tones: three segments of 0.33 s (the American ones vary a little in pitch and length)
    "SIT Europe": ((950, 0.33), (1400, 0.33), (1800, 0.33)),
    "SIT intercept": ((913.8, 0.274), (1370.6, 0.274), (1776.7, 0.38)),
    "SIT no circuit": ((985.2, 0.38), (1428.5, 0.38), (1776.7, 0.38)),
}
DTMF_LOW, DTMF_HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)


def lines(hertz, count, phase=0.0):
    """Sum of sinusoids of amplitude 1 each."""
    time = np.arange(count) / RATE
    return sum(np.sin(2 * np.pi * (f * time + phase * (i + 1))) for i, f in enumerate(hertz))


def cadence(name, seconds):
    """A tone of `TONES`, its cadence repeated."""
    hertz, *pattern = TONES[name]
    out = []
    while sum(map(len, out)) < seconds * RATE:
        for on, off in pattern:
            out += [lines(hertz, int(on * RATE)), np.zeros(int(off * RATE))]
    return np.concatenate(out)[: int(seconds * RATE)]


def information(name, seconds, pause=1.0):
    """Special information tone, repeated."""
    once = np.concatenate([lines((f,), int(s * RATE)) for f, s in SIT[name]] + [np.zeros(int(pause * RATE))])
    return np.tile(once, int(np.ceil(seconds * RATE / len(once))))[: int(seconds * RATE)]


def dtmf(random, seconds, on=None, off=None):
    """Digits at random; `on` and `off` in seconds, at random where not given."""
    out = []
    while sum(map(len, out)) < seconds * RATE:
        length = int((on or random.uniform(0.045, 0.4)) * RATE)
        low, high = random.choice(DTMF_LOW), random.choice(DTMF_HIGH)
        twist = 10 ** (random.uniform(-6, 4) / 20)
        out += [lines((low,), length) + twist * lines((high,), length)]
        out += [np.zeros(int((off or random.uniform(0.045, 0.6)) * RATE))]
    return np.concatenate(out)[: int(seconds * RATE)]


def fsk(random, seconds, mark=1650, space=1850, baud=300, flags=False):
    """V.21 channel 2 as of fax: random bits, or HDLC flags (the preamble)."""
    count = int(seconds * baud) + 1
    bits = np.tile([0, 1, 1, 1, 1, 1, 1, 0], count // 8 + 1)[:count] if flags else random.integers(0, 2, count)
    hertz = np.repeat(np.where(bits == 1, mark, space), RATE // baud + 1)
    keep = (np.arange(int(seconds * RATE)) * baud / RATE).astype(int)
    hertz = np.where(bits[keep] == 1, mark, space) if len(bits) > keep[-1] else hertz[: len(keep)]
    return np.sin(2 * np.pi * np.cumsum(hertz) / RATE)


def qam(random, seconds, carrier=1800, baud=2400, points=4):
    """Phase and amplitude modulation as of V.29, V.17 or V.34: noise-like between 600 and 3000 Hz."""
    count = int(seconds * RATE)
    symbols = (random.integers(0, points, count) * 2 - points + 1) + 1j * (random.integers(0, points, count) * 2 - points + 1)
    place = (np.arange(count) * baud // RATE).astype(int)
    impulses = np.zeros(count, complex)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    impulses[first] = symbols[: len(first)]
    taps = scipy.signal.firwin(65, baud / 2 * 1.1, fs=RATE)
    return np.real(scipy.signal.lfilter(taps, 1, impulses) * np.exp(2j * np.pi * carrier * np.arange(count) / RATE)) * 2


def coloured(random, count, reflection):
    """White noise through the all-pole lattice of these reflection coefficients (comfort noise)."""
    a = np.array([1.0])
    for k in reflection:
        a = np.concatenate([a, [0]]) + k * np.concatenate([a, [0]])[::-1]
    return scipy.signal.lfilter([1], a, random.standard_normal(count))


def comfort(random, seconds, renew=0.2):
    """Comfort noise: every `renew` seconds the level and the spectrum move a little, as with silence descriptors."""
    k = np.clip(random.normal(0, [0.5, 0.3, 0.2, 0.15, 0.1], 5), -0.85, 0.85)
    level, out = 0.0, []
    while sum(map(len, out)) < seconds * RATE:
        k = np.clip(k + random.normal(0, 0.04, 5), -0.9, 0.9)
        level = np.clip(level + random.normal(0, 0.7), -3, 3)
        block = coloured(random, int(renew * RATE) + 200, k)[200:]
        out.append(block / (block.std() + 1e-9) * 10 ** (level / 20))
    return np.concatenate(out)[: int(seconds * RATE)]


def hum(random, seconds, mains=50):
    """Mains hum with its harmonics."""
    strength = [random.uniform(0.1, 1) / n for n in range(1, 12)]
    return sum(a * lines((mains * n,), int(seconds * RATE), random.random()) for n, a in enumerate(strength, 1))


def clicks(random, seconds):
    """Clicks, knocks and keyboard: short decaying noises at random times."""
    out = np.zeros(int(seconds * RATE))
    time = 0.0
    while (time := time + random.exponential(0.5)) < seconds - 0.3:
        length = int(random.uniform(0.003, 0.15) * RATE)
        burst = random.standard_normal(length) * np.exp(-np.arange(length) / length * 5)
        if random.random() < 0.5:
            burst = scipy.signal.lfilter([1], [1, -2 * 0.95 * np.cos(random.uniform(0.2, 2.5)), 0.9], burst)
        at = int(time * RATE)
        out[at : at + length] += burst / (np.abs(burst).max() + 1e-9) * random.uniform(0.1, 1)
    return out
