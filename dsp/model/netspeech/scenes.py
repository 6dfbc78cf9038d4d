"""Telephone scenes with labels, for training: `python3 scenes.py --help`.

Each is 16 s of one line: somebody talking with pauses, in noise or not; music, tones, fax, noise alone, or several of
these in turn; through a random telephone, room and codec. Written as log mel frames [scene][frame][58], Q9, and labels
[scene][frame] of 0 and 1.
"""

import argparse
import io

import numpy as np
import scipy.signal
import soundfile

import reference
import signals
import sounds

RATE, SECONDS = 8000, 16
COUNT = RATE * SECONDS
FRAMES = (COUNT - 200) // 80 + 1


SHARES = (0.35, 0.15, 0.35, 0.15)  # of readers, prompts, other manners and synthetic speech among what is spoken
PAUSES = ("none", "joined", "short", "long")  # between utterances


class Sources:
    """What scenes are made of."""

    def __init__(self, arguments):
        self.uneven, self.pauses = arguments.uneven, arguments.pauses
        readers = list(sounds.librispeech(arguments.librispeech, held_out=False))
        manners = [(name.split("-")[0], pcm) for folder in arguments.manners for name, pcm in sounds.folder(folder)]
        kinds = [readers, list(sounds.prompts(arguments.prompts)), manners, list(sounds.synthetic())]
        self.libri = [pcm for _, pcm in readers]
        self.speech = [_labelled(pcm) for kind in kinds for _, pcm in kind]
        self.speaker = np.array([name for kind in kinds for name, _ in kind])
        self.speech_weight = np.concatenate([np.full(len(kind), share / len(kind)) for kind, share in zip(kinds, SHARES)])
        noise = lambda kind: [pcm for name, pcm in sounds.folder(f"{arguments.noise}/{kind}") if not is_for_measuring(name)]
        self.babble, self.car, self.ambient = noise("babble"), noise("car"), noise("ambient")
        self.rooms = [pcm for _, pcm in sounds.folder(f"{arguments.noise}/rir")]
        self.music = [pcm.astype(np.float32) for folder in arguments.music for _, pcm in sounds.folder(folder)]


MEASURED = ("babble7_4", "babble7_5", "carlike_synth_2", "picovoice_kitchen", "sb_noise4", "sb_noise5", "-B", "-F")


def is_for_measuring(name):
    """Noises that training does not see."""
    return any(part in name for part in MEASURED)


def _labelled(pcm):
    pcm = pcm / (np.sqrt(np.mean(np.square(pcm))) + 1e-9)
    return pcm, reference.speech_frames(pcm * 3000)


def stretch(random, pcm, count=COUNT):
    """`count` samples of a recording from a random place on, repeated where too short."""
    start = random.integers(0, len(pcm))
    return np.resize(np.roll(pcm, -start), count)


def normal(pcm):
    return pcm / (np.sqrt(np.mean(np.square(pcm))) + 1e-9)


def talk(random, sources):
    """One person talks, or several in turn: samples of RMS 1 while talking, and labels."""
    pcm, labels = np.zeros(COUNT + 40 * RATE), np.zeros(FRAMES + 4000, bool)
    weight, pauses = sources.speech_weight, random.choice(PAUSES, p=sources.pauses)
    uneven = 8 if sources.uneven and random.random() < 0.4 else 4  # dB
    if random.random() < 0.5:
        weight = weight * (sources.speaker == sources.speaker[random.choice(len(weight), p=weight)])
        weight = weight / weight.sum()
    at = int(random.uniform(0, 3) * 100) if random.random() < (0.3 if pauses == "none" else 0.7) else 0
    while at < FRAMES:
        voice, marks = utterance(random, *sources.speech[random.choice(len(weight), p=weight)])
        if pauses != "long":
            voice, marks = without_pauses(voice, marks) if pauses == "none" else cut(voice, marks)
        keep = min(len(marks), 1200)
        part = voice[: min(len(voice), 80 * keep)]
        pcm[at * 80 : at * 80 + len(part)] += part * 10 ** (random.uniform(-uneven, uneven) / 20)
        labels[at : at + keep] |= marks[:keep]
        at += max(keep, 1) + int(100 * pause(random, pauses))
    pcm, labels = pcm[:COUNT], labels[:FRAMES]
    if random.random() < 0.2:
        pcm = evened(random, pcm)
    return normal_speech(pcm, labels), labels


