#!/bin/sh
# Installs the package in a booted Debian 12 container and does what an administrator would: start, ask, call,
# kill, edit, upgrade, remove, purge.   usage: deb.sh PACKAGE.deb
# shellcheck disable=SC2016 # what is quoted is for the shell in the container
set -eu

test_name=test-deb
package=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR
. "$here/container.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/voices.sh"

# --- what is asked -----------------------------------------------------------------------------------------

check() {
    what=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        say "ok      $what"
    else
        say "FAILED  $what"
        cat "$work/out"
        inside journalctl --no-pager --unit vouchd --lines 40 || true
        exit 1
    fi
}

not() { ! "$@"; }
shell() { inside sh -euc "$@"; }
property() { inside systemctl show --value --property="$1" vouchd; }

# Tries until it works, for as long as a restart may take on a busy machine.
within_a_minute() {
    for _ in $(seq 60); do
        "$@" && return 0
        sleep 1
    done
    return 1
}

exposure() {
    inside systemd-analyze security --no-pager vouchd.service | tail -n 1 >"$work/exposure"
    awk '/Overall exposure level/ { ok = $(NF - 2) <= 2.5 } END { exit !ok }' "$work/exposure"
}

# Microseconds from the start of the process until it said that it is ready: the best of three, since
# other work on this machine can only make it look slower.
start_time() {
    for _ in 1 2 3; do
        inside systemctl restart vouchd || return 1
        say $(($(property ActiveEnterTimestampMonotonic) - $(property ExecMainStartTimestampMonotonic)))
    done | sort -n | head -n 1 >"$work/start"
    [ "$(cat "$work/start")" -lt 1000000 ]
}

resident() { inside awk '/^VmRSS/ { print int($2 / 1024) " MiB" }' "/proc/$(property MainPID)/status"; }

# WHO STATUS COMMAND...: the command of this user ends with this exit status.
ends() {
    who=$1 expected=$2
    shift 2
    status=0
    inside runuser -u "$who" -- "$@" || status=$?
    [ "$status" = "$expected" ]
}

# COMMAND...: after it, another process answers.
replaced_by() {
    before=$(property MainPID)
    "$@" || return 1
    within_a_minute new_process_answers
}
new_process_answers() {
    now=$(property MainPID)
    [ "$now" != 0 ] && [ "$now" != "$before" ] && inside vouchctl status
}

# SPEAKER STATUS: that is what a call that claims to be SPEAKER gets, with the voice of $work/voice.ulaw.
call_gets() {
    place_call "$1" "$work/voice.ulaw"
    within_a_minute inside vouchctl call "$call_id" >"$work/call" 2>&1
    got=$(inside timeout 90 vouchctl result "$call_id" --wait 60s --format plain) || true
    hang_up
    say "the call of $1: $got"
    [ "$got" = "$2" ] || { cat "$work/sipp.log" && false; }
}

# The same package once more, as a later version whose configuration file has one line more.
make_successor() {
    dpkg-deb --raw-extract "$package" "$work/next"
    sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
    echo '# A line of the later version.' >>"$work/next/etc/vouch/vouchd.toml"
    dpkg-deb --root-owner-group --build "$work/next" "$root/next.deb" >"$work/out"
}

# --- the order of events -----------------------------------------------------------------------------------

installs() {
    check "the package installs" inside dpkg --install /vouch.deb
    check "the service runs, enabled" shell 'systemctl is-active vouchd && systemctl is-enabled vouchd'
    check "vouchctl status answers" inside vouchctl status
    check "the shipped configuration is valid" inside vouchd --check-config
    check "the exposure level is at most 2.5" exposure
    say "        $(cat "$work/exposure")"
    check "it is ready in less than a second" start_time
    say "        ready after $(($(cat "$work/start") / 1000)) ms; $(resident) resident, idle"
    check "its journal has no warning" not inside journalctl --quiet --unit vouchd --priority warning --grep .
    check "manual pages, completions and API description are there" shell 'cd /usr/share
        test -s man/man8/vouchd.8.gz -a -s man/man1/vouchctl.1.gz -a -s man/man1/vouchctl-speaker-show.1.gz
        test -s bash-completion/completions/vouchctl -a -s zsh/vendor-completions/_vouchctl
        test -s fish/vendor_completions.d/vouchctl.fish -a -s vouch/openapi.json -a -s doc/vouch/model-NOTICE'
    check "its changelog is of its version" shell 'version=$(dpkg-query --show --showformat="\${Version}" vouch)
        zcat /usr/share/doc/vouch/changelog.Debian.gz | head -n 1 | grep -F "vouch ($version) "'
    check "the key is readable by root alone" shell 'test "$(stat -c "%a %U %s" /etc/vouch/master.key)" = "600 root 32"
        test "$(stat -c "%a %U" /var/lib/vouch)" = "700 vouch"'
    check "the socket belongs to group vouch" shell \
        'test "$(stat -c "%a %U %G" /run/vouch/vouch.sock)" = "660 vouch vouch"'
}

