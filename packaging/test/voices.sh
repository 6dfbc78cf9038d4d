# Recorded human voices (Debian's asterisk-core-sounds-*-wav) and calls that carry them; sourced by deb.sh.
# shellcheck shell=sh

sounds=/usr/share/asterisk/sounds
placed=0

# FOLDER FIRST COUNT: names of prompts of one person, each 2.5 to 10 s long.
prompts() {
    find "$sounds/$1/" -maxdepth 1 -name '*.wav' -size +40000c -size -160000c | LC_ALL=C sort | tail -n "+$2" | head -n "$3"
}

# FILE...: their samples (16-bit WAV with the plain header of 44 bytes) as G.711 mu-law.
mulaw() {
    for wav in "$@"; do tail -c +45 "$wav"; done | od -An -v -td2 -w2 | LC_ALL=C awk '
        {
            negative = $1 < 0
            size = (negative ? -$1 : $1) + 132
            if (size > 32767) size = 32767
            exponent = 7
            while (exponent > 0 && size < 2 ^ (exponent + 7)) exponent--
            step = int(size / 2 ^ (exponent + 3)) % 16
            printf "%c", 255 - (negative ? 128 : 0) - exponent * 16 - step
        }'
}

# SPEAKER VOICE: a gateway beside the container calls with that voice; sets call_id and sipp, its process.
place_call() {
    placed=$((placed + 1))
    call_id=call-$placed@gateway.test
    length=$(($(wc -c <"$2") / 8))
    sed -e "s|@SPEAKER@|$1|g; s|@AUDIO@|$2|; s|@TALK@|$length|; s|@EXTRA@||" \
        "$here/../../tests/data/sipp/leg.xml" >"$work/$1.xml"
    nearby sipp -sf "$work/$1.xml" -m 1 -nostdin -aa -i 127.0.0.1 -p 5070 -mp 6000 -cid_str "$call_id" \
        127.0.0.1:5060 >"$work/sipp.log" 2>&1
    sipp=$!
}

hang_up() {
    kill -KILL "$sipp" 2>/dev/null || true
    wait "$sipp" || true
}
