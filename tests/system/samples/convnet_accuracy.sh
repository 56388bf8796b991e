#!/usr/bin/env bash
# What the convolutional network promises, on the real MNIST; $XGRAD_TEST_MNIST names it.
set -u
if [[ -z ${XGRAD_TEST_MNIST:-} ]]; then
  echo "skipped: XGRAD_TEST_MNIST does not name a folder with MNIST"
  exit 0
fi
# Over the seeds 0 to 2 the accuracy is 0.9881, 0.9891 and 0.9868.
"$1" --data "$XGRAD_TEST_MNIST" --epochs 3 --seed 0 |
  awk '{ print } /^epoch 3:/ { sub(".*accuracy ", ""); accuracy = $1 } END { exit !(accuracy >= 0.985) }'
