#!/bin/sh
# Prints the features of package vouch whose libraries are installed here: codecs that a build may have or lack.
# bcg729 is GPL-3.0, and so is then a program that is given away; opencore-amr is Apache-2.0.
set -eu

features=
pkg-config --exists libbcg729 2>/dev/null && features="vouch/g729"
pkg-config --exists opencore-amrnb opencore-amrwb 2>/dev/null && features="$features vouch/amr"
echo "$features"
