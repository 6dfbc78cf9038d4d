"""Trained weights to the file that the detector reads: `python3 export.py weights.npz`.

Four matrices (dense, input and state of the gated unit, verdict), each as: for every row the fraction bits of its weights
(u8), for every row its bias in Q12 (i32, little endian), and the weights (i8, row by row; rows of `dense` end in zeros).
"""

import argparse
import pathlib

import numpy as np

OUT = pathlib.Path(__file__).parent / "netspeech.weights"
BIAS_Q = 12
DENSE_COLUMNS = 176  # three steps of 58, filled up to a multiple of eight


def matrix(weights, bias):
    """Bytes of one matrix."""
    most = np.maximum(np.abs(weights).max(axis=1), 1e-6)
    bits = np.clip(np.floor(np.log2(127 / most)), 0, 14).astype(np.uint8)
    small = np.clip(np.round(weights * 2.0 ** bits[:, None]), -127, 127).astype(np.int8)
    return bits.tobytes() + np.round(bias * 2**BIAS_Q).astype("<i4").tobytes() + small.tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", help=".npz that train.py wrote")
    parser.add_argument("--out", default=OUT)
    arguments = parser.parse_args()
    with np.load(arguments.weights) as file:
        dense = file["dense.weight"]
        dense = np.pad(dense, ((0, 0), (0, DENSE_COLUMNS - dense.shape[1])))
        blob = matrix(dense, file["dense.bias"])
        for part in ("ih", "hh"):
            blob += matrix(file[f"memory.weight_{part}_l0"], file[f"memory.bias_{part}_l0"])
        blob += matrix(file["verdict.weight"], file["verdict.bias"])
    pathlib.Path(arguments.out).write_bytes(blob)


if __name__ == "__main__":
    main()
