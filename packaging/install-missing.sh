#!/bin/sh
# Installs those of the named Debian packages that are missing; needs root only if there are any.
set -eu

missing=
for package in "$@"; do
    dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed$' \
        || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # the names are split on purpose
$sudo apt-get install -qq -y --no-install-recommends $missing >/dev/null
