#!/usr/bin/env bash
# The MNIST sample as a user meets it: options, files, determinism, interruption. Needs no MNIST: without any
# it trains on digits that it draws.
set -u
mnist=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XGRAD_DATA=$folder/none XDG_CACHE_HOME=$folder/cache
failures=0

fail() {
  printf 'FAILED: %s\n' "$*"
  failures=$((failures + 1))
}

# refuses TEXT ARGUMENT...: exit code 2, one line on standard error that contains TEXT, nothing on standard output.
refuses() {
  local text=$1 code=0
  shift
  "$mnist" "$@" >out 2>err </dev/null || code=$?
  [[ $code == 2 ]] || fail "mnist $*: exit code $code, not 2"
  sed -i '/no MNIST in/d' err # not an error
  [[ $(wc -l <err) == 1 ]] || fail "mnist $*: $(wc -l <err) lines of error: $(cat err)"
  grep -qF -- "$text" err || fail "mnist $*: the error does not say '$text' but: $(cat err)"
}

# Options.
refuses "--epochs: expected a number from 1 to 1000000, found '0'" --epochs 0
refuses "--epochs: expected a number from 1 to 1000000, found 'ten'" --epochs ten
refuses "--epochs: expected a number from 1 to 1000000, found '3.5'" --epochs 3.5
refuses "--batch-size: expected" --batch-size -1
refuses "--dropout: expected a number below 1, found '1'" --dropout 1
refuses "--lr: expected" --lr nan
refuses "--seed: expected" --seed -1
refuses "--init: expected one of notebook, glorot, kaiming, found 'zero'" --init zero
refuses "--optimizer: expected one of sgd, adam" --optimizer lion
refuses "--loss: expected one of fused, composed" --loss mse
refuses "--plot: expected a file that ends in .svg or .png, found 'x.gif'" --plot x.gif
refuses "bogus" --bogus
refuses "unexpected argument 'word'" word
refuses "epochs" --epochs

# Files.
refuses "$folder/missing" --data "$folder/missing"
mkdir damaged
for name in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
  printf '\0\0\10\3\0\0\0\2\0\0\0\34\0\0\0\34abc' >"damaged/$name"
done
refuses "expected 1568 bytes" --data damaged --metrics kept.csv
[[ ! -e kept.csv ]] || fail "a metrics file was made though the data was damaged"
refuses "metrics: cannot write $folder/no/such/folder.csv" --epochs 1 --metrics "$folder/no/such/folder.csv"
refuses "trace: cannot write $folder/no/such/folder.json: No such file" --epochs 1 --trace "$folder/no/such/folder.json"
refuses "trace: cannot write $folder: Is a directory" --epochs 1 --trace "$folder"
refuses "--trace: expected a path, found ''" --trace ''
if [[ -w /dev/full ]]; then
  refuses "trace: cannot write /dev/full" --epochs 1 --quiet --trace /dev/full
  code=0
  "$mnist" --epochs 1 --metrics /dev/full >out 2>err || code=$?
  [[ $code == 2 ]] && grep -q "cannot write /dev/full: No space left on device" err || fail "a full disk: $code, $(cat err)"
fi

# Help goes to standard output.
"$mnist" --help >out 2>err && grep -q -- "--batch-size" out && [[ ! -s err ]] || fail "--help"

# A run: its lines, its metrics; the same seed gives the same figures, another seed others; any number of threads.
columns() { cut -d, -f1-4 "$1"; }
run() {
  local file=$1
  shift
  "$mnist" --epochs 2 --metrics "$file" "$@" >out 2>err || fail "mnist $*: $(cat err)"
}
run a.csv
grep -qE '^Epoch 2: training loss = [0-9]+\.[0-9]{6} test loss = [0-9]+\.[0-9]{6} test accuracy = [01]\.[0-9]{4} \([0-9]+\.[0-9]{2} s\)$' out ||
  fail "the epoch's line: $(cat out)"