asks_who() {
    inside useradd reader --groups vouch
    inside useradd agent --groups vouch,vouch-agent
    inside useradd admin --groups vouch,vouch-admin
    inside useradd outsider
    check "group vouch reads" ends reader 0 vouchctl speaker list
    check "group vouch may not opt out" ends reader 5 vouchctl speaker opt-out 1003
    check "group vouch-agent opts out" ends agent 0 vouchctl speaker opt-out 1003
    check "group vouch-agent may not delete" ends agent 5 vouchctl speaker delete 1003
    check "group vouch-admin deletes" ends admin 0 vouchctl speaker delete 1003
    check "others do not reach the socket" ends outsider 5 vouchctl status
    check "others read neither key nor store" not inside runuser -u outsider -- \
        sh -c 'cat /etc/vouch/master.key || ls /var/lib/vouch'
    check "an opt-out for later" ends agent 0 vouchctl speaker opt-out 1009
}

takes_calls() {
    if ! command -v sipp >/dev/null || [ ! -d "$sounds/en_US_f_Allison" ]; then
        say "skipped calls: sipp or the voices are not installed; make setup installs them"
        return
    fi
    mkdir "$root/voices"
    prompts en_US_f_Allison 1 20 | xargs cp --target-directory="$root/voices"
    check "group vouch may not enroll" ends reader 5 sh -c 'vouchctl enroll-file 1001 /voices/*.wav --consent t-1'
    check "group vouch-agent enrolls from recordings" ends agent 0 \
        sh -c 'vouchctl enroll-file 1001 /voices/*.wav --consent t-1'
    # shellcheck disable=SC2046 # names without spaces
    mulaw $(prompts en_US_f_Allison 41 12) >"$work/voice.ulaw"
    check "the same person is authenticated on a call" call_gets 1001 authenticated
    # shellcheck disable=SC2046
    mulaw $(prompts it_IT_m_Carlo 1 12) >"$work/voice.ulaw"
    check "another person is not" call_gets 1001 not-authenticated
    check "nobody listens to who opted out" call_gets 1009 opted-out
}

remembers() {
    inside vouchctl speaker list --json >"$work/speakers.now" && cmp "$work/speakers.now" "$work/speakers"
}

survives() {
    inside vouchctl speaker list --json >"$work/speakers"
    check "a new process answers after kill -9" replaced_by inside systemctl kill --signal=KILL vouchd
    check "it has the same speakers" remembers

    # The shipped watchdog takes 20 s; here everything is the same but quicker.
    shell 'mkdir -p /run/systemd/system/vouchd.service.d
        printf "[Service]\nWatchdogSec=4s\nTimeoutAbortSec=1s\n" >/run/systemd/system/vouchd.service.d/quick.conf
        systemctl daemon-reload && systemctl restart vouchd'
    before=$(property MainPID)
    sleep 13
    check "three periods of the watchdog pass without a restart" test "$(property MainPID)" = "$before"
    check "a stuck process is replaced" replaced_by inside systemctl kill --signal=STOP vouchd
    check "that was the watchdog" inside journalctl --quiet --unit vouchd --grep 'Watchdog timeout'
    check "it has the same speakers" remembers
    shell 'rm -r /run/systemd/system/vouchd.service.d && systemctl daemon-reload && systemctl restart vouchd'
}

upgrades() {
    inside cp /etc/vouch/master.key /root/master.key
    inside sed -i 's/^calls = "10m"/calls = "20m"/' /etc/vouch/vouchd.toml
    check "an edited configuration is valid" shell 'grep "^calls = .20m" /etc/vouch/vouchd.toml && vouchd --check-config'
    check "it installs over itself, with a restart" replaced_by inside dpkg --install /vouch.deb
    check "a later version installs, with a restart" replaced_by inside dpkg --force-confold --install /next.deb
    check "it has the same speakers" remembers
    check "key and edited configuration are as they were" shell 'cmp /etc/vouch/master.key /root/master.key
        grep "^calls = .20m" /etc/vouch/vouchd.toml
        grep "of the later version" /etc/vouch/vouchd.toml.dpkg-dist'
}

goes() {
    check "it is removed" inside dpkg --remove vouch
    check "nothing of it runs" shell \
        '! systemctl is-active vouchd && test ! -e /run/vouch && test ! -e /usr/bin/vouchd'
    check "key, store and configuration stay" shell \
        'test -s /etc/vouch/master.key -a -d /var/lib/vouch/store -a -s /etc/vouch/vouchd.toml'
    check "it installs again" inside dpkg --install /next.deb
    check "it has the same speakers" remembers
    inside mv /etc/vouch/master.key /root/lost.key
    check "a lost key is not replaced" shell 'dpkg-reconfigure vouch; ! test -e /etc/vouch/master.key'
    check "it is purged" inside dpkg --purge vouch
    check "no file of it is left" shell 'for path in /etc/vouch /var/lib/vouch /run/vouch /usr/bin/vouch* \
            /usr/share/*/vouch /usr/share/vouch /etc/systemd/system/*/vouchd* /var/lib/systemd/*/*vouchd*
        do
            if [ -e "$path" ]; then echo "$path"; exit 1; fi
        done'
    check "systemd has forgotten it" not shell 'systemctl --failed --no-legend | grep vouch || systemctl cat vouchd'
    check "account and groups stay" inside getent passwd vouch
}

boot_container
cp "$package" "$root/vouch.deb"
make_successor
say "booted: $(inside systemctl --version | head -n 1)"
installs
asks_who
takes_calls
survives
upgrades
goes
say "test-deb: all checks passed"
