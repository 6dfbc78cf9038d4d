"""Speech for calibration and for the golden embeddings: Debian's Asterisk voice packages.

Packages asterisk-core-sounds-{en,es,fr,it,ru}-{wav,g722} and asterisk-prompt-it-menardi-wav: CC BY-SA 3.0, the
Russian ones CC BY 3.0. Prompts of a voice are joined to utterances of 3 to 22 s. Every second utterance is for
calibration, the others are for measuring.
"""

import dataclasses
import pathlib
import wave

import numpy as np

import fbank

VOICES = (
    "en_US_f_Allison",
    "es_MX_f_Allison",
    "fr_CA_f_June",
    "it_IT_f_Menardi",
    "it_IT_m_Carlo",
    "ru_RU_f_IvrvoiceRU",
)
SECONDS = (3, 5, 8, 4, 10, 6)
SHORTEST, LONGEST = 1.0, 12.0  # s: shorter prompts are mostly single words
NOT_SPEECH = ("tone", "beep", "silence", "noise", "ascending", "descending")


@dataclasses.dataclass
class Utterance:
    """Prompts of one voice, paths relative to the sounds folder."""

    voice: str
    narrow: bool
    files: list


def utterances(root, narrow):
    """All utterances of all voices, for calibration and for measuring."""
    calibration, measuring = [], []
    for voice in VOICES:
        for index, files in enumerate(_joined(pathlib.Path(root), voice, narrow)):
            (calibration if index % 2 else measuring).append(Utterance(voice, narrow, files))
    return calibration, measuring


def spread(items, count):
    """`count` items evenly from the list."""
    return [items[index * len(items) // count] for index in range(count)]


def _joined(root, voice, narrow):
    suffix, bytes_per_second = (".wav", 16000) if narrow else (".g722", 8000)
    group, seconds = [], 0.0
    wanted = iter(SECONDS * 1000)
    goal = next(wanted)
    for path in sorted((root / voice).rglob("*" + suffix)):
        length = path.stat().st_size / bytes_per_second
        if not SHORTEST <= length <= LONGEST or any(word in str(path) for word in NOT_SPEECH):
            continue
        group.append(str(path.relative_to(root)))
        seconds += length
        if seconds >= goal:
            yield group
            group, seconds, goal = [], 0.0, next(wanted)


def features(root, utterance):
    """Network input [frames][80] of an utterance: its loud frames, telephone line included when narrow."""
    return from_pcm(np.concatenate([_read(pathlib.Path(root) / file) for file in utterance.files]), utterance.narrow)


def from_pcm(pcm, narrow):
    """Network input of 8 kHz (narrow) or 16 kHz samples."""
    rate = 8000 if narrow else 16000
    framed = fbank.frames(mu_law(pcm) if narrow else pcm, rate)
    return fbank.network_input(fbank.log_mel(framed[fbank.loud(framed)], rate), narrow)


def _read(path):
    if path.suffix == ".g722":
        import G722  # PyPI "G722": the only thing here beyond numpy

        return np.array(G722.G722(16000, 64000).decode(path.read_bytes()), np.int16)
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def mu_law(pcm):
    """Samples after a G.711 mu-law line."""
    magnitude = np.minimum(np.abs(pcm.astype(np.int32)), 32635) + 132
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    step = (magnitude >> (segment + 3)) & 15
    return (np.sign(pcm) * ((((step << 3) + 132) << segment) - 132)).astype(np.int16)
