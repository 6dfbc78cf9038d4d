"""CAM++ in fp32 on PyTorch, from the layers that dsp/model reads out of the public checkpoint, as published or adapted."""

import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional

MODEL = pathlib.Path(__file__).resolve().parents[2] / "dsp" / "model"
sys.path.insert(0, str(MODEL))

import adaptation  # noqa: E402
import checkpoint  # noqa: E402
import reference  # noqa: E402
from reference import BLOCKS, ROWS, SEGMENT  # noqa: E402


class FloatNetwork:
    """The same arithmetic as `reference.Network`, faster."""

    def __init__(self, cache, adapted=False):
        layers = reference.layers(checkpoint.load(cache))
        if adapted:
            layers = adaptation.apply(layers, adaptation.load(adaptation.SHIPPED))
        self.layers = {}
        for name, layer in layers.items():
            if isinstance(layer, reference.Norm):
                self.layers[name] = (_tensor(layer.gain)[:, None], _tensor(layer.offset)[:, None])
            elif name.startswith("head."):
                self.layers[name] = (_map_weights(layer.weights), _tensor(layer.bias))
            else:
                self.layers[name] = (_span_weights(name, layer.weights), _tensor(layer.bias))

    @torch.inference_mode()
    def embed(self, features):
        """Unit-length embedding of features [frames][80], mean-normalised."""
        x = self._head(torch.from_numpy(np.ascontiguousarray(features.T, np.float32))[None, None])
        x = functional.relu(self._conv("tdnn", x, padding=2, stride=2))
        for block, (count, dilation) in enumerate(BLOCKS, 1):
            for layer in range(1, count + 1):
                x = torch.cat([x, self._dense(f"block{block}.{layer}", x, dilation)], dim=1)
            x = self._conv(f"transit{block}.conv", self._norm(f"transit{block}.norm", x))
        x = self._norm("out.norm", x)
        pooled = torch.cat([x.mean(2), x.std(2)], dim=1)[:, :, None]
        embedding = self._conv("dense", pooled)[0, :, 0].numpy()
        return embedding / np.linalg.norm(embedding)

    def _head(self, x):
        x = self._map("head.input", x, 1)
        for stage in (1, 2):
            for block in (0, 1):
                name, stride = f"head.{stage}.{block}", 2 if block == 0 else 1
                inner = self._map(f"{name}.first", x, stride)
                side = self._rows(f"{name}.shortcut", x, stride) if block == 0 else x
                x = functional.relu(self._rows(f"{name}.second", inner, 1) + side)
        x = self._map("head.out", x, 2)
        return x.permute(0, 2, 1, 3).reshape(1, ROWS * x.shape[1], -1)

    def _map(self, name, x, stride):
        return functional.relu(self._rows(name, x, stride))

    def _rows(self, name, x, stride):
        weights, bias = self.layers[name]
        return functional.conv2d(x, weights, bias, stride=(stride, 1), padding=weights.shape[2] // 2)

    def _dense(self, name, x, dilation):
        squeezed = functional.relu(self._conv(f"{name}.squeeze", self._norm(f"{name}.norm", x)))
        local = self._conv(f"{name}.local", squeezed, padding=dilation, dilation=dilation)
        means = functional.avg_pool1d(squeezed, SEGMENT, SEGMENT, ceil_mode=True) + squeezed.mean(2, keepdim=True)
        hidden = functional.relu(self._conv(f"{name}.context1", means))
        mask = torch.sigmoid(self._conv(f"{name}.context2", hidden))
        return local * mask.repeat_interleave(SEGMENT, dim=2)[:, :, : local.shape[2]]

    def _norm(self, name, x):
        gain, offset = self.layers[name]
        return functional.relu(x * gain + offset)

    def _conv(self, name, x, **form):
        weights, bias = self.layers[name]
        return functional.conv1d(x, weights, bias, **form)


def _tensor(values):
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _map_weights(weights):
    """[out][frequency][time x in] -> [out][in][frequency][time]"""
    out, rows, span = weights.shape
    return _tensor(weights.reshape(out, rows, rows, span // rows).transpose(0, 3, 1, 2))


def _span_weights(name, weights):
    """[out][1][time x in], or [out][time][in] for the local layers -> [out][in][time]"""
    times = 5 if name == "tdnn" else weights.shape[1]
    return _tensor(weights.reshape(len(weights), times, -1).transpose(0, 2, 1))
