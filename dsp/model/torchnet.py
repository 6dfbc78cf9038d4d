"""The network of reference.py in PyTorch, for training: same layers, same results, gradients as well.

Maps are [batch][channel][frequency row][time] in the head and [batch][channel][time] behind it. All utterances of a
batch have the same length.
"""

import numpy as np
import torch
from torch.nn import functional

from reference import BLOCKS, ROWS, SEGMENT, Conv


def tensors(layers):
    """{"layer/weights" and so on: float32 tensor} of folded layers, in the shapes of PyTorch's convolutions."""
    found = {}
    for name, layer in layers.items():
        if isinstance(layer, Conv):
            found[f"{name}/weights"] = _tensor(_shaped(name, layer.weights))
            found[f"{name}/bias"] = _tensor(layer.bias)
        else:
            found[f"{name}/gain"] = _tensor(layer.gain)
            found[f"{name}/offset"] = _tensor(layer.offset)
    return found


def _tensor(values):
    return torch.tensor(np.ascontiguousarray(values), dtype=torch.float32)


def _shaped(name, weights):
    out, taps, span = weights.shape
    if name.startswith("head."):
        return weights.reshape(out, taps, taps, -1).transpose(0, 3, 1, 2)
    if name.endswith(".local"):
        return weights.transpose(0, 2, 1)
    if name == "tdnn":
        spans = weights.reshape(out, 5, ROWS, -1)  # [time][row][channel] -> [channel x row][time]
        return spans.transpose(0, 3, 2, 1).reshape(out, -1, 5)
    return weights.reshape(out, span, 1)


def embed(p, features):
    """Embeddings [batch][192], not scaled, of features [batch][frames][80]; `p` as tensors() gives it."""
    x = _head(p, features.transpose(1, 2).unsqueeze(1))
    x = functional.relu(_conv1(p, "tdnn", x, stride=2, padding=2))
    for block, (count, dilation) in enumerate(BLOCKS, 1):
        for layer in range(1, count + 1):
            x = torch.cat([x, _dense_layer(p, f"block{block}.{layer}", x, dilation)], dim=1)
        x = _conv1(p, f"transit{block}.conv", _norm(p, f"transit{block}.norm", x))
    x = _norm(p, "out.norm", x)
    pooled = torch.cat([x.mean(2), x.std(2, unbiased=True)], dim=1)
    return _conv1(p, "dense", pooled.unsqueeze(2)).squeeze(2)


def _head(p, x):
    x = functional.relu(_conv2(p, "head.input", x, 1))
    for stage in (1, 2):
        for block in (0, 1):
            name, stride = f"head.{stage}.{block}", 2 if block == 0 else 1
            inner = functional.relu(_conv2(p, f"{name}.first", x, stride))
            side = _conv2(p, f"{name}.shortcut", x, stride) if block == 0 else x
            x = functional.relu(_conv2(p, f"{name}.second", inner, 1) + side)
    return functional.relu(_conv2(p, "head.out", x, 2)).flatten(1, 2)


def _dense_layer(p, name, x, dilation):
    squeezed = functional.relu(_conv1(p, f"{name}.squeeze", _norm(p, f"{name}.norm", x)))
    local = _conv1(p, f"{name}.local", squeezed, padding=dilation, dilation=dilation)
    means = functional.avg_pool1d(squeezed, SEGMENT, ceil_mode=True)
    context = means + squeezed.mean(2, keepdim=True)
    hidden = functional.relu(_conv1(p, f"{name}.context1", context))
    mask = torch.sigmoid(_conv1(p, f"{name}.context2", hidden))
    return local * mask.repeat_interleave(SEGMENT, dim=2)[:, :, : local.shape[2]]


def _norm(p, name, x):
    return functional.relu(x * p[f"{name}/gain"][:, None] + p[f"{name}/offset"][:, None])


def _conv1(p, name, x, **options):
    return functional.conv1d(x, p[f"{name}/weights"], p[f"{name}/bias"], **options)


def _conv2(p, name, x, stride):
    weights = p[f"{name}/weights"]
    return functional.conv2d(x, weights, p[f"{name}/bias"], stride=(stride, 1), padding=weights.shape[2] // 2)
