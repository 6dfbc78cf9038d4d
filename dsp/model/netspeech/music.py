"""Music for training, composed by rule and played by fluidsynth: `python3 music.py --help`.

Bands with drums, bass, chords and a tune; tunes alone, slow and fast, with vibrato and slides, because a slow lone
instrument is what a detector most easily takes for a voice; pads and choirs; arpeggios. Every General MIDI instrument but
the sound effects. Half of it goes through echo, a filter that moves, tremolo or distortion. 8 kHz, 16 bits.
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import scipy.signal
import soundfile

RATE, PLAYED = 8000, 32000
SECONDS = 24
TICKS = 960  # a second
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "whole tone": (0, 2, 4, 6, 8, 10, 12),
}
PROGRESSIONS = ("0 4 5 3", "0 5 3 4", "1 4 0 0", "0 3 4 0", "5 3 0 4", "0 2 3 4", "0 6 5 4", "0 0 3 0 4 0", "0 3", "0", "0 4 1 3", "3 2 1 0")
LEADS = (*range(0, 32), *range(40, 47), *range(48, 80), *range(80, 88), *range(104, 112))
SUSTAINED = (*range(16, 24), *range(40, 45), *range(48, 55), *range(56, 80), *range(80, 96), 109, 110, 111)
LIKE_VOICES = (22, 40, 41, 42, 52, 53, 54, 57, 58, 60, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 75, 77, 78, 79, 85, 91, 110)
CHORDS = (*range(0, 8), *range(16, 32), *range(48, 55), 61, 62, 63, *range(88, 96), 11, 12, 46, 108)
PLUCKED = (*range(0, 16), *range(24, 32), 45, 46, 47, *range(104, 109), 114)
BASSES = (*range(32, 40), 43, 58, 87)
SLOW = (1, 1.5, 2, 3, 4, 6)  # beats
FAST = ((0.5, 0.5, 1, 1, 1.5, 2), (0.25, 0.5, 0.5, 1), (0.25, 0.25, 0.5))
DRUMS = 9
KICK, SNARE, SIDE, CLAP, CLOSED, OPEN, RIDE, SHAKER, TAMBOURINE = 36, 38, 37, 39, 42, 46, 51, 70, 54


class Song:
    """Events of a piece, and what its parts share: key, tempo and harmony."""

    def __init__(self, random):
        self.random, self.events = random, []
        self.scale = SCALES[random.choice(list(SCALES), p=(0.3, 0.3, 0.12, 0.13, 0.1, 0.05))]
        self.key = int(random.integers(0, 12))
        self.beat = 60 / random.uniform(48, 160)
        self.beats = int(random.choice((3, 4, 4, 4, 6)))
        degrees = [int(degree) for degree in random.choice(PROGRESSIONS).split()]
        bars = int(SECONDS / (self.beat * self.beats)) + 1
        self.harmony = [degrees[bar % len(degrees)] for bar in range(bars)]
        self.swing = random.choice((0, 0, 0, 0.16, 0.3))

    def put(self, at, *message):
        self.events.append((max(0, round(at * TICKS)), bytes(int(byte) for byte in message)))

    def instrument(self, channel, patch, volume):
        """Chooses what a channel plays with."""
        self.put(0, 0xC0 | channel, patch)
        self.put(0, 0xB0 | channel, 7, volume)
        self.put(0, 0xB0 | channel, 91, self.random.integers(0, 128))  # reverberation
        self.put(0, 0xB0 | channel, 93, self.random.integers(0, 90))  # chorus

    def note(self, channel, at, length, key, velocity):
        key = int(np.clip(key, 12, 112))
        if at < SECONDS:
            self.put(at, 0x90 | channel, key, np.clip(velocity, 1, 127))
            self.put(max(at + 0.03, min(at + length, SECONDS)), 0x80 | channel, key, 0)

    def bend(self, channel, at, semitones):
        value = int(np.clip(8192 + semitones * 4096, 0, 16383))
        self.put(at, 0xE0 | channel, value & 127, value >> 7)

    def pitch(self, step, octave):
        """Key of a step of the scale, counted from the tonic."""
        return self.key + 12 * (octave + 1) + self.scale[step % 7] + 12 * (step // 7)

    def bars(self):
        """(seconds, degree) of each bar."""
        for bar, degree in enumerate(self.harmony):
            yield bar * self.beat * self.beats, degree

    def file(self):
        """The piece as a MIDI file of one track."""
        track, now = bytearray(), 0
        for at, message in sorted(self.events, key=lambda event: (event[0], event[1][0] & 0xF0 == 0x90)):
            track += quantity(at - now) + message
            now = at
        track += b"\0\xff\x2f\0"
        head = b"MThd" + (6).to_bytes(4, "big") + (0).to_bytes(2, "big") + (1).to_bytes(2, "big")
        return head + (TICKS // 2).to_bytes(2, "big") + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)


def quantity(value):
    """A number as MIDI files write it, seven bits a byte."""
    out = [value & 127]
    while value := value >> 7:
        out.append(value & 127 | 128)
    return bytes(reversed(out))


def tune(song, channel, patch, slow):
    """One voice that walks over the scale, with rests, and on sustained instruments with vibrato, slides and swells."""
    random, at, step = song.random, song.random.uniform(0, 1.5), 0
    song.instrument(channel, patch, random.integers(75, 120))
    octave = random.choice((2, 3, 3, 4, 4, 5), p=(0.05, 0.2, 0.2, 0.25, 0.2, 0.1))
    vibrato = random.uniform(0, 0.6) if random.random() < 0.7 else 0
    speed, slides, swells = random.uniform(3.5, 7.5), random.random() * 0.6, random.random() < 0.5
    lengths = SLOW if slow else FAST[random.integers(len(FAST))]
    legato = random.choice((0.5, 0.85, 1.0, 1.05))
    before = None
    while at < SECONDS:
        if random.random() < (0.12 if before is not None else 0):
            at += random.choice((0.5, 1, 2, 4)) * song.beat
            before = None
            continue
        length = max(0.09, random.choice(lengths) * song.beat)
        step = int(np.clip(step + random.choice((-4, -2, -1, -1, 0, 1, 1, 2, 3, 7), p=(0.06, 0.12, 0.18, 0.12, 0.08, 0.16, 0.12, 0.1, 0.04, 0.02)), -6, 10))
        key = song.pitch(step, octave)
        song.note(channel, at, length * legato, key, random.integers(55, 120))
        if patch in SUSTAINED or random.random() < 0.1:
            slide = np.clip(before - key, -2, 2) if before is not None and random.random() < slides else 0
            shape(song, channel, (at, length), slide, (vibrato, speed) if length > 0.35 else (0, 1))
            if swells:
                swell(song, channel, at, length)
        before, at = key, at + length
    return song


def shape(song, channel, when, slide, vibrato):
    """Bends a note: in from the one before, then vibrato that grows."""
    at, length = when
    depth, speed = vibrato
    sliding = min(song.random.uniform(0.05, 0.25), length / 2)
    for time in np.arange(0, length, 0.015):
        bent = slide * max(0, 1 - time / sliding)
        bent += depth * min(1, max(0, time - 0.15) / 0.5) * np.sin(2 * np.pi * speed * time)
        song.bend(channel, at + time, bent)


def swell(song, channel, at, length):
    """A note that grows and fades."""
    peak = song.random.uniform(0.2, 0.8)
    for part in np.linspace(0, 0.98, 16):
        loud = min(part / peak, (1 - part) / (1 - peak))
        song.put(at + part * length, 0xB0 | channel, 11, 60 + 67 * loud)


def triad(song, degree):
    size = song.random.choice((3, 3, 4))
    return [degree + 2 * third - (7 if song.random.random() < 0.3 else 0) for third in range(size)]


def chords(song, channel, patch, style):
    """The harmony: held, struck on beats, or broken."""
    random = song.random
    song.instrument(channel, patch, random.integers(45, 100))
    octave, pattern = random.choice((2, 3, 3, 4)), random.random(16) < 0.5
    unit = song.beat / random.choice((1, 2, 2, 3, 4))
    order = random.permutation(8)
    for at, degree in song.bars():
        steps, bar = triad(song, degree), song.beat * song.beats
        if style == "held":
            for index, step in enumerate(steps):
                song.note(channel, at + index * random.uniform(0, 0.03), bar * 1.01, song.pitch(step, octave), random.integers(50, 90))
            continue
        for index in range(int(bar / unit)):
            start = at + (index + song.swing * (index % 2)) * unit
            if style == "broken":
                step = steps[order[index % 8] % len(steps)] + 7 * (order[index % 8] // 4)
                song.note(channel, start, unit * random.uniform(0.8, 6), song.pitch(step, octave), random.integers(50, 110))
            elif pattern[index % 16]:
                for number, step in enumerate(steps):
                    song.note(channel, start + number * 0.012, unit * 0.8, song.pitch(step, octave), random.integers(50, 105))


def bass(song, channel):
    """Roots, fifths and octaves."""
    random = song.random
    song.instrument(channel, random.choice(BASSES), random.integers(80, 120))
    unit = song.beat * random.choice((0.5, 1, 1, 2, 4))
    for at, degree in song.bars():
        for index in range(max(1, int(song.beat * song.beats / unit))):
            step = degree + random.choice((0, 0, 0, 4, 7, 2))
            song.note(channel, at + index * unit, unit * random.uniform(0.5, 1), song.pitch(degree if index == 0 else step, 1), random.integers(70, 115))


def drums(song):
    """A pattern of sixteenths that repeats."""
    random = song.random
    song.instrument(DRUMS, random.choice((0, 0, 8, 16, 24, 25, 32, 40)), random.integers(60, 115))
    hat, back = random.choice((CLOSED, RIDE, SHAKER, TAMBOURINE)), random.choice((SNARE, SNARE, SIDE, CLAP))
    every, unit = random.choice((1, 2, 2, 4)), song.beat / 4
    kicks = random.random(32) < 0.12
    for at, _ in song.bars():
        for index in range(4 * song.beats):
            start = at + (index + 2 * song.swing * (index % 4 == 2)) * unit
            if index % every == 0:
                song.note(DRUMS, start, 0.1, OPEN if random.random() < 0.04 else hat, random.integers(40, 90))
            if index % 8 == 0 or kicks[index % 32]:
                song.note(DRUMS, start, 0.1, KICK, random.integers(80, 120))
            if index % 8 == 4 or random.random() < 0.03:
                song.note(DRUMS, start, 0.1, back, random.integers(60, 115))


def compose(random):
    """A piece at random."""
    song, kind = Song(random), random.random()
    if kind < 0.4:  # a tune alone
        patch = random.choice(LIKE_VOICES if random.random() < 0.6 else LEADS)
        tune(song, 0, patch, slow=random.random() < 0.6)
        if random.random() < 0.2:
            tune(song, 1, patch, slow=random.random() < 0.6)
    elif kind < 0.6:  # a tune over chords
        tune(song, 0, random.choice(LIKE_VOICES if random.random() < 0.4 else LEADS), slow=random.random() < 0.5)
        chords(song, 1, random.choice(CHORDS), random.choice(("held", "broken", "struck")))
    elif kind < 0.72:  # chords alone
        for channel in range(random.integers(1, 4)):
            chords(song, channel, random.choice(SUSTAINED), "held")
    elif kind < 0.82:
        for channel in range(random.integers(1, 3)):
            chords(song, channel, random.choice(PLUCKED), random.choice(("broken", "struck")))
    else:  # a band
        drums(song)
        if random.random() < 0.85:
            bass(song, 1)
        chords(song, 2, random.choice(CHORDS), random.choice(("held", "broken", "struck")))
        if random.random() < 0.6:
            tune(song, 3, random.choice(LEADS), slow=random.random() < 0.3)
    return song


def played(song, font):
    """Samples of the piece, 8 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        score, wave = pathlib.Path(folder) / "score.mid", pathlib.Path(folder) / "played.wav"
        score.write_bytes(song.file())
        options = ("-o", "synth.dynamic-sample-loading=1", "-o", "synth.reverb.room-size=0.7", "-g", "0.5")
        command = ("fluidsynth", "-ni", *options, "-F", wave, "-T", "wav", "-r", str(PLAYED), font, score)
        subprocess.run(command, check=True, capture_output=True)
        pcm, rate = soundfile.read(wave, always_2d=True)
    assert rate == PLAYED
    return scipy.signal.resample_poly(pcm.mean(axis=1), RATE, PLAYED)[: SECONDS * RATE]


