#!/bin/sh
# Golden vectors of codecs from a synthetic signal: coded and decoded by others, to be decoded by us to the same bits.
# Needs sox (GSM is libgsm's) and ffmpeg (G.722 is libavcodec's), Debian 12. Run in this folder.
set -eu
signal() { # RATE: sweeps, a vowel-like tone, noise and silence, loud and quiet
	sox -R -D -n -r "$1" -b 16 -e signed -L -t raw - \
		synth 0.3 sine 150:3500 gain -3 : synth 0.3 sawtooth 140 tremolo 5 80 gain -8 : \
		synth 0.2 whitenoise gain -12 : synth 0.1 sine 0 : synth 0.2 pinknoise gain -1 : synth 0.1 square 300 gain -45
}
signal 8000 | sox -D -t raw -r 8000 -e signed -b 16 -c 1 - -t gsm signal.gsm
sox -D -t gsm -r 8000 -c 1 signal.gsm -t raw -e signed -b 16 -L gsm.s16
signal 16000 | ffmpeg -v error -f s16le -ar 16000 -ac 1 -i - -c:a g722 -f g722 -y signal.g722
ffmpeg -v error -f g722 -i signal.g722 -f s16le -y g722.s16
# Bytes that no coder sends, to drive every part to its limits.
sox -R -D -n -r 8000 -b 8 -e unsigned -t raw noise.g722 synth 0.25 whitenoise
ffmpeg -v error -f g722 -i noise.g722 -f s16le -y g722-noise.s16
