"""Speech codecs, through ffmpeg and sox: there and back again."""

import shutil
import subprocess

import numpy as np

import sound

NEEDED = {"ffmpeg": "ffmpeg", "sox": "sox libsox-fmt-all"}  # program: Debian packages
AMR_MODES = {"amr-4.75": "0", "amr-12.2": "7"}


def missing():
    """Debian packages that are not installed."""
    return [packages for program, packages in NEEDED.items() if not shutil.which(program)]


def through(codec, samples, rate):
    """What comes out of the codec's decoder, with its rate."""
    pcm = sound.to_pcm(samples).tobytes()
    if codec == "gsm":
        return _ffmpeg(pcm, rate, 8000, ["-c:a", "libgsm", "-f", "gsm"], ["-f", "gsm"])
    if codec == "g722":
        return _ffmpeg(pcm, rate, 16000, ["-c:a", "g722", "-f", "g722"], ["-f", "g722"])
    if codec == "opus":
        voice = ["-c:a", "libopus", "-b:a", "12k", "-application", "voip", "-f", "ogg"]
        return _ffmpeg(pcm, rate, rate, voice, ["-f", "ogg"])
    return _sox(pcm, AMR_MODES[codec])


def _ffmpeg(pcm, rate, wanted, encoder, decoder):
    quiet = ["ffmpeg", "-v", "error", "-threads", "1"]
    source = ["-f", "s16le", "-ar", str(rate), "-ac", "1", "-i", "-"]
    coded = _run([*quiet, *source, "-ar", str(wanted), *encoder, "-"], pcm)
    decoded = _run([*quiet, *decoder, "-i", "-", "-f", "s16le", "-ar", str(wanted), "-ac", "1", "-"], coded)
    return _samples(decoded), wanted


def _sox(pcm, mode):
    raw = ["-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-c", "1", "-"]
    coded = _run(["sox", *raw, "-C", mode, "-t", "amr-nb", "-"], pcm)
    return _samples(_run(["sox", "-t", "amr-nb", "-", *raw], coded)), 8000


def _run(command, content):
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _samples(pcm):
    return np.frombuffer(pcm, "<i2") / 32768
