#!/bin/sh
# Compares net speech by Vouch, webrtc-vad and Silero; the options are those of compare.py.
# Python packages go into a virtual environment below target/; Silero's network is run without PyTorch.
set -eu
here=$(dirname "$0")
root=$here/../..
venv=$root/target/netspeech-venv
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet numpy scipy soundfile webrtcvad-wheels==2.0.14.post1 onnxruntime==1.32.0
    "$venv/bin/pip" install --quiet --no-deps silero-vad==6.2.3
fi
cargo build --quiet --release --locked --manifest-path "$root/Cargo.toml" -p vouch-dsp --example net_speech
OMP_NUM_THREADS=1 exec "$venv/bin/python" "$here/compare.py" "$@"
