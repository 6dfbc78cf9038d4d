#!/usr/bin/env bash
# Fuzzes every target, or those named, for FUZZ_SECONDS each (60), FUZZ_JOBS at once (2): from the seeds, and from what
# earlier runs here have put into corpus/. Fails on any finding, whose input is then in artifacts/. FUZZ_SEED makes each run
# begin with the same choices, and from the seeds alone.
set -euo pipefail
cd "$(dirname "$0")"
export FUZZ_SECONDS=${FUZZ_SECONDS:-60}

if ! rustup run nightly rustc --version >/dev/null 2>&1 &&
	! rustup toolchain install nightly --profile minimal --no-self-update >/dev/null 2>&1; then
	echo "fuzz: no nightly toolchain can be had here, so nothing is fuzzed: the targets run over their seeds alone"
	exec cargo test --locked --target-dir ../target
fi
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked --version ^0.13 cargo-fuzz

cargo fetch --locked
cargo +nightly fuzz build
host=$(rustc -vV | sed -n 's/^host: //p')
export BINARIES=$PWD/target/$host/release

fuzz() {
	local name=$1 longest=4096 log
	log=$(mktemp)
	# A few hundred steps tell the whole life of a call, and are played fast.
	case $name in dialogs | calls | subscriptions | fragments | segments | tapped) longest=400 ;; esac
	local corpus=corpus/$name scratch
	scratch=$(mktemp -d)
	[ -z "${FUZZ_SEED:-}" ] || corpus=$scratch
	mkdir -p "$corpus" "artifacts/$name"
	if "$BINARIES/$name" -seed="${FUZZ_SEED:-0}" -max_total_time="$FUZZ_SECONDS" -max_len="$longest" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="artifacts/$name/" "$corpus" "seeds/$name" >"$log" 2>&1; then
		echo "fuzz: $name: no finding in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
	else
		grep -v '^#[0-9]' "$log"
		echo "fuzz: $name: FAILED; make fuzz FUZZ_TARGETS=$name tries again, and cargo test in fuzz/ replays what is put into seeds/$name"
		return 1
	fi
	rm -rf "$log" "$scratch"
}
export -f fuzz

[ $# -gt 0 ] || set -- $(cd seeds && echo *)
printf '%s\n' "$@" | xargs -P "${FUZZ_JOBS:-2}" -I{} bash -c 'fuzz {}'