def pause(random, kind):
    """Seconds from one utterance to the next."""
    joined = random.uniform(0, 0.1)
    long = random.choice([random.exponential(0.5), random.uniform(0, 4)])
    return {"none": 0, "joined": joined, "short": 0.2 + 4 * joined, "long": long}[kind]


def utterance(random, voice, marks):
    """A recording or a part of it, now and then at another pitch and pace."""
    if random.random() < 0.3:
        begin = random.integers(0, max(1, len(marks) // 2))
        voice, marks = voice[begin * 80 :], marks[begin:]
    if random.random() < 0.35:
        factor = random.integers(75, 125)
        voice = scipy.signal.resample_poly(voice, 100, factor)
        frames = max(1, (len(voice) - 200) // 80 + 1)
        marks = marks[np.minimum(np.arange(frames) * factor // 100, len(marks) - 1)]
    return voice, marks


def cut(voice, marks):
    """The recording from where speech begins to where it ends."""
    if not marks.any():
        return voice, marks
    first, last = np.flatnonzero(marks)[[0, -1]]
    return voice[first * 80 : last * 80 + 80], marks[first : last + 1]


def without_pauses(voice, marks):
    """The speech of a recording alone, as if without taking breath."""
    kept = np.repeat(marks, 80)
    return (voice[: len(kept)][kept[: len(voice)]], marks[marks]) if marks.any() else (voice, marks)


def evened(random, pcm):
    """Loud and soft brought together, as by a headset's gain control."""
    smooth = scipy.signal.butter(1, random.uniform(1, 15), fs=RATE, output="sos")
    level = np.sqrt(np.maximum(scipy.signal.sosfilt(smooth, pcm**2), 0) + 1e-3)
    return pcm * level ** -random.uniform(0.3, 0.8)


def steady(random):
    """White or coloured noise, hum, comfort noise, RMS 1."""
    kind = random.integers(0, 4)
    if kind == 0:
        return normal(signals.comfort(random, SECONDS, random.choice([0.1, 0.2, 0.5])))
    if kind == 1:
        return normal(signals.hum(random, SECONDS, random.choice([50, 60])) + 0.1 * random.standard_normal(COUNT))
    reflection = np.clip(random.normal(0, 0.5, random.integers(1, 5)), -0.95, 0.95)
    return normal(signals.coloured(random, COUNT, reflection))


def rushing(random):
    """Traffic, wind, machines, engines: noise of any spectrum that swells or throbs, RMS 1."""
    hertz = np.fft.rfftfreq(COUNT, 1 / RATE)
    octaves = np.log2(np.maximum(hertz, 40) / 40)
    shape = np.interp(octaves, np.linspace(0, 6.7, 8), np.cumsum(random.normal(random.uniform(-6, 1), 6, 8)))
    noise = np.fft.irfft(np.fft.rfft(random.standard_normal(COUNT)) * 10 ** (shape / 20), COUNT)
    if random.random() < 0.5:  # an engine
        drift = np.interp(np.arange(COUNT), np.linspace(0, COUNT, 9), random.uniform(0.85, 1.15, 9))
        phase = 2 * np.pi * np.cumsum(random.uniform(20, 180) * drift) / RATE
        slope = random.uniform(0.3, 1.5)
        engine = sum(np.sin(n * phase + random.uniform(0, 6)) / n**slope for n in range(1, random.integers(4, 20)))
        noise = normal(noise) + normal(engine) * 10 ** (random.uniform(-12, 6) / 20)
    pace = 2 ** random.uniform(-2, 4.5)  # changes in a second
    points = random.uniform(0, random.uniform(0, 15), int(SECONDS * pace) + 2)
    swell = np.interp(np.linspace(0, len(points) - 1, COUNT), np.arange(len(points)), points)
    return normal(noise * 10 ** (swell / 20))


def surroundings(random, sources):
    """Noise around somebody, RMS 1, as it is or as the line lets it through."""
    noise = anything_around(random, sources)
    if random.random() < 0.6:
        noise = normal(scipy.signal.sosfilt(scipy.signal.butter(3, [300, 3400], "bandpass", fs=RATE, output="sos"), noise))
    return noise


def anything_around(random, sources):
    """Noise around somebody, RMS 1."""
    kind = random.random()
    if kind < 0.15:
        return steady(random)
    if kind < 0.35:
        return rushing(random)
    if kind < 0.46:
        return normal(stretch(random, sources.babble[random.integers(len(sources.babble))]))
    if kind < 0.58:
        talkers = random.integers(5, 12)
        voices = [stretch(random, sources.libri[random.integers(len(sources.libri))]) for _ in range(talkers)]
        return normal(sum(normal(voice) * 10 ** (random.uniform(-6, 0) / 20) for voice in voices))
    if kind < 0.7:
        return normal(stretch(random, sources.car[random.integers(len(sources.car))]))
    if kind < 0.94:
        return normal(stretch(random, sources.ambient[random.integers(len(sources.ambient))]))
    return normal(signals.clicks(random, SECONDS))


def music(random, sources):
    """Music, sometimes at another pitch and pace, sometimes two pieces one after the other, RMS 1."""
    pcm = sources.music[random.integers(len(sources.music))]
    if random.random() < 0.5:
        begin = random.integers(0, max(1, len(pcm) - 2 * COUNT))
        pcm = scipy.signal.resample_poly(pcm[begin : begin + 2 * COUNT], 100, random.integers(80, 126))
    pcm = normal(stretch(random, pcm))
    if random.random() < 0.15:
        at = random.integers(0, COUNT)
        pcm[at:] = normal(stretch(random, sources.music[random.integers(len(sources.music))]))[at:]
    return pcm


def signalling(random):
    """A tone, DTMF, fax or modem, RMS about 0.7."""
    kind = random.random()
    if kind < 0.45:
        return signals.cadence(random.choice(list(signals.TONES)), SECONDS) / 2
    if kind < 0.55:  # tones of countries that the table lacks
        hertz = random.uniform(300, 1500, random.integers(1, 4))
        on, off = random.uniform(0.1, 2), random.choice([0, random.uniform(0.1, 3)])
        return signals.lines(hertz, COUNT) / 2 * (np.arange(COUNT) / RATE % (on + off) < on)
    if kind < 0.62:
        return signals.information(random.choice(list(signals.SIT)), SECONDS)
    if kind < 0.82:
        return signals.dtmf(random, SECONDS) / 2
    if kind < 0.91:
        mark, space, baud = random.choice([(1650, 1850, 300), (980, 1180, 300), (1300, 2100, 1200), (1270, 1070, 300)])
        return signals.fsk(random, SECONDS, mark, space, baud, flags=random.random() < 0.5)
    carrier, baud = [(1800, 2400), (1700, 2400), (1200, 600), (2400, 600), (1920, 3200)][random.integers(5)]
    return signals.qam(random, SECONDS, carrier, baud, random.choice([2, 4, 8]))


def scene(random, sources, more_music):
    """Samples on the line, before telephone and codec, of 16-bit range; and labels."""
    kind = random.random() * (1 + more_music)
    level = 32768 * 10 ** (random.uniform(-46, -8) / 20)
    if kind < 0.5:
        pcm, labels = talk(random, sources)
        if random.random() < 0.15:
            room = sources.rooms[random.integers(len(sources.rooms))]
            peak = np.argmax(np.abs(room))
            pcm = normal_speech(scipy.signal.fftconvolve(pcm, room[peak:])[:COUNT], labels)
        if random.random() < 0.75:
            snr = random.uniform(0, 16) if random.random() < 0.65 else random.uniform(10, 40)
            pcm = pcm + surroundings(random, sources) * 10 ** (-snr / 20)
        pcm, labels = interrupted(random, pcm, labels, sources)
    else:
        labels = np.zeros(FRAMES, bool)
        if kind < 0.74 or kind >= 1:
            pcm = music(random, sources)
            pcm, labels = interrupted(random, pcm, labels, sources)
        elif kind < 0.86:
            pcm = signalling(random)
        else:
            pcm = surroundings(random, sources)
            if random.random() < 0.4:  # louder and quieter, or off for a while
                steps = random.choice([random.uniform(-12, 0, 8), random.choice([-70, 0], 8)])
                pcm = pcm * 10 ** (np.repeat(steps, COUNT // 8) / 20)
    if random.random() < 0.8:
        hiss = 10 ** (random.uniform(-80, -48) / 20) * 32768
        pcm = pcm * level + hiss * (steady(random) if random.random() < 0.5 else random.standard_normal(COUNT))
    else:
        pcm = pcm * level
    return pcm, labels


def normal_speech(pcm, labels):
    """RMS 1 while talking."""
    loud = np.repeat(labels, 80)
    return pcm / (np.sqrt(np.mean(np.square(pcm[: len(loud)][loud]))) + 1e-9) if loud.any() else pcm


def interrupted(random, pcm, labels, sources):
    """Sometimes another sound takes the line for a while."""
    if random.random() > 0.25:
        return pcm, labels
    begin, length = sorted(random.integers(0, FRAMES, 2))
    kind = random.random()
    other = signalling(random) if kind < 0.5 else music(random, sources) if kind < 0.75 else steady(random) * 0.02
    pcm, labels = pcm.copy(), labels.copy()
    part = slice(begin * 80, length * 80)
    pcm[part] = other[part] * 10 ** (random.uniform(-12, 6) / 20)
    labels[begin:length] = False
    return pcm, labels


def line(random, pcm):
    """A random telephone line: band, tilt, now and then clipping, codec."""
    if random.random() < 0.75:
        low, high = random.uniform(100, 350), random.uniform(3000, 3800)
        pcm = scipy.signal.sosfilt(scipy.signal.butter(random.integers(2, 5), [low, high], "bandpass", fs=RATE, output="sos"), pcm)
    if random.random() < 0.4:
        pcm = scipy.signal.lfilter([1, random.uniform(-0.6, 0.4)], [1], pcm)
    if random.random() < 0.08:
        pcm = pcm * 10 ** (random.uniform(6, 18) / 20)
    pcm = np.clip(np.round(pcm), -32768, 32767)
    codec = random.random()
    return mu_law(pcm) if codec < 0.75 else gsm(pcm) if codec < 0.87 else pcm


def mu_law(pcm):
    """Samples after a G.711 mu-law line."""
    magnitude = np.minimum(np.abs(pcm), 32635) + 132
    segment = np.floor(np.log2(magnitude)) - 7
    step = 2.0 ** (segment + 3)
    value = (np.floor(magnitude / step) + 0.5) * step - 132
    return np.where(pcm < 0, -value, value)


def gsm(pcm):
    """Samples after GSM full rate (06.10)."""
    file = io.BytesIO()
    soundfile.write(file, pcm / 32768, RATE, format="WAV", subtype="GSM610")
    file.seek(0)
    return np.resize(soundfile.read(file)[0] * 32768, len(pcm))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--librispeech", required=True, help="folder of LibriSpeech utterances (FLAC)")
    parser.add_argument("--noise", required=True, help="folder with babble/, car/, ambient/ and rir/")
    parser.add_argument("--manners", required=True, nargs="+", help="folders that manners.py wrote")
    parser.add_argument("--music", required=True, nargs="+", help="folders of music for training")
    parser.add_argument("--prompts", default="/usr/share/asterisk/sounds")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--more-music", type=float, default=0.0, help="scenes of music added to each scene")
    parser.add_argument("--pauses", type=float, nargs=4, default=(0.35, 0.15, 0, 0.5), help=f"shares of {', '.join(PAUSES)}")
    parser.add_argument("--uneven", action="store_true", help="sometimes larger differences of level in what is said")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="the .npz that is written")
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    sources = Sources(arguments)
    frames = np.zeros((arguments.scenes, FRAMES, 58), np.int16)
    labels = np.zeros((arguments.scenes, FRAMES), bool)
    for index in range(arguments.scenes):
        pcm, labels[index] = scene(random, sources, arguments.more_music)
        frames[index] = np.round(reference.log_mel(line(random, pcm)) * 512)
    np.savez(arguments.out, frames=frames, labels=labels)


if __name__ == "__main__":
    main()
