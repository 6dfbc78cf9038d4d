#!/bin/sh
# Compares the network in ONNX Runtime and in Vouch on this machine; arguments go to compare.py.
set -eu
cd "$(dirname "$0")/../.."
venv=target/peers-venv
if [ ! -x "$venv/bin/python" ]; then
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet "numpy>=1.24" "onnx>=1.16" "sympy" "onnxruntime>=1.20" "G722>=1.2"
fi
cargo build --locked --release --quiet --package vouch-benches --bin embedding-times
# Some machines pin numpy's kernels by these; they are no part of what is measured.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE || true
exec "$venv/bin/python" benches/peers/compare.py --vouch target/release/embedding-times "$@"