[[ $(wc -l <err) == 1 ]] && grep -q "no MNIST in" err || fail "the line about drawn digits: $(cat err)"
grep -q "core\|BLAS" out || fail "the core is not named"
! grep -q $'\r' out || fail "a progress bar in a pipe"
[[ $(head -1 a.csv) == epoch,train_loss,test_loss,test_accuracy,seconds,samples_per_second ]] || fail "the CSV header"
[[ $(wc -l <a.csv) == 3 ]] || fail "the CSV has $(wc -l <a.csv) lines"
run b.csv
cmp -s <(columns a.csv) <(columns b.csv) || fail "the same seed gave other figures"
run c.csv --threads 2
cmp -s <(columns a.csv) <(columns c.csv) || fail "two threads gave other figures"
run d.csv --seed 1
! cmp -s <(columns a.csv) <(columns d.csv) || fail "another seed gave the same figures"
run e.csv --loss composed --quiet
[[ ! -s out ]] || fail "--quiet is not quiet"
paste -d, <(columns a.csv) <(columns e.csv) | awk -F, 'NR > 1 { d = $2 - $6; e = $3 - $7; if (d*d > 1e-6 || e*e > 1e-6) exit 1 }' ||
  fail "fused and composed differ by more than 1e-3"
run f.csv --optimizer adam --lr 0.001 --init kaiming --reg 1e-4 --hidden 32 --batch-size 64 --dropout 0.2
awk -F, 'NR == 3 && $4 < 0.5 { exit 1 }' f.csv || fail "Adam learned nothing: $(cat f.csv)"

# The profile: the training loop's ops and nothing of the evaluation, after the run; the figures stay the same.
run h.csv --quiet --profile --trace trace.json
cmp -s <(columns a.csv) <(columns h.csv) || fail "a profile changed the figures"
calls() { awk -v op="$1" -v phase="$2" '$1 == op && $2 == phase { print $3 }' out; }
steps=$((2 * 160)) # 8000 drawn digits in batches of 50, twice
[[ $(head -1 out) =~ ^op\ +phase\ +calls\ .*GFLOP/s$ ]] || fail "the profile's first line: $(cat out)"
[[ $(calls linear forward) == $((2 * steps)) ]] || fail "the profile's calls of linear: $(cat out)"
[[ $(calls matmul backward) == $((3 * steps)) ]] || fail "the profile's calls of matmul: $(cat out)"
grep -q '^between ops ' out && grep -q '^total ' out || fail "the profile's last lines: $(cat out)"
[[ $(head -c 1 trace.json) == '{' && $(grep -c '"ph":"X"' trace.json) -gt $((5 * steps)) ]] || fail "the trace"

# Interruption: the epochs that were finished are in the metrics, whole.
"$mnist" --epochs 1000 --metrics g.csv >out 2>err &
pid=$!
for _ in $(seq 600); do
  [[ -e g.csv && $(wc -l <g.csv) -ge 3 ]] && break
  sleep 0.1
done
kill -INT $pid
code=0
wait $pid || code=$?
[[ $code == 130 ]] || fail "Ctrl-C: exit code $code"
grep -q "interrupted after" err || fail "Ctrl-C: $(cat err)"
awk -F, 'NF != 6 { exit 1 }' g.csv && [[ $(wc -l <g.csv) -ge 3 ]] || fail "Ctrl-C left: $(cat g.csv)"
cmp -s <(columns a.csv | head -3) <(columns g.csv | head -3) || fail "an interrupted run has other figures"

# The plot.
if command -v gnuplot >/dev/null; then
  for file in "it's a plot.svg" plot.png; do
    "$mnist" --epochs 1 --quiet --plot "$file" 2>err && [[ -s $file ]] || fail "--plot $file: $(cat err)"
  done
  head -c 4 plot.png | grep -q PNG || fail "plot.png is not a PNG"
  refuses "plot: cannot write" --epochs 1 --plot "$folder/no/folder/p.svg"
  [[ $(ls | grep -c part) == 0 ]] || fail "temporary files are left"
fi

[[ $failures == 0 ]] && echo "all well"
exit $((failures > 0))
