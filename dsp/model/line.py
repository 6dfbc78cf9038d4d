"""Bad telephone lines for training: rooms, noise, level, clipping, handset bands, codecs, lost packets.

Everything random comes from the generator that the caller hands in. Codecs run in sox (with libsox-fmt-all) and
ffmpeg, once for a whole list of recordings.
"""

import pathlib
import subprocess
import tempfile

import numpy as np
import scipy.signal

import speech

PACKET = 0.020  # s
AMR_MODES = ("0", "2", "4", "7")  # 4.75, 5.9, 7.4, 12.2 kbit/s
CODECS = {"mu-law": 0.32, "a-law": 0.1, "gsm": 0.24, "amr": 0.2, "opus": 0.14}


def telephone(pcm):
    """A good line: 16 kHz samples at 8 kHz, 250-3450 Hz."""
    narrow = scipy.signal.resample_poly(pcm.astype(np.float64), 1, 2)
    return _band(narrow, 250, 3450, 4)


class Room:
    """What a caller's surroundings add: reverberation and noise, both at 16 kHz."""

    def __init__(self, noises, rooms, voices):
        self.noises, self.rooms, self.voices = noises, rooms, voices

    def around(self, pcm, random):
        """The voice as the microphone hears it, 16 kHz."""
        x = pcm.astype(np.float64)
        if random.random() < 0.25:
            x = _reverberated(x, self.rooms[random.integers(len(self.rooms))], random.uniform(0.3, 1))
        if random.random() < 0.8:
            noise = self._noise(len(x), random)
            x = x + noise * _active(x) / (_rms(noise) + 1e-9) * 10 ** (-random.uniform(3, 20) / 20)
        return x

    def _noise(self, length, random):
        kind = random.random()
        if kind < 0.2:  # babble of other voices
            crowd = [self.voices[i] for i in random.integers(len(self.voices), size=random.integers(3, 9))]
            return sum(_cut(voice, length, random) / (_rms(voice) + 1) for voice in crowd)
        if kind < 0.35:  # steady, between white and brown
            spectrum = np.fft.rfft(random.standard_normal(length))
            at = np.maximum(np.arange(len(spectrum)) * 16000 / length, 50)
            return np.fft.irfft(spectrum * at ** -random.uniform(0, 1), length)
        group = self.noises[("babble", "car", "ambient")[random.integers(3)]]
        return _cut(group[random.integers(len(group))], length, random)


def handset(x, random):
    """Microphone, gain and band of a telephone, at 8 kHz: whole samples."""
    x = scipy.signal.resample_poly(x, 1, 2)
    if random.random() < 0.9:
        x = _band(x, random.uniform(50, 400), random.uniform(3000, 3700), int(random.integers(1, 5)))
    kind = random.random()
    if kind < 0.12:
        peak = np.quantile(np.abs(x), random.uniform(0.9, 0.99))
        return np.clip(x / peak, -1, 1) * random.uniform(8000, 32000)
    level = random.uniform(-45, -35) if kind < 0.25 else random.uniform(-32, -16)
    return x * 32768 * 10 ** (level / 20) / _active(x)


def lost(pcm, random):
    """One recording in eight loses packets in bursts: zeros."""
    if random.random() > 0.125:
        return pcm
    packet = int(8000 * PACKET)
    out, at, rate = pcm.copy(), 0, random.uniform(0.02, 0.1)
    while at < len(out):
        burst = int(random.integers(1, 5)) * packet
        out[at : at + burst] = 0 if random.random() < rate else out[at : at + burst]
        at += burst
    return out


def through(codec, recordings):
    """8 kHz recordings after a codec, as 16-bit samples of the same lengths."""
    whole = [np.clip(np.rint(x), -32768, 32767).astype(np.int16) for x in recordings]
    if codec == "mu-law":
        return [speech.mu_law(x) for x in whole]
    gap = np.zeros(1600, np.int16)
    joined = np.concatenate([part for x in whole for part in (x, gap)])
    decoded = _opus(joined) if codec == "opus" else _sox(codec, joined)
    decoded = decoded[_delay(joined, decoded) :]
    decoded = np.pad(decoded, (0, max(0, len(joined) - len(decoded))))
    starts = np.cumsum([0] + [len(x) + len(gap) for x in whole])
    return [decoded[start : start + len(x)] for start, x in zip(starts, whole)]


def _sox(codec, joined):
    options = {"a-law": ["-t", "al", "-r", "8000", "-c", "1"], "gsm": ["-t", "gsm", "-r", "8000"]}.get(codec)
    mode = []
    if options is None:
        options, mode = ["-t", "amr-nb"], ["-C", codec.partition(" ")[2]]
    with tempfile.TemporaryDirectory() as folder:
        coded = pathlib.Path(folder) / "coded"
        raw = ["-t", "s16", "-r", "8000", "-c", "1"]
        subprocess.run(["sox", "-D", *raw, "-", *mode, *options, coded], input=joined.tobytes(), check=True)
        done = subprocess.run(["sox", "-D", *options, coded, *raw, "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.int16)


def _opus(joined):
    raw = ["-f", "s16le", "-ar", "8000", "-ac", "1"]
    quiet = ["ffmpeg", "-loglevel", "error"]
    coder = ["-c:a", "libopus", "-b:a", "12k", "-application", "voip", "-f", "ogg", "-"]
    coded = subprocess.run([*quiet, *raw, "-i", "-", *coder], input=joined.tobytes(), capture_output=True, check=True)
    done = subprocess.run([*quiet, "-i", "-", *raw, "-"], input=coded.stdout, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.int16)


def _delay(joined, decoded):
    """Samples by which a codec is late, up to 40 ms."""
    length = min(len(joined), len(decoded), 160000)
    one, two = (np.abs(x[:length].astype(np.float64)) for x in (joined, decoded))
    fits = [np.dot(one[: length - 320], two[late : late + length - 320]) for late in range(320)]
    return int(np.argmax(fits))


def _band(x, low, high, order):
    return scipy.signal.sosfilt(scipy.signal.butter(order, [low, high], "bandpass", fs=8000, output="sos"), x)


def _reverberated(x, room, wet):
    room = room / np.abs(room).max()
    start = int(np.argmax(np.abs(room)))
    echo = scipy.signal.fftconvolve(x, room)[start : start + len(x)]
    return (1 - wet) * x + wet * echo * _rms(x) / (_rms(echo) + 1e-9)


def _cut(x, length, random):
    turned = np.roll(x, int(random.integers(len(x)))).astype(np.float64)
    return np.tile(turned, -(-length // len(turned)))[:length]


def _active(x):
    """Level of the loud parts: 20 ms pieces less than 30 dB below the mean."""
    pieces = x[: len(x) // 320 * 320].reshape(-1, 320)
    power = (pieces**2).mean(1)
    return np.sqrt(power[power * 1000 > power.mean()].mean()) + 1e-9


def _rms(x):
    return np.sqrt(np.mean(np.square(x, dtype=np.float64)))
