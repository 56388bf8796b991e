#!/bin/sh
# A program that finds an installed xgrad by pkg-config alone: build.sh COMPILER OUTPUT [--static]
set -eu
compiler=$1 output=$2
shift 2
flags=$(pkg-config --cflags --libs "$@" xgrad)
# pkg-config quotes for the shell: eval lets a prefix contain spaces.
eval "set -- $flags"
exec "$compiler" -std=c++20 "$(dirname "$0")/../consumer.cpp" -o "$output" "$@"
