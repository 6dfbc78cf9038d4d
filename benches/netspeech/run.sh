#!/bin/sh
# Compares net speech by Vouch, webrtc-vad and Silero.
#
#     benches/netspeech/run.sh [CORPORA [OPTION OF compare.py]...]
#
# CORPORA (default: ../shared/corpora beside the repository) holds noise/ and dev-speech/librispeech-train-clean-100/: one
# utterance each of 157 people of LibriSpeech. The other sounds are Debian packages, fetched by apt-get into WORK (default:
# target/netspeech) and unpacked there, not installed. Python packages go into a virtual environment beside them
# (VENV=DIR uses another); Silero's network is run without PyTorch.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
corpora=${1:-${VOUCH_SHARED:-$root/../shared}/corpora}
[ $# -eq 0 ] || shift
work=${WORK:-$root/target/netspeech}
venv=${VENV:-$work/venv}

if [ ! -d "$corpora/dev-speech/librispeech-train-clean-100" ] || [ ! -d "$corpora/noise" ]; then
    echo "$corpora does not hold noise/ and dev-speech/librispeech-train-clean-100/: name the folder of the corpora" >&2
    exit 2
fi
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet numpy scipy soundfile webrtcvad-wheels==2.0.14.post1 onnxruntime==1.32.0
    "$venv/bin/pip" install --quiet --no-deps silero-vad==6.2.3
fi
if [ ! -d "$work/sounds" ]; then
    rm -rf "$work/fetched" "$work/unpacked"
    mkdir -p "$work/fetched" "$work/unpacked"
    (cd "$work/fetched" && apt-get download -qq asterisk-moh-opsound-wav asterisk-prompt-es-co asterisk-prompt-fr-armelle \
        planetblupi-music-ogg drascula-music)
    for package in "$work"/fetched/*.deb; do dpkg-deb --extract "$package" "$work/unpacked"; done
    mkdir "$work/unpacked/games"
    mv "$work/unpacked/usr/share/planetblupi/music" "$work/unpacked/games/planetblupi"
    mv "$work/unpacked/usr/share/scummvm/drascula/audio" "$work/unpacked/games/drascula"
    mv "$work/unpacked" "$work/sounds"
fi
cargo build --quiet --release --locked --manifest-path "$root/Cargo.toml" -p vouch-dsp --example net_speech
OMP_NUM_THREADS=1 exec "$venv/bin/python" "$here/compare.py" \
    --librispeech "$corpora/dev-speech/librispeech-train-clean-100" --noise "$corpora/noise" \
    --prompts "$work/sounds/usr/share/asterisk/sounds" --hold-music "$work/sounds/usr/share/asterisk/moh" \
    --music "$work/sounds/games" "$@"
