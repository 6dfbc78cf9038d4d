"""What training changed in the network: adaptation.npz, applied to the public checkpoint by convert.py."""

import pathlib

import numpy as np

from reference import Conv, Norm

SHIPPED = pathlib.Path(__file__).parent / "adaptation.npz"


def save(path, changes):
    """Writes {"layer/part": array} in half precision; parts are scale, bias and offset."""
    np.savez_compressed(path, **{name: values.astype(np.float16) for name, values in changes.items()})


def load(path):
    """{"layer/part": array} in float64."""
    with np.load(path) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


def apply(layers, changes):
    """The layers (of reference.layers) with the changes: weights or gain x (1 + scale), bias or offset + change."""
    unknown = {name.partition("/")[0] for name in changes} - layers.keys()
    if unknown:
        raise SystemExit(f"the adaptation changes layers that the network does not have: {sorted(unknown)}")
    return {name: _changed(layer, name, changes) for name, layer in layers.items()}


def _changed(layer, name, changes):
    def change(part):
        return changes.get(f"{name}/{part}", 0.0)

    scale = 1 + change("scale") * np.ones(1)
    if isinstance(layer, Conv):
        return Conv(layer.weights * scale[:, None, None], layer.bias + change("bias"))
    return Norm(layer.gain * scale, layer.offset + change("offset"))
