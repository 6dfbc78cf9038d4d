#!/bin/sh
# Installs the package in a booted Debian 12 container and tries what an administrator would:
# start, ask, kill, reinstall, remove, purge.   usage: deb.sh PACKAGE.deb
# The bare system is made once and kept in $VOUCH_TEST_ROOT (default: /var/cache/vouch-test).
set -eu

package=$(realpath "$1")
cache=${VOUCH_TEST_ROOT:-/var/cache/vouch-test}
machine=vouch-deb-$$

say() { printf '%s\n' "$*"; }
cannot() { say "test-deb: skipped: $*"; exit 0; }

[ "$(id -u)" = 0 ] || cannot "a container needs root"
command -v debootstrap >/dev/null || cannot "debootstrap is not installed"
command -v systemd-nspawn >/dev/null || cannot "systemd-nspawn is not installed"

mirror() {
    awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }
         $1 == "URIs:" { print $2; exit }' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1
}

if [ ! -e "$cache/bookworm/made" ]; then
    say "making a bare Debian 12 in $cache (once, some minutes)"
    rm -rf "$cache/bookworm" && mkdir -p "$cache"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,libsystemd0,bash-completion \
        bookworm "$cache/bookworm" "$(mirror)" >"$cache/debootstrap.log" 2>&1 \
        || cannot "debootstrap failed; see $cache/debootstrap.log"
    touch "$cache/bookworm/made"
fi

root=$(mktemp -d)
boot=
finish() {
    [ -z "$boot" ] || { kill -TERM "$boot" 2>/dev/null; wait "$boot" 2>/dev/null || true; }
    rm -rf "$root"
}
trap finish EXIT
trap 'exit 1' INT TERM
cp -a "$cache/bookworm/." "$root/"
cp "$package" "$root/vouch.deb"

systemd-nspawn --quiet --directory="$root" --machine="$machine" --boot --private-network \
    --register=no --keep-unit >"$root.log" 2>&1 &
boot=$!

# The leader's namespaces give a root shell inside without D-Bus on the host.
leader=
inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid --root --wd env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
try=0
until [ -n "$leader" ] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; do
    try=$((try + 1))
    [ "$try" -le 60 ] || cannot "a container does not boot here; see $root.log"
    kill -0 "$boot" 2>/dev/null || cannot "a container does not start here: $(tail -n 3 "$root.log")"
    leader=$(pgrep --parent "$boot" | head -n 1)
    sleep 1
done
say "booted: $(inside systemctl --version | head -n 1)"

check() {
    what=$1
    shift
    if "$@" >"$root.out" 2>&1; then
        say "ok      $what"
    else
        say "FAILED  $what"
        cat "$root.out"
        inside journalctl --no-pager -u vouchd -n 40 || true
        exit 1
    fi
}
answers() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        inside vouchctl status && return 0
        sleep 1
    done
    return 1
}
not() { if "$@"; then return 1; fi; }
exposure() {
    inside systemd-analyze security --no-pager vouchd.service \
        | awk '/Overall exposure level/ { print; exit !($(NF - 2) <= 2.5) }'
}
new_process() {
    before=$(inside systemctl show --value --property=MainPID vouchd)
    inside kill -KILL "$before"
    answers && [ "$(inside systemctl show --value --property=MainPID vouchd)" != "$before" ]
}

check "the package installs" inside dpkg --install /vouch.deb
check "the service runs" inside systemctl is-active vouchd
check "vouchctl status answers" answers
check "the exposure level is at most 2.5" exposure
check "an opt-out is taken" inside vouchctl speaker opt-out 1003
check "the service comes back after kill -9" new_process
check "the opt-out is still there" inside sh -c 'vouchctl speaker show 1003 | grep -q opted-out'
check "a stranger is refused the socket" not inside setpriv --reuid=nobody --regid=nogroup --clear-groups vouchctl status
check "the manual pages are there" inside test -s /usr/share/man/man1/vouchctl.1.gz -a -s /usr/share/man/man8/vouchd.8.gz
check "the completions are there" inside test -s /usr/share/bash-completion/completions/vouchctl
check "the shipped configuration is valid" inside vouchd --config /etc/vouch/vouchd.toml --check-config
check "it installs over itself" inside dpkg --install /vouch.deb
check "vouchctl status answers again" answers
check "it is removed" inside dpkg --remove vouch
check "the voiceprints survive a removal" inside test -d /var/lib/vouch/store
check "it is purged" inside dpkg --purge vouch
check "nothing is left of it" not inside sh -c 'ls -d /etc/vouch /var/lib/vouch /run/vouch /usr/bin/vouchd 2>/dev/null'
check "no unit failed" inside sh -c '! systemctl --failed --no-legend | grep vouch'
say "test-deb: all checks passed"
