"""The way of a recording from the mouth to the recorder, under one condition."""

import hashlib
import math

import numpy as np
import scipy.signal

import codec
import sound

PACKET_S = 0.02
BURST = 3.0  # packets: mean length of a burst of losses


def degraded(condition, samples, rate, noises, seed):
    """Samples after the condition, with their rate. `seed` is a string; the same one gives the same samples."""

    def random(step):
        return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:8], "big"))

    if condition.room:
        samples = _in_a_room(samples, noises.room(rate, random("room")), rate)
    samples, rate = _on_the_line(condition, samples, rate)
    if condition.noise:
        noise = noises.of(condition.noise, len(samples), rate, random(condition.noise))
        samples = _with_noise(samples, noise, rate, condition.snr)
    if condition.gain:
        samples = samples * 10 ** (random("gain").uniform(*condition.gain) / 20)
    if condition.clipped:
        speech = np.abs(samples[sound.active(samples, rate)[0]])
        samples = samples / np.quantile(speech, 1 - condition.clipped)
    if condition.codec:
        samples, rate = codec.through(condition.codec, samples, rate)
    if condition.lost:
        samples = _with_loss(samples, rate, condition.lost, random("loss"))
    return samples, rate


def _on_the_line(condition, samples, rate):
    """A recording that is wider than the line goes through the telephone's filter, at its usual level."""
    wanted = 8000 if condition.narrow else 16000
    if condition.narrow and rate > 8000:
        samples = sound.telephone_band(sound.resample(samples, rate, wanted), wanted)
        return sound.to_level(samples, wanted, sound.NOMINAL_DB), wanted
    return sound.resample(samples, rate, wanted), wanted


def _in_a_room(samples, response, rate):
    _, before = sound.active(samples, rate)
    heard = scipy.signal.fftconvolve(samples, response)[: len(samples)]
    return sound.to_level(heard, rate, 10 * math.log10(before)) if before > 0 else samples


def _with_noise(samples, noise, rate, snr):
    """The noise goes through the line too, so the ratio is that of what arrives."""
    noise = sound.telephone_band(noise, rate)
    _, speech = sound.active(samples, rate)
    loudness = np.mean(noise**2)
    return samples + noise * math.sqrt(speech / loudness * 10 ** (-snr / 10)) if loudness > 0 else samples


def _with_loss(samples, rate, share, random):
    """Packets lost in bursts (Gilbert's model), silence in their place, as a receiver without concealment has it."""
    length = int(rate * PACKET_S)
    leave = 1 / BURST
    enter = leave * share / (1 - share)
    lost, samples = random.uniform() < share, samples.copy()
    for start in range(0, len(samples), length):
        if lost:
            samples[start : start + length] = 0
        lost = random.uniform() >= leave if lost else random.uniform() < enter
    return samples
