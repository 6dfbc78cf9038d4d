"""Net speech by Vouch, webrtc-vad and Silero on the same sounds: `benches/netspeech/run.sh --help`.

Speech is marked on the clean recording (dsp/model/netspeech/reference.py) and then sent through a telephone line, in
noise; what no caller says must count nothing.
"""

import argparse
import pathlib
import sys

import numpy as np
import scipy.signal

ROOT = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "dsp/model/netspeech"))
import detectors
import reference
import scenes
import signals
import sounds

RATE = 8000
LEVEL = 32768 * 10 ** (-24 / 20)  # RMS of speech while it lasts
AROUND = 2 * RATE  # samples without speech before and after each recording


def telephone(pcm):
    """300 to 3400 Hz, mu-law."""
    band = scipy.signal.butter(4, [300, 3400], "bandpass", fs=RATE, output="sos")
    return scenes.mu_law(np.clip(np.round(scipy.signal.sosfilt(band, pcm)), -32768, 32767)).astype(np.int16)


def recordings(arguments):
    """(corpus, samples, marks) of clean recordings of speakers whom training did not hear."""
    spoken = [("LibriSpeech", pcm) for _, pcm in sounds.librispeech(arguments.librispeech, held_out=True)]
    for name, folder in (("fr-armelle", "fr"), ("es-co", "es")):
        files = sorted((pathlib.Path(arguments.prompts) / folder).glob("vm-*.gsm"))
        pcm = [sounds.read(file) for file in files]
        pcm = [one for one in pcm if len(one) > RATE and reference.is_clean(one)]
        spoken += [(name, np.concatenate(pcm[first : first + 8])) for first in range(0, len(pcm), 8)]
    for corpus, pcm in spoken:
        marks = reference.speech_frames(pcm)
        loud = np.repeat(marks, 80)
        pcm = pcm * LEVEL / np.sqrt(np.mean(pcm[: len(loud)][loud] ** 2))
        pcm = np.concatenate([np.zeros(AROUND), pcm, np.zeros(AROUND)])
        quiet = np.zeros(AROUND // 80, bool)
        yield corpus, pcm, np.concatenate([quiet, marks, np.zeros(2, bool), quiet])


def noises(arguments):
    """Noises that training did not hear, by kind."""
    kinds = {"babble": "babble", "car": "car", "street and room": "ambient"}
    named = lambda folder: [pcm for name, pcm in sounds.folder(f"{arguments.noise}/{folder}") if scenes.is_for_measuring(name)]
    return {kind: named(folder) for kind, folder in kinds.items()}


def speech_conditions(arguments):
    """(condition, [(samples, marks)])."""
    clean = list(recordings(arguments))
    for corpus in dict.fromkeys(corpus for corpus, _, _ in clean):
        yield f"clean, {corpus}", [(telephone(pcm), marks) for c, pcm, marks in clean if c == corpus]
    for level in (-40, -10):
        gain = 32768 * 10 ** (level / 20) / LEVEL
        yield f"clean, {level} dBFS", [(telephone(pcm * gain), marks) for _, pcm, marks in clean]
    random = np.random.default_rng(1)
    for kind, pool in noises(arguments).items():
        for snr in (15, 10, 5):
            noisy = []
            for index, (_, pcm, marks) in enumerate(clean):
                noise = scenes.normal(scenes.stretch(random, pool[index % len(pool)], len(pcm)))
                noisy.append((telephone(pcm + noise * LEVEL * 10 ** (-snr / 20)), marks))
            yield f"{kind}, {snr} dB", noisy


def silent_conditions(arguments):
    """(condition, [samples]): nobody speaks."""
    random = np.random.default_rng(2)
    hiss = lambda pcm: pcm + random.standard_normal(len(pcm)) * 32768 * 10 ** (-60 / 20)
    at = lambda pcm, level: telephone(hiss(scenes.normal(pcm) * 32768 * 10 ** (level / 20)))
    levels = (-36, -24, -12)
    plans = {}
    for name in signals.TONES:
        plans.setdefault(name.split(" ")[0].rstrip(",") if not name.startswith("fax") else "fax CNG, CED", []).append(name)
    for plan, names in plans.items():
        yield plan + (" tones" if not plan.startswith("fax") else ""), [at(signals.cadence(n, 20), v) for n in names for v in levels]
    yield "special information", [at(signals.information(name, 20), level) for name in signals.SIT for level in levels]
    dtmf = [signals.dtmf(random, 20, *times) for times in ((0.05, 0.05), (0.1, 0.1), (0.25, 0.15), (None, None))]
    yield "DTMF", [at(pcm, level) for pcm in dtmf for level in levels]
    fsk = [signals.fsk(random, 20, flags=True), signals.fsk(random, 20), signals.fsk(random, 20, 1300, 2100, 1200)]
    yield "fax and modem, V.21, V.23", [at(pcm, level) for pcm in fsk for level in levels]
    qam = [signals.qam(random, 20, *kind) for kind in ((1800, 2400, 4), (1700, 2400, 8), (1200, 600, 2), (1920, 3200, 8))]
    yield "fax and modem, V.22 to V.34", [at(pcm, level) for pcm in qam for level in levels]
    yield "comfort noise", [telephone(signals.comfort(random, 20) * 32768 * 10 ** (v / 20)) for v in (-70, -60, -50, -40) for _ in range(5)]
    yield "digital silence", [np.zeros(20 * RATE, np.int16)]
    yield "hold music, asterisk-moh-opsound", [at(pcm, level) for _, pcm in sounds.folder(arguments.hold_music) for level in (-30, -18)]
    yield "music of other games", [at(pcm, -20) for _, pcm in sounds.folder(arguments.music)]
    for kind, pool in noises(arguments).items():
        yield f"{kind} alone", [at(scenes.stretch(random, pcm, 20 * RATE), -30) for pcm in pool]


def speech_table(arguments, heard_by):
    """Rows: reference seconds, then for each detector the error of the sum, the mean error of a recording, missed, invented."""
    yield "| condition | reference | " + " | ".join(f"{name}: sum | each | missed | invented" for name in heard_by) + " |"
    yield "|---|---|" + "---|---|---|---|" * len(heard_by)
    for condition, items in speech_conditions(arguments):
        wanted = [marks for _, marks in items]
        cells = [f"{sum(m.sum() for m in wanted) / 100:.0f} s"]
        for detector in heard_by.values():
            found = [fitted(marks, len(w)) for marks, w in zip(detector([pcm for pcm, _ in items]), wanted)]
            cells += figures(wanted, found)
        yield f"| {condition} | " + " | ".join(cells) + " |"


def fitted(marks, length):
    return np.pad(marks, (0, max(0, length - len(marks))))[:length].astype(bool)


def figures(wanted, found):
    total = sum(w.sum() for w in wanted)
    error = sum(f.sum() for f in found) / total - 1
    each = np.mean([abs(f.sum() / w.sum() - 1) for w, f in zip(wanted, found)])
    missed = sum((w & ~f).sum() for w, f in zip(wanted, found)) / total
    invented = sum((f & ~w).sum() for w, f in zip(wanted, found)) / total
    return [f"{100 * error:+.1f} %", *(f"{100 * value:.1f} %" for value in (each, missed, invented))]


def silent_table(arguments, heard_by):
    """Rows: seconds of sound, then the seconds that each detector counts."""
    yield "| sound | length | " + " | ".join(heard_by) + " |"
    yield "|---|---|" + "---|" * len(heard_by)
    for condition, items in silent_conditions(arguments):
        length = sum(map(len, items)) / RATE
        counted = [sum(marks.sum() for marks in detector(items)) / 100 for detector in heard_by.values()]
        yield f"| {condition} | {length:.0f} s | " + " | ".join(f"{value:.2f} s" for value in counted) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--librispeech", required=True, help="folder of LibriSpeech utterances (FLAC)")
    parser.add_argument("--noise", required=True, help="folder with babble/, car/ and ambient/")
    parser.add_argument("--prompts", required=True, help="sounds folder with asterisk-prompt-es-co and -fr-armelle")
    parser.add_argument("--hold-music", required=True, help="folder of asterisk-moh-opsound-wav")
    parser.add_argument("--music", required=True, help="folder of music that training did not hear")
    parser.add_argument("--vouch", default=ROOT / "target/release/examples/net_speech")
    parser.add_argument("--only", choices=detectors.NAMES, nargs="+", default=detectors.NAMES)
    arguments = parser.parse_args()
    heard_by = detectors.chosen(arguments.only, arguments.vouch)
    for table in (speech_table, silent_table):
        for line in table(arguments, heard_by):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
