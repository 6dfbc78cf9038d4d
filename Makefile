# Vouch: two commands show it (`make demo`) and prove it (`make test`).

CARGO   ?= cargo
PROFILE ?= release
# What ships; `make deb DEB_PROFILE=release` does without the minutes of link-time optimisation.
DEB_PROFILE ?= dist
SUDO    := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

# Codecs of libraries that are there when Vouch is built: G.729, AMR. `make FEATURES=` does without.
FEATURES = $(shell packaging/codecs.sh)

# Everything that a fresh Debian 12 machine with Rust needs, by what needs it.
BUILD_PACKAGES := build-essential pkg-config libsystemd-dev libopus-dev libasound2-dev
VOICE_PACKAGES := asterisk-core-sounds-en-wav asterisk-core-sounds-es-wav asterisk-core-sounds-fr-wav \
                  asterisk-core-sounds-it-wav asterisk-core-sounds-ru-wav asterisk-prompt-it-menardi-wav \
                  asterisk-core-sounds-en-g722 asterisk-core-sounds-es-g722 asterisk-core-sounds-fr-g722 \
                  asterisk-core-sounds-it-g722 asterisk-core-sounds-ru-g722 asterisk-core-sounds-en-gsm
DEMO_PACKAGES  := sip-tester systemd
TEST_PACKAGES  := kamailio kamailio-tls-modules rtpengine-daemon baresip-core iproute2 iptables \
                  libbcg729-dev libopencore-amrnb-dev libopencore-amrwb-dev libvo-amrwbenc-dev
ACCURACY_PACKAGES := ffmpeg sox libsox-fmt-all python3-venv
DEB_PACKAGES   := lintian systemd-container debootstrap

.PHONY: setup setup-demo build demo test lint fuzz fuzz-seeds accuracy deb test-deb test-arm64 help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the Debian packages that are missing, those of all tests
	@packaging/install-missing.sh $(BUILD_PACKAGES) $(VOICE_PACKAGES) $(DEMO_PACKAGES) $(TEST_PACKAGES)

# No proxy and no relay, which would start as services on the machine of somebody who only looks.
setup-demo:
	@packaging/install-missing.sh $(BUILD_PACKAGES) $(VOICE_PACKAGES) $(DEMO_PACKAGES)

build: setup-demo ## build vouchd and vouchctl
	$(CARGO) build --locked --profile $(PROFILE) --package vouch --bins --features "$(FEATURES)"

demo: build ## place real calls with recorded voices and show what Vouch says
	$(CARGO) run --locked --quiet --profile $(PROFILE) --package vouch-tests --bin demo --features "$(FEATURES)"

test: setup build ## run all tests, real calls included
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -x; $(CARGO) nextest run --locked --cargo-profile $(PROFILE) --workspace --features "$(FEATURES)" --no-fail-fast; \
	else \
		set -x; $(CARGO) test --locked --profile $(PROFILE) --workspace --features "$(FEATURES)" --no-fail-fast; \
	fi

lint: setup ## formatting, clippy and documentation, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --locked --workspace --all-targets --features "$(FEATURES)" -- -D warnings
	$(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

fuzz-seeds: setup ## run the fuzz targets over their seeds and past findings alone
	$(CARGO) test --locked --manifest-path fuzz/Cargo.toml --target-dir target

fuzz: setup ## fuzz the parsers and state machines, FUZZ_SECONDS each (60); FUZZ_TARGETS names some of them
	fuzz/run.sh $(FUZZ_TARGETS)

accuracy: ## measure accuracy in every degraded condition (writes docs/accuracy.md)
	@packaging/install-missing.sh $(ACCURACY_PACKAGES)
	benches/conditions/run.sh

deb: setup ## build the Debian package (target/debian/*.deb)
	@packaging/install-missing.sh $(DEB_PACKAGES)
	@$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install --locked --version ^3.8 cargo-deb
	@mkdir -p target/$(DEB_PROFILE) && rm -f target/debian/vouch_*.deb
	CARGO="$(CARGO)" packaging/third-party.sh >target/$(DEB_PROFILE)/third-party
	gzip -9nf target/$(DEB_PROFILE)/third-party
	$(CARGO) deb --package vouch --profile $(DEB_PROFILE) --locked --strip --features "$(FEATURES)"
	lintian --fail-on error,warning target/debian/vouch_*.deb

test-deb: deb ## install, start, kill and purge the package in a booted Debian 12 container
	$(SUDO) packaging/test/deb.sh target/debian/vouch_*.deb

# The voice engine on 64-bit ARM, compiled here and run under emulation: with dot products and without. Debian's compiler,
# because it brings the standard library for ARM. Static, since the emulator may hang where a shared C library makes threads.
ARM64_PACKAGES := rustc-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
ARM64_ENV = RUSTC=/usr/bin/rustc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CARGO_TARGET_DIR=target/arm64 \
            CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
            CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
ARM64_TEST = $(CARGO) test --locked --release --package vouch-dsp --target aarch64-unknown-linux-gnu \
             --lib --test network_model -- kernel gives_the_bits narrow_band windows

test-arm64: ## run the kernels' tests for 64-bit ARM under emulation
	@$(SUDO) dpkg --add-architecture arm64
	@packaging/install-missing.sh $(ARM64_PACKAGES)
	@for cpu in cortex-a72 max; do \
		set -x; $(ARM64_ENV) CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -cpu $$cpu" \
			$(ARM64_TEST) || exit 1; { set +x; } 2>/dev/null; \
	done
