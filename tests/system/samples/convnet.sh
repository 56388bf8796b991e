#!/usr/bin/env bash
# The convolutional network on the digits that it draws where there is no MNIST: help, two epochs, a mistake.
set -u
convnet=$1
export XGRAD_DATA=/none XDG_CACHE_HOME=/none

fail() {
  printf 'FAILED: %s\n' "$*"
  exit 1
}

# at_least ACCURACY: whether the last epoch's accuracy, in the output on standard input, is no lower.
at_least() {
  awk -v least="$1" '/^epoch / { sub(".*accuracy ", ""); accuracy = $1 } END { exit !(accuracy >= least) }'
}

"$convnet" --help | grep -q -- "--batch-size" || fail "--help"
out=$("$convnet" --epochs 2 --batch-size 32 2>&1) || fail "two epochs: $out"
at_least 0.9 <<<"$out" || fail "an accuracy below 0.9: $out"
threads=$("$convnet" --epochs 2 --batch-size 32 --threads 2 2>&1)
seconds='s/([0-9.]* s)//'
[[ $(sed "$seconds" <<<"$out") == "$(sed "$seconds" <<<"$threads")" ]] || fail "two threads gave other figures: $threads"
out=$("$convnet" --data /none 2>&1) && fail "--data /none: no error"
grep -q "^convnet: .*/none" <<<"$out" || fail "--data /none: $out"
