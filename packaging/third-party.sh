#!/bin/sh
# Prints the licences of all Rust libraries that are linked into vouchd and vouchctl, as most of them ask for.
# A text that several share is printed once, under all their names.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src

${CARGO:-cargo} tree --locked --package vouch --edges normal,no-proc-macro --prefix none \
    --format '{p}|{l}|{r}' >"$scratch/tree"
# `name v1.2.3`, perhaps with ` (*)` behind the line; our own packages have a path instead.
grep -v '(/' "$scratch/tree" | sed 's/ (\*)$//' | LC_ALL=C sort -u >"$scratch/libraries"

echo "Vouch contains these libraries:"
echo
while IFS='|' read -r library licence home; do
    printf '  %s: %s, %s\n' "$library" "$licence" "$home"
    folder=$(printf '%s' "$library" | sed 's/ v/-/')
    for text in "$sources"/*/"$folder"/LICEN[CS]E* "$sources"/*/"$folder"/COPYING* "$sources"/*/"$folder"/NOTICE*; do
        [ -f "$text" ] || continue
        sum=$(sha256sum <"$text" | cut -c 1-64)
        cp "$text" "$scratch/$sum.text"
        echo "$library" >>"$scratch/$sum.names"
    done
done <"$scratch/libraries"

for text in "$scratch"/*.text; do
    printf '\n%s\n' "------------------------------------------------------------------------"
    LC_ALL=C sort -u "${text%.text}.names"
    echo
    tr -d '\r' <"$text"
done
