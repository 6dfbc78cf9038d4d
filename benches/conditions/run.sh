#!/usr/bin/env bash
# Measures Vouch, the usual way and Resemblyzer in every degraded condition; writes docs/accuracy.md and its plots.
#
#     benches/conditions/run.sh [CORPORA]
#
# CORPORA (default: ../shared/corpora beside the repository) holds dev-telephone/, dev-speech/ and noise/. Built files
# and embeddings are kept in WORK (default: target/conditions), so a second run measures only Vouch anew.
# JOBS is the number of processes, VENV a Python environment to use instead of one made here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"

corpora=${1:-${VOUCH_SHARED:-$root/../shared}/corpora}
work=${WORK:-$root/target/conditions}
jobs=${JOBS:-$(nproc)}
venv=${VENV:-$work/venv}
export OMP_NUM_THREADS=1

if [ ! -f "$corpora/dev-telephone/trials.csv" ]; then
    echo "$corpora/dev-telephone/trials.csv is not there: name the folder of the corpora" >&2
    exit 2
fi
mkdir -p "$work"
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv.new"
    "$venv.new/bin/pip" install --quiet --requirement "$here/requirements.txt"
    # Without its dependencies: they are above, its speech detector as a ready wheel instead of C sources.
    "$venv.new/bin/pip" install --quiet --no-deps resemblyzer==0.1.4
    mv "$venv.new" "$venv"
fi
python="$venv/bin/python"
"${CARGO:-cargo}" build --locked --quiet --release --package vouch --bin vouchctl

# build LIST ROOT NAME [OPTION...]
build() {
    "$python" "$here/build.py" "$1" --root "$2" --out "$work/$3" --noise "$corpora/noise" --jobs "$jobs" "${@:4}"
}

build "$corpora/dev-telephone/trials.csv" "$corpora/dev-telephone" dev-telephone

# Wideband recordings, for what a telephone call says of somebody who enrolled in wideband.
wide=mu-law,wide,wide-mu-law,wide-gsm,wide-babble-10,wide-g722,wide-opus-12
speech="$corpora/dev-speech"
"$python" "$here/folders.py" "$speech/emodb" --out "$work/emodb.csv"
build "$work/emodb.csv" "$speech/emodb" emodb --conditions "$wide"
"$python" "$here/folders.py" "$speech/librispeech-train-clean-100" --halves --root "$work/halves" --out "$work/halves.csv"
build "$work/halves.csv" "$work/halves" librispeech-halves --conditions mu-law,wide,wide-mu-law

"$python" "$here/measure.py" "$work/dev-telephone" "$work/emodb" "$work/librispeech-halves:4:4" \
    --vouchctl "$root/target/release/vouchctl" --cache "$work/cache" --out "$work/results.json" --jobs "$jobs"
"$python" "$here/report.py" "$work/results.json" --docs "$root/docs" --command "make accuracy"
echo "written: docs/accuracy.md and docs/det-*.svg"
