# A Debian 12 system, booted in a container; sourced by tests that need one.
#
#   boot_container    makes a bare system (once, kept in $VOUCH_TEST_ROOT), copies it, boots the copy
#   inside COMMAND    runs a command in it as root
#   nearby COMMAND    starts a program of this machine in the container's network, as process $!
#
# After boot_container, $root is its file system and $work a scratch folder outside of it; both go at exit.
# Where a container cannot be had, the calling script ends with a line `NAME: skipped: WHY` and status 0.
# shellcheck shell=sh

cache=${VOUCH_TEST_ROOT:-/var/cache/vouch-test}
packages=systemd,systemd-sysv,dbus,libsystemd0,libopus0,libasound2,libbcg729-0,libopencore-amrnb0,libopencore-amrwb0,bash-completion
work=
boot=
leader=

say() { printf '%s\n' "$*"; }
cannot() {
    say "$test_name: skipped: $*"
    exit 0
}

boot_container() {
    [ "$(id -u)" = 0 ] || cannot "a container needs root"
    for tool in debootstrap systemd-nspawn nsenter; do
        command -v "$tool" >/dev/null || cannot "$tool is not installed"
    done
    trap take_down EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    make_bare_system
    work=$(mktemp -d)
    root=$work/root
    cp -a --reflink=auto "$cache/bookworm" "$root"
    systemd-nspawn --quiet --directory="$root" --machine="vouch-test-$$" --boot --private-network \
        --register=no --keep-unit </dev/null >"$work/boot.log" 2>&1 &
    boot=$!
    wait_for_boot
}

make_bare_system() {
    # Made again when the list has changed.
    [ "$(cat "$cache/bookworm/made-with" 2>/dev/null)" != "$packages" ] || return 0
    say "making a bare Debian 12 in $cache (once, some minutes)"
    rm -rf "$cache/bookworm"
    mkdir -p "$cache"
    debootstrap --variant=minbase --include="$packages" \
        bookworm "$cache/bookworm" "$(mirror)" >"$cache/debootstrap.log" 2>&1 \
        || cannot "debootstrap failed; see $cache/debootstrap.log"
    echo "$packages" >"$cache/bookworm/made-with"
}

# Where this machine gets its own packages from: it is known to answer.
mirror() {
    awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }
         $1 == "URIs:" { print $2; exit }' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1
}

wait_for_boot() {
    for _ in $(seq 60); do
        kill -0 "$boot" 2>/dev/null \
            || cannot "a container does not start here: $(tail -n 3 "$work/boot.log")"
        leader=$(pgrep --parent "$boot" | head -n 1)
        case $([ -z "$leader" ] || inside systemctl is-system-running 2>/dev/null) in
        running | degraded) return 0 ;;
        esac
        sleep 1
    done
    cannot "a container does not boot here: $(tail -n 3 "$work/boot.log")"
}

# The namespaces of the container's first process give a root shell without D-Bus on this machine.
inside() {
    nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup --root --wd \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

nearby() { nsenter --target "$leader" --net "$@" & }

take_down() {
    if [ -n "$boot" ]; then
        # systemd-nspawn turns this into an orderly shutdown.
        kill -TERM "$boot" 2>/dev/null || true
        wait "$boot" 2>/dev/null || true
    fi
    [ -z "$work" ] || rm -rf "$work"
}
