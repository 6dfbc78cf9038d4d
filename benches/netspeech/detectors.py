"""The detectors that are compared: each takes recordings (int16, 8 kHz) and marks every 10 ms."""

import pathlib
import subprocess

import numpy as np

NAMES = ["Vouch", "webrtc-vad 2", "webrtc-vad 3", "Silero"]


def chosen(names, vouch):
    """Detectors by name; `vouch` is the path of the example `net_speech`."""
    every = {
        "Vouch": lambda recordings: by_vouch(vouch, recordings),
        "webrtc-vad 2": lambda recordings: [by_webrtc(pcm, 2) for pcm in recordings],
        "webrtc-vad 3": lambda recordings: [by_webrtc(pcm, 3) for pcm in recordings],
        "Silero": lambda recordings: list(map(by_silero, recordings)),
    }
    return {name: every[name] for name in names}


def by_vouch(program, recordings):
    """Vouch's detector, by its example program."""
    data = b"".join(np.uint32(len(pcm)).tobytes() + pcm.astype("<i2").tobytes() for pcm in recordings)
    marks = np.frombuffer(subprocess.run([program], input=data, capture_output=True, check=True).stdout, np.uint8)
    lengths = [max(0, (len(pcm) + 80 - 200) // 80) for pcm in recordings]
    return [part.astype(bool) for part in np.split(marks, np.cumsum(lengths)[:-1])]


def by_webrtc(pcm, mode):
    """WebRTC's detector, 2 aggressive, 3 very aggressive."""
    import webrtcvad

    vad = webrtcvad.Vad(mode)
    blocks = pcm[: len(pcm) // 80 * 80].reshape(-1, 80)
    return np.array([vad.is_speech(block.astype("<i2").tobytes(), 8000) for block in blocks])


class Silero:
    """Silero's ONNX network, which takes 256 samples with the 32 before them, and its default post-processing."""

    BEGIN, GO_ON, SHORTEST, GAP, PAD = 0.5, 0.35, 25, 10, 3  # as in get_speech_timestamps; the last three in 10 ms

    def __init__(self):
        import importlib.util

        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        package = pathlib.Path(importlib.util.find_spec("silero_vad").origin).parent
        self.session = onnxruntime.InferenceSession(package / "data/silero_vad.onnx", options)

    def probabilities(self, pcm):
        """One for each 32 ms."""
        samples = np.pad(pcm.astype(np.float32) / 32768, (32, -len(pcm) % 256))
        state, rate, out = np.zeros((2, 1, 128), np.float32), np.array(8000, np.int64), []
        for start in range(0, len(samples) - 32, 256):
            block = samples[None, start : start + 288]
            value, state = self.session.run(None, {"input": block, "state": state, "sr": rate})
            out.append(value[0, 0])
        return np.array(out)

    def marks(self, pcm):
        """One for each 10 ms."""
        talking, by_block = False, []
        for probability in self.probabilities(pcm):
            talking = probability >= (self.GO_ON if talking else self.BEGIN)
            by_block.append(talking)
        count = len(pcm) // 80
        marks = np.array(by_block)[np.minimum(np.arange(count) * 80 // 256, len(by_block) - 1)]
        return self.padded(marks)

    def padded(self, marks):
        import reference

        for begin, end in reference.runs(~marks):
            if begin > 0 and end < len(marks) and end - begin < self.GAP:
                marks[begin:end] = True
        out = np.zeros_like(marks)
        for begin, end in reference.runs(marks):
            if end - begin >= self.SHORTEST:
                out[max(0, begin - self.PAD) : end + self.PAD] = True
        return out


_silero = []


def by_silero(pcm):
    """Silero's detector; the network is loaded with the first recording."""
    if not _silero:
        _silero.append(Silero())
    return _silero[0].marks(pcm)
