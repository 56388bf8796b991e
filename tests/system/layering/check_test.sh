#!/bin/sh
# Shows that check.sh accepts a good tree and names each kind of offence, by file and line.
set -eu
check=$(dirname "$0")/check.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

write() { # write FILE LINE...: a file of the tree
  mkdir -p "$tree/$(dirname "$1")"
  file=$tree/$1
  shift
  printf '%s\n' "$@" >"$file"
}

good_tree() {
  rm -rf "${tree:?}/include" "${tree:?}/lib"
  write include/xgrad/xgrad.hpp '#include "xgrad/tensor/shape.hpp"' '#include "xgrad/tape/tape.hpp"'
  write include/xgrad/support/error.hpp '#include <string>'
  write include/xgrad/tensor/xtensor.hpp '#include <xtensor/xarray.hpp>'
  write include/xgrad/tensor/shape.hpp '#include "xgrad/support/error.hpp"' '// #include "xgrad/tape/tape.hpp"'
  write include/xgrad/tape/tape.hpp '#include <xgrad/tensor/shape.hpp>'
  write lib/tensor/simd.hpp '#include <xsimd/xsimd.hpp>'
  write lib/tensor/shape.cpp '#include "xgrad/tensor/shape.hpp"' '#include "lib/tensor/simd.hpp"' '#include "simd.hpp"'
  write lib/tensor/lapack.cpp '#include <xtensor-blas/xlapack.hpp>'
  write lib/tape/tape.cpp '#include "xgrad/tape/tape.hpp"' '#include "lib/tensor/simd.hpp"' '#include <vector>'
}

failures=0
fails() { # fails EXPECTED: the check fails and prints EXPECTED
  if output=$("$check" "$tree" 2>&1); then
    echo "accepted, instead of: $1"
    failures=$((failures + 1))
  elif ! printf '%s\n' "$output" | grep -qxF -e "$1"; then
    printf 'expected: %s\nprinted:  %s\n' "$1" "$output"
    failures=$((failures + 1))
  fi
  good_tree
}

good_tree
"$check" "$tree"

write include/xgrad/tensor/shape.hpp '#pragma once' '#include "xgrad/tape/tape.hpp"'
fails 'include/xgrad/tensor/shape.hpp:2: includes "xgrad/tape/tape.hpp"; tensor may not include tape'
write lib/tensor/shape.cpp '  #  include <xgrad/tape/tape.hpp>'
fails 'lib/tensor/shape.cpp:1: includes "xgrad/tape/tape.hpp"; tensor may not include tape'
write lib/tensor/shape.cpp '#include "../tape/node.hpp"'
fails 'lib/tensor/shape.cpp:1: includes "../tape/node.hpp"; tensor may not include tape'
write lib/tape/tape.cpp '#include "xgrad/xgrad.hpp"'
fails 'lib/tape/tape.cpp:1: includes the umbrella xgrad/xgrad.hpp, which is for users'
write include/xgrad/tape/tape.hpp '#include "lib/tape/node.hpp"'
fails 'include/xgrad/tape/tape.hpp:1: includes "lib/tape/node.hpp"; a public header cannot include a private one'
write include/xgrad/tape/tape.hpp '#include "xgrad/extra/x.hpp"'
fails 'include/xgrad/tape/tape.hpp:1: includes "xgrad/extra/x.hpp" of extra, which is not a layer'
write include/xgrad/tape/tape.hpp '#include <xtensor/xarray.hpp>'
fails 'include/xgrad/tape/tape.hpp:1: includes <xtensor/xarray.hpp>; only include/xgrad/tensor/xtensor.hpp includes xtensor'
write lib/tensor/shape.cpp '#include <xtensor-blas/xlinalg.hpp>'
fails 'lib/tensor/shape.cpp:1: includes <xtensor-blas/xlinalg.hpp>; only lib/tensor/lapack.cpp includes xtensor-blas'
write include/xgrad/tensor/shape.hpp '#include <xsimd/xsimd.hpp>'
fails 'include/xgrad/tensor/shape.hpp:1: includes <xsimd/xsimd.hpp>; xsimd stays out of the public headers'
write lib/tape/tape.cpp '#include <xsimd/xsimd.hpp>'
fails 'lib/tape/tape.cpp:1: includes <xsimd/xsimd.hpp>; only lib/tensor includes xsimd'
write lib/extra/x.cpp ''
fails 'lib/extra/x.cpp:1: extra is not a layer'
write lib/x.cpp ''
fails 'lib/x.cpp:1: lies in no layer'
write lib/nn/x.cpp ''
fails 'lib/nn/x.cpp:1: there is no folder include/xgrad/nn'
write include/xgrad/tape/tape.cpp ''
fails 'include/xgrad/tape/tape.cpp:1: a source among the public headers'
# shellcheck disable=SC2046
write lib/tape/long.hpp $(seq 301)
fails 'lib/tape/long.hpp:301: has 301 lines; at most 300'
# shellcheck disable=SC2046
write lib/tape/long.cpp $(seq 501)
fails 'lib/tape/long.cpp:501: has 501 lines; at most 500'
rm -rf "${tree:?}/include" "${tree:?}/lib"
mkdir -p "$tree/include/xgrad" "$tree/lib"
fails 'include/xgrad:1: holds no files'

"$check" "$tree"
[ "$failures" -eq 0 ]
