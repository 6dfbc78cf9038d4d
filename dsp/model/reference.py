"""CAM++ in floating point: batch norms folded, every convolution as a matrix product.

The layout is the one of the integer engine. A map is [frequency row][time][channel], and a convolution reads,
for each output position, `taps` contiguous spans of `taps x span` values. Layer names are those of the blob.
"""

import dataclasses

import numpy as np

EPSILON = 1e-5
BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers, dilation
SEGMENT = 100  # frames of one context segment
GROWTH = 32
ROWS = 10  # frequency rows that leave the head


@dataclasses.dataclass
class Conv:
    """weights [out][taps][span], bias [out]."""

    weights: np.ndarray
    bias: np.ndarray


@dataclasses.dataclass
class Norm:
    """A batch norm that stays before its ReLU: x * gain + offset."""

    gain: np.ndarray
    offset: np.ndarray


def layers(state):
    """Folds the checkpoint into {name: Conv or Norm}, float64, in network order."""
    found = {}
    _head(state, found)
    tdnn = _span(_by_row(state["xvector.tdnn.linear.weight"]))
    found["tdnn"] = _folded(tdnn, _norm(state, "xvector.tdnn.nonlinear.batchnorm"))
    for block, (count, _) in enumerate(BLOCKS, 1):
        for layer in range(1, count + 1):
            _dense_layer(state, f"xvector.block{block}.tdnnd{layer}", f"block{block}.{layer}", found)
        found[f"transit{block}.norm"] = _norm(state, f"xvector.transit{block}.nonlinear.batchnorm")
        found[f"transit{block}.conv"] = _plain(state[f"xvector.transit{block}.linear.weight"])
    found["out.norm"] = _norm(state, "xvector.out_nonlinear.batchnorm")
    dense = _span(state["xvector.dense.linear.weight"])
    found["dense"] = _folded(dense, _norm(state, "xvector.dense.nonlinear.batchnorm"))
    return found


def _head(state, found):
    found["head.input"] = _folded(_map(state["head.conv1.weight"]), _norm(state, "head.bn1"))
    for stage in (1, 2):
        for block in (0, 1):
            source, name = f"head.layer{stage}.{block}", f"head.{stage}.{block}"
            for part, number in (("first", 1), ("second", 2)):
                weights = _map(state[f"{source}.conv{number}.weight"])
                found[f"{name}.{part}"] = _folded(weights, _norm(state, f"{source}.bn{number}"))
            if block == 0:
                weights = _map(state[f"{source}.shortcut.0.weight"])
                found[f"{name}.shortcut"] = _folded(weights, _norm(state, f"{source}.shortcut.1"))
    found["head.out"] = _folded(_map(state["head.conv2.weight"]), _norm(state, "head.bn2"))


def _dense_layer(state, source, name, found):
    found[f"{name}.norm"] = _norm(state, f"{source}.nonlinear1.batchnorm")
    squeeze = _span(state[f"{source}.linear1.weight"])
    found[f"{name}.squeeze"] = _folded(squeeze, _norm(state, f"{source}.nonlinear2.batchnorm"))
    local = state[f"{source}.cam_layer.linear_local.weight"]
    found[f"{name}.local"] = Conv(local.transpose(0, 2, 1).astype(np.float64), np.zeros(len(local)))
    for part in (1, 2):
        weights = _span(state[f"{source}.cam_layer.linear{part}.weight"])
        bias = state[f"{source}.cam_layer.linear{part}.bias"].astype(np.float64)
        found[f"{name}.context{part}"] = Conv(weights, bias)


def _norm(state, name):
    gain = 1 / np.sqrt(state[f"{name}.running_var"].astype(np.float64) + EPSILON)
    mean = state[f"{name}.running_mean"].astype(np.float64)
    if f"{name}.weight" not in state:
        return Norm(gain, -mean * gain)
    gain *= state[f"{name}.weight"].astype(np.float64)
    return Norm(gain, state[f"{name}.bias"].astype(np.float64) - mean * gain)


def _map(weights):
    """[out][in][frequency][time] -> [out][frequency][time x in]"""
    out, inputs, rows, times = weights.shape
    return weights.transpose(0, 2, 3, 1).reshape(out, rows, times * inputs).astype(np.float64)


