"""What Vouch is measured against: the same network fed the usual way, and Resemblyzer.

Each system makes one embedding of the files of a side and keeps it in a cache folder under the hash of what they hold.
"""

import hashlib
import multiprocessing
import pathlib

import numpy as np

import sound

LEAST_S = {"enroll": 10.0, "test": 3.0}  # net speech below which a side has no figures, as `vouchctl trials` has it
_LOADED = {}


class UsualWay:
    """CAM++ in fp32, everything at 16 kHz, all mel bins, an energy detector, mean over the recording."""

    name, version = "usual", 1

    def __init__(self, cache):
        import torch

        import float_network  # puts dsp/model on the path

        import fbank

        torch.set_num_threads(1)
        self.fbank, self.network = fbank, float_network.FloatNetwork(cache)

    def embed(self, files, most_s):
        """Embedding of the first `most_s` seconds of speech, and the seconds."""
        logs = []
        for file in files:
            pcm = sound.to_pcm(sound.resample(*sound.read(file), 16000))
            framed = self.fbank.frames(pcm, 16000)
            logs.append(self.fbank.log_mel(framed[self.fbank.loud(framed)], 16000))
        logs = np.concatenate(logs)[: round(most_s * 100)]
        if len(logs) < 100:
            return None, len(logs) / 100
        return self.network.embed(self.fbank.network_input(logs, narrow=False)), len(logs) / 100


class Resemblyzer:
    """Resemblyzer (PyPI), with its own preprocessing and speech detector."""

    name, version = "resemblyzer", 1

    def __init__(self, _cache):
        import resemblyzer
        import torch

        torch.set_num_threads(1)
        self.preprocess, self.encoder = resemblyzer.preprocess_wav, resemblyzer.VoiceEncoder("cpu", verbose=False)

    def embed(self, files, most_s):
        """Embedding of the first `most_s` seconds of speech, and the seconds."""
        parts = []
        for file in files:
            samples, rate = sound.read(file)
            parts.append(self.preprocess(samples.astype(np.float32), source_sr=rate))
        speech = np.concatenate(parts)[: round(most_s * 16000)]
        if len(speech) < 16000:
            return None, len(speech) / 16000
        return self.encoder.embed_utterance(speech), len(speech) / 16000


SYSTEMS = {system.name: system for system in (UsualWay, Resemblyzer)}


def embeddings(name, sides, cache, jobs):
    """{(side, files, most_s): (embedding or None, seconds)} for sides given as such tuples."""
    cache = pathlib.Path(cache)
    (cache / name).mkdir(parents=True, exist_ok=True)
    work = [(name, cache, side) for side in sorted(set(sides))]
    with multiprocessing.Pool(jobs) as pool:
        return dict(pool.imap_unordered(_embed, work, chunksize=4))


def _embed(job):
    name, cache, (side, files, most_s) = job
    system = SYSTEMS[name]
    digest = hashlib.sha256(f"{name} {system.version} {most_s}".encode())
    for file in files:
        digest.update(pathlib.Path(file).read_bytes())
    path = cache / name / f"{digest.hexdigest()}.npz"
    if not path.exists():
        if name not in _LOADED:
            _LOADED[name] = system(cache)
        embedding, seconds = _LOADED[name].embed(files, most_s)
        new = path.with_suffix(".new.npz")
        np.savez(new, seconds=seconds, **({} if embedding is None else {"embedding": embedding}))
        new.replace(path)
    with np.load(path) as known:
        enough = known["seconds"] >= min(LEAST_S[side], most_s) and "embedding" in known
        return (side, files, most_s), (known["embedding"] if enough else None, float(known["seconds"]))