def altered(random, pcm):
    """Echo, a filter that moves, tremolo, distortion: each now and then."""
    time = np.arange(len(pcm)) / RATE
    if random.random() < 0.12:
        drive = 10 ** (random.uniform(0, 30) / 20)
        pcm = np.tanh(pcm * drive / (np.abs(pcm).max() + 1e-9))
    if random.random() < 0.15:
        pcm = swept(random, pcm)
    if random.random() < 0.12:
        pcm = pcm * (1 - random.uniform(0.2, 0.9) * (0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(0.3, 9) * time)))
    if random.random() < 0.25:
        delay = int(random.uniform(0.08, 0.6) * RATE)
        feedback = np.zeros(delay + 1)
        feedback[0], feedback[-1] = 1, -random.uniform(0.2, 0.7)
        pcm = scipy.signal.lfilter([1], feedback, pcm)
    if random.random() < 0.25:
        length = random.uniform(0.3, 3)
        tail = random.standard_normal(int(length * RATE)) * np.exp(-6 * np.arange(int(length * RATE)) / (length * RATE))
        wet = scipy.signal.fftconvolve(pcm, tail / np.sqrt(np.sum(tail**2)))[: len(pcm)]
        pcm = pcm + wet * random.uniform(0.2, 1.5)
    return pcm


def swept(random, pcm):
    """A resonant low-pass whose corner moves slowly."""
    speed, blocks = random.uniform(0.05, 3), range(0, len(pcm), 80)
    state, out = np.zeros(2), np.empty_like(pcm)
    sharp = random.uniform(0.3, 0.95)
    for begin in blocks:
        hertz = 900 * 2 ** (1.6 * np.sin(2 * np.pi * speed * begin / RATE))
        radius, angle = 1 - np.pi * hertz / RATE * (1 - sharp), 2 * np.pi * hertz / RATE
        poles = [1, -2 * radius * np.cos(angle), radius**2]
        out[begin : begin + 80], state = scipy.signal.lfilter([sum(poles)], poles, pcm[begin : begin + 80], zi=state)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fonts", nargs="+", required=True, help="soundfonts, played in turn")
    parser.add_argument("--pieces", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="folder for the WAV files")
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    for piece in range(arguments.pieces):
        random = np.random.default_rng([arguments.seed, piece])
        pcm = altered(random, played(compose(random), arguments.fonts[piece % len(arguments.fonts)]))
        peak = np.abs(pcm).max()
        if peak > 1e-4:
            soundfile.write(out / f"{piece:04}.wav", pcm / peak * 0.9, RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