def _by_row(weights):
    """The head leaves channel x row; the engine keeps row x channel."""
    out, inputs, times = weights.shape
    return weights.reshape(out, inputs // ROWS, ROWS, times).transpose(0, 2, 1, 3).reshape(out, inputs, times)


def _span(weights):
    """[out][in][time] -> [out][1][time x in]"""
    return weights.transpose(0, 2, 1).reshape(len(weights), 1, -1).astype(np.float64)


def _plain(weights):
    return Conv(_span(weights), np.zeros(len(weights)))


def _folded(weights, norm):
    return Conv(weights * norm.gain[:, None, None], norm.offset)


def untouched(_name, values):
    """The tap that changes nothing."""
    return values


class Network:
    """Runs the layers; `tap(name, values)` sees every activation map by its name and returns what to go on with."""

    def __init__(self, found, tap=untouched):
        self.layers = {
            name: Conv(layer.weights.astype(np.float32), layer.bias.astype(np.float32))
            if isinstance(layer, Conv)
            else Norm(layer.gain.astype(np.float32), layer.offset.astype(np.float32))
            for name, layer in found.items()
        }
        self.tap = tap

    def embed(self, features):
        """Unit-length embedding of features [frames][80], mean-normalised and masked."""
        x = self._head(np.ascontiguousarray(features.T, np.float32)[:, :, None])
        x = self._tdnn(x)
        for block, (count, dilation) in enumerate(BLOCKS, 1):
            for layer in range(1, count + 1):
                x = np.concatenate([x, self._dense_layer(f"block{block}.{layer}", x, dilation)], axis=1)
            quiet = self.tap(f"transit{block}.norm", self._norm(f"transit{block}.norm", x))
            x = self.tap(f"transit{block}.conv", self._matmul(f"transit{block}.conv", quiet))
        x = self.tap("out.norm", self._norm("out.norm", x))
        pooled = np.concatenate([x.mean(0), x.std(0, ddof=1)])[None]
        embedding = self._matmul("dense", self.tap("pooled", pooled))[0]
        return embedding / np.linalg.norm(embedding)

    def _head(self, x):
        x = self._map("head.input", x, 1)
        for stage in (1, 2):
            for block in (0, 1):
                name, stride = f"head.{stage}.{block}", 2 if block == 0 else 1
                inner = self._map(f"{name}.first", x, stride)
                side = self._rows(f"{name}.shortcut", x, stride) if block == 0 else x
                total = self._rows(f"{name}.second", inner, 1) + side
                x = self.tap(f"{name}.second", np.maximum(total, 0))
        x = self._map("head.out", x, 2)
        return x.transpose(1, 0, 2).reshape(x.shape[1], -1)

    def _map(self, name, x, stride):
        return self.tap(name, np.maximum(self._rows(name, x, stride), 0))

    def _rows(self, name, x, stride):
        taps = self.layers[name].weights.shape[1]
        pad = taps // 2
        rows, frames, channels = x.shape
        padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (taps, taps), (0, 1))[::stride]
        # [row][time][channel][frequency tap][time tap] -> one product
        columns = windows.transpose(0, 1, 3, 4, 2).reshape(-1, taps * taps * channels)
        return self._matmul(name, columns).reshape(-1, frames, len(self.layers[name].bias))

    def _tdnn(self, x):
        padded = np.pad(x, ((2, 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 5, 0)[::2]
        columns = windows.transpose(0, 2, 1).reshape(len(windows), -1)
        return self.tap("tdnn", np.maximum(self._matmul("tdnn", columns), 0))

    def _dense_layer(self, name, x, dilation):
        quiet = self.tap(f"{name}.norm", self._norm(f"{name}.norm", x))
        squeezed = self.tap(f"{name}.squeeze", np.maximum(self._matmul(f"{name}.squeeze", quiet), 0))
        padded = np.pad(squeezed, ((dilation, dilation), (0, 0)))
        frames = len(squeezed)
        columns = np.concatenate([padded[tap * dilation : tap * dilation + frames] for tap in range(3)], axis=1)
        local = self._matmul(f"{name}.local", columns)
        return self.tap(f"{name}.local", local * self._mask(name, squeezed))

    def _mask(self, name, squeezed):
        starts = np.arange(0, len(squeezed), SEGMENT)
        counts = np.diff(np.append(starts, len(squeezed)))
        means = np.add.reduceat(squeezed, starts) / counts[:, None].astype(np.float32)
        context = self.tap(f"{name}.context", means + squeezed.mean(0))
        hidden = self.tap(f"{name}.context1", np.maximum(self._matmul(f"{name}.context1", context), 0))
        logits = self.tap(f"{name}.context2", self._matmul(f"{name}.context2", hidden))
        return np.repeat(1 / (1 + np.exp(-logits)), counts, axis=0)

    def _norm(self, name, x):
        layer = self.layers[name]
        return np.maximum(x * layer.gain + layer.offset, 0)

    def _matmul(self, name, columns):
        layer = self.layers[name]
        return columns @ layer.weights.reshape(len(layer.bias), -1).T + layer.bias
