"""Where the sounds come from, and which are for training and which for measuring.

Training: LibriSpeech (three of four speakers), the Asterisk prompts that `make setup` installs (without vm-* and demo-*,
which the tests use), espeak-ng, noises, music composed by rule. Measuring: the other LibriSpeech speakers,
the prompts of asterisk-prompt-fr-armelle and -es-co, asterisk-moh-opsound-wav and other games' music.
"""

import pathlib
import subprocess
import zlib

import numpy as np
import scipy.signal
import soundfile

import reference

RATE = 8000
PROMPTS = ("en_US_f_Allison", "es_MX_f_Allison", "fr_CA_f_June", "it_IT_f_Menardi", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
FOR_TESTS = ("vm-", "demo-")
NOT_SPEECH = ("tone", "beep", "silence", "noise", "ascending", "descending")
LANGUAGES = ("en-us", "en-gb", "de", "fr-fr", "es", "it", "ru", "pl", "nl", "pt-br", "sv", "tr", "hi", "cmn", "ar", "cs")
VOICES = ("", "+m1", "+m3", "+m5", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5")
TEXT = (
    "Four seven one, nine nine two, my account number is eight oh six.",
    "Yes. I called yesterday about the invoice, and nobody called back.",
    "Good morning, I would like to speak to somebody in the sales department, please.",
    "No, no. That is not what I ordered; it was the blue one, number twelve, from Madrid.",
)


def read(path, rate=RATE, seconds=None):
    """Samples of a mono or stereo file at `rate`, as floats of 16-bit range."""
    pcm, have = soundfile.read(path, dtype="float64", always_2d=True, frames=-1 if seconds is None else int(seconds * 48000))
    pcm = pcm.mean(axis=1) * 32768
    if have != rate:
        divisor = np.gcd(have, rate)
        pcm = scipy.signal.resample_poly(pcm, rate // divisor, have // divisor)
    return pcm if seconds is None else pcm[: int(seconds * rate)]


def librispeech(root, held_out):
    """(speaker, samples) of clean utterances, of the speakers held out for measuring or of the others."""
    for path in sorted(pathlib.Path(root).rglob("*.flac")):
        if is_held_out(path.name, 4) == held_out:
            pcm = read(path)
            if reference.is_clean(pcm):
                yield path.name.split("-")[0], pcm


def is_held_out(name, one_of):
    """One name of so many, always the same ones."""
    return zlib.crc32(name.split("-")[0].encode()) % one_of == 0


def prompts(root):
    """(voice, samples) of the installed prompts of 1 to 15 s that tests leave."""
    for voice in PROMPTS:
        for path in sorted((pathlib.Path(root) / voice).rglob("*.wav")):
            seconds = path.stat().st_size / 16000
            wanted = not path.name.startswith(FOR_TESTS) and not any(word in str(path) for word in NOT_SPEECH)
            if wanted and 1.0 < seconds < 15 and zlib.crc32(str(path).encode()) % 2:
                yield voice, read(path)


def synthetic():
    """(voice, samples) of espeak-ng in many languages and voices, English words in all of them."""
    for index in range(len(LANGUAGES) * 15):
        language = LANGUAGES[index % len(LANGUAGES)]
        voice, text = VOICES[index % len(VOICES)], TEXT[index % len(TEXT)]
        speed, pitch, swing = 110 + 17 * (index % 11), 9 * (index % 12), ("medium", "high", "x-high")[index % 3]
        spoken = f'<prosody range="{swing}">{text}</prosody>'
        command = ["espeak-ng", "-m", "-v", language + voice, "-s", str(speed), "-p", str(pitch), "--stdout", spoken]
        wave = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout[44:], "<i2")
        yield language + voice, scipy.signal.resample_poly(wave.astype(float), 160, 441)


def folder(root, seconds=60):
    """(name, samples) of every sound file below a folder."""
    for path in sorted(pathlib.Path(root).rglob("*")):
        if path.suffix in (".wav", ".flac", ".ogg"):
            yield path.name, read(path, seconds=seconds)
