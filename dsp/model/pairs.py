"""Training speech: each utterance clean and over bad lines, as log mel frames that belong together.

An utterance becomes three voices by playing it at 0.9, 1 and 1.1 times its speed. Of each voice there are a clean
wideband and a clean telephone version (what the teacher hears), and telephone and wideband versions in noisy rooms.
"""

import dataclasses
import pathlib

import numpy as np
import scipy.signal
import soundfile

import fbank
import line

SPEEDS = ((10, 9), (1, 1), (10, 11))
PHONES = 6  # bad telephone versions of each voice
CROP = 400  # loud frames of one example
# LibriSpeech readers that are never trained on: they validate, and are impostors in the development trials.
HELD_OUT = frozenset(
    "89 163 196 200 289 298 302 307 322 332 405 445 446 458 460 696 909 1069 1743 1898 1970 1992 2384 2391 2416 "
    "3723 3807 4195 4297 4406 5104 5322 5463 5703 5808 6019 6147 6818 6925 7178 7226 7800 8098 8324 8580".split()
)
HELD_OUT_NOISE = (
    "babble7_4", "babble7_5", "carlike_synth_2", "esc10_rain_2",
    "sb_noise5", "esc10_helicopter_3", "rir4",
)


@dataclasses.dataclass
class Version:
    """Frames of one version of a voice: logs [frames][80] in float16, loud [frames]."""

    logs: np.ndarray
    loud: np.ndarray


@dataclasses.dataclass
class Voice:
    """The versions of one voice; `phones[0]` is a good telephone with a band of its own."""

    person: str
    wide: Version
    narrow: Version
    phones: list
    rooms: list


def recordings(root, held_out):
    """{person: 16 kHz samples} of LibriSpeech in PERSON/*.flac: the held-out people or all others."""
    found = {}
    for folder in sorted(pathlib.Path(root).iterdir()):
        if folder.is_dir() and (folder.name in HELD_OUT) == held_out:
            found[folder.name] = _read(sorted(folder.glob("*.flac"))[0])
    return found


def room(noise, voices, held_out):
    """The surroundings made of a folder with babble/, car/, ambient/ and rir/."""
    groups = {}
    for group in ("babble", "car", "ambient", "rir"):
        files = sorted((pathlib.Path(noise) / group).glob("*.flac"))
        groups[group] = [_read(file) for file in files if file.stem.startswith(HELD_OUT_NOISE) == held_out]
    return line.Room(groups, groups["rir"], voices)


def voices(people, surroundings, random, speeds=SPEEDS):
    """Every person at every speed, with all versions."""
    sources = []
    for person, pcm in people.items():
        for up, down in speeds:
            turned = scipy.signal.resample_poly(pcm.astype(np.float64), up, down) if up != down else pcm
            sources.append((f"{person}/{up}:{down}", np.asarray(turned, np.float64)))
    phones = [_phones(sources, surroundings if turn else None, random) for turn in range(PHONES + 1)]
    good = line.through("mu-law", [line.telephone(pcm) for _, pcm in sources])
    for index, (person, pcm) in enumerate(sources):
        around = _whole(surroundings.around(pcm, random) * 10 ** (-random.uniform(0, 20) / 20))
        yield Voice(
            person,
            version(_whole(pcm), 16000),
            version(good[index], 8000),
            [version(turn[index], 8000) for turn in phones],
            [version(around, 16000)],
        )


def _phones(sources, surroundings, random):
    names = list(line.CODECS)
    codecs = random.choice(names, size=len(sources), p=list(line.CODECS.values()))
    if surroundings is None:
        codecs = random.choice(["mu-law", "a-law"], size=len(sources))
    codecs = [f"amr {random.choice(line.AMR_MODES)}" if codec == "amr" else codec for codec in codecs]
    heard = []
    for _, pcm in sources:
        heard.append(line.handset(surroundings.around(pcm, random) if surroundings else pcm, random))
    out = [None] * len(sources)
    for codec in sorted(set(codecs)):
        chosen = [index for index, name in enumerate(codecs) if name == codec]
        for index, pcm in zip(chosen, line.through(codec, [heard[index] for index in chosen])):
            out[index] = line.lost(pcm, random) if surroundings else pcm
    return out


def version(pcm, rate):
    """Frames of 16-bit samples."""
    framed = fbank.frames(pcm, rate)
    return Version(fbank.log_mel(framed, rate).astype(np.float16), fbank.loud(framed))


def network_input(part, start, loud, narrow, frames=CROP):
    """Network input of `frames` frames of a version, those of `loud` from frame `start` on."""
    count = min(len(loud), len(part.logs))
    chosen = start + np.flatnonzero(loud[start:count])[:frames]
    if len(chosen) < frames:
        chosen = np.flatnonzero(loud[:count])[-frames:]
    return fbank.network_input(part.logs[np.resize(chosen, frames)].astype(np.float64), narrow)


def _whole(pcm):
    return np.clip(np.rint(pcm), -32768, 32767).astype(np.int16)


def _read(path):
    return soundfile.read(path, dtype="int16")[0]
