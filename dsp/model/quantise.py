"""How real values become integers: steps of activations, weights and multipliers.

An activation map holds integers q for real values q x step, one step per channel. 7-bit maps are 0..127, 16-bit
maps are signed. Only element-wise arithmetic and exactly rounded sums are used here, so that every machine gets the
same integers.
"""

import dataclasses
import math

import numpy as np

from reference import BLOCKS, Conv

HEADROOM = 4.0  # 16-bit maps can hold four times the largest value of the calibration speech
SIDE_STEPS = 64  # the side input of a residual sum has 1/64 of the output's step
LOGIT_STEP = 1 / 2048
FEATURE_STEP = 1 / 512
CONTEXT_STEP = 1 / 256  # of the squeezed map's step
EMBEDDING_STEP = 1 / 65536
FAINTEST = 1e-3  # quietest channel counted, relative to the loudest one


def points(layers):
    """{7-bit map: the convolutions that read it}"""
    found = {"head.input": ["head.1.0.first", "head.1.0.shortcut"]}
    for block in ("head.1.0", "head.1.1", "head.2.0", "head.2.1"):
        found[f"{block}.first"] = [f"{block}.second"]
    found["head.1.0.second"] = ["head.1.1.first"]
    found["head.1.1.second"] = ["head.2.0.first", "head.2.0.shortcut"]
    found["head.2.0.second"] = ["head.2.1.first"]
    found["head.2.1.second"] = ["head.out"]
    found["head.out"] = ["tdnn"]
    for block, (count, _) in enumerate(BLOCKS, 1):
        for layer in range(1, count + 1):
            name = f"block{block}.{layer}"
            found[f"{name}.norm"] = [f"{name}.squeeze"]
            found[f"{name}.squeeze"] = [f"{name}.local"]
        found[f"transit{block}.norm"] = [f"transit{block}.conv"]
    return found


def reader_rows(layers, name):
    """Weights of the layers that read a 7-bit map, as [outputs x taps][channels]."""
    channels = _channels(layers, name)
    return [layers[reader].weights.reshape(-1, channels) for reader in points(layers)[name]]


def steps(layers, figures, name):
    """Steps of a 7-bit map, one per channel.

    The range of a channel is the geometric mean of what its own values ask for and what the weights that read
    it ask for: the finer the step, the coarser its column of weights.
    """
    largest = _audible(figures[f"max/{name}"].astype(np.float64))
    weights = _audible(np.max([np.abs(rows).max(0) for rows in reader_rows(layers, name)], axis=0))
    balanced = np.sqrt(largest / weights)
    cover = np.max(largest / balanced)
    return balanced * (cover * float(figures[f"factor/{name}"]) / 127)


def _channels(layers, name):
    layer = layers[name]
    return len(layer.bias) if isinstance(layer, Conv) else len(layer.gain)


def _audible(values):
    return np.maximum(values, values.max() * FAINTEST)


@dataclasses.dataclass
class Integers:
    """weights [out][taps x span], bias and multiplier [out]; output = (sum + bias) * multiplier >> shift."""

    weights: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: int


def conv(layer, in_steps, out_steps, means, largest=127):
    """Integers of a convolution; `means` (of the input's channels) take the mean of the rounding error away."""
    rows = layer.weights.reshape(len(layer.bias), -1)
    spread = rows.shape[1] // len(in_steps)
    real = rows * np.tile(in_steps, spread)
    scale = np.abs(real).max(axis=1) / largest
    whole = np.rint(real / scale[:, None])
    lost = (real - whole * scale[:, None]) * np.tile(means / in_steps, spread)
    correction = np.array([math.fsum(row) for row in lost.tolist()])
    bias = np.rint((layer.bias + correction) / scale)
    multiplier, shift = _multiplier(scale / out_steps)
    _check(whole, largest, "weight")
    _check(bias, 2**30, "bias")
    return Integers(whole, bias, multiplier, shift)


def norm(layer, in_steps, out_steps):
    """Gains (16 bits), offsets (32 bits, half a unit for rounding included) and shift of a batch norm."""
    gain, offset = layer.gain * in_steps / out_steps, layer.offset / out_steps
    shift = 24
    while np.abs(gain).max() * 2.0**shift > 32767 or np.abs(offset).max() * 2.0**shift > 2**29:
        shift -= 1
    gains, offsets = np.rint(gain * 2**shift), np.rint(offset * 2**shift) + 2 ** (shift - 1)
    return Integers(gains, offsets, None, shift)


def _multiplier(real):
    shift = 32
    while np.max(real) * 2.0**shift >= 2**31 - 1:
        shift -= 1
    return np.rint(real * 2.0**shift), shift


def _check(values, limit, what):
    if np.abs(values).max() > limit:
        raise SystemExit(f"a {what} of {np.abs(values).max()} is over {limit}: the ranges need another look")
