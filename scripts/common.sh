# shellcheck shell=bash
# What the scripts share. Sourced, not run; it works from any folder and never changes it.
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
me=$(realpath --relative-to="$root" "$0")
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
install=yes # --no-install sets it to no

# The Debian packages, each with the commands that make it unnecessary, if any.
# shellcheck disable=SC2034  # read by the scripts that source this file
{
  build_packages=(g++:c++:g++:clang++ cmake:cmake ninja-build:ninja:make pkg-config:pkg-config
    libxtensor-dev libxtensor-blas-dev libxsimd-dev libopenblas-dev zlib1g-dev libcxxopts-dev doctest-dev)
  plot_packages=(gnuplot-nox:gnuplot)
  download_packages=(curl:curl ca-certificates)
  coverage_packages=(gcovr:gcovr)
  bench_packages=(libbenchmark-dev time)
}

say() { printf '%s: %s\n' "${me##*/}" "$*" >&2; }
die() {
  say "$@"
  exit 1
}

# Wrong usage, which ends with 2.
misuse() {
  say "$*; $me --help says more"
  exit 2
}
# The comment at the head of the script.
show_help() { sed -n '2,/^set/s/^# \{0,1\}//p' "$root/$me"; }

# logged NAME COMMAND...: runs the command with its output in build/log/NAME.log, which `log` names
# afterwards. On a terminal the last line of the output is shown while the command runs.
logged() {
  log=$root/build/log/$1.log
  shift
  mkdir -p "$root/build/log" 2>/dev/null || die "cannot make the folder $root/build/log"
  { : >"$log"; } 2>/dev/null || die "cannot write $log"
  local status=0
  if [[ -t 2 ]]; then
    "$@" </dev/null 2>&1 | tee "$log" |
      while IFS= read -r line; do printf '\r\033[K%.79s' "$line" >&2; done || status=$?
    printf '\r\033[K' >&2
  else
    "$@" </dev/null >"$log" 2>&1 || status=$?
  fi
  return "$status"
}

# The end of the log for the reader, then one line that says what failed.
die_with_log() {
  tail -n 10 "$log" | cut -c 1-200 >&2
  local cause
  cause=$(grep -m 1 -E '(error|^E|sudo): |undefined reference|CMake Error' "$log" || true)
  die "$1${cause:+ (${cause:0:200})}; the whole output is in $log"
}

# missing PACKAGE[:COMMAND...]...: the packages that are not there.
missing() {
  local entry command known present
  local -a part
  known=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${@%%:*}" 2>/dev/null || true)
  for entry in "$@"; do
    IFS=: read -ra part <<<"$entry"
    present=no
    if ((${#part[@]} == 1)); then
      [[ $'\n'$known$'\n' != *$'\n'"$entry installed"$'\n'* ]] || present=yes
    else
      for command in "${part[@]:1}"; do
        if command -v "$command" >/dev/null; then present=yes; fi
      done
    fi
    [[ $present == yes ]] || printf '%s ' "${part[0]}"
  done
}

# ensure PACKAGE[:COMMAND...]...: installs the packages that are missing, or ends with one line.
ensure() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this is not Debian: install the like of ${*%%:*}, then see CONTRIBUTING.md for the cmake commands"
  fi
  local -a lacking
  read -ra lacking <<<"$(missing "$@")"
  ((${#lacking[@]})) || return 0
  [[ $install == yes ]] || die "missing packages: ${lacking[*]}"
  local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300
    -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die "neither root nor sudo: as root, run apt-get install --no-install-recommends ${lacking[*]}"
    apt=(sudo "${apt[@]}")
  fi
  say "installing with apt-get: ${lacking[*]}"
  if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
    logged apt-update "${apt[@]}" update || die_with_log "apt-get update failed"
  fi
  if ! logged apt-install "${apt[@]}" install --no-install-recommends "${lacking[@]}"; then
    # The lists may be older than the packages on the mirror.
    logged apt-update "${apt[@]}" update || die_with_log "apt-get update failed"
    logged apt-install "${apt[@]}" install --no-install-recommends "${lacking[@]}" ||
      die_with_log "apt-get could not install ${lacking[*]}"
  fi
}

# build PRESET [ARGUMENT of cmake --build...]
build() {
  local preset=$1 folder=$root/build/$1
  local -a generator=()
  shift
  if [[ ! -e $folder/build.ninja && ! -e $folder/Makefile ]] ||
    [[ $root/CMakePresets.json -nt $folder/CMakeCache.txt ]]; then
    if [[ ! -e $folder/CMakeCache.txt && -z ${CMAKE_GENERATOR:-} ]] && command -v ninja >/dev/null; then
      generator=(-G Ninja)
    fi
    say "building in build/$preset; the first time takes some minutes"
    logged "configure-$preset" cmake -S "$root" --preset "$preset" "${generator[@]}" ||
      die_with_log "configuring the $preset preset failed"
  fi
  logged "build-$preset" cmake --build "$folder" --parallel "$jobs" "$@" ||
    die_with_log "building the $preset preset failed"
}

# build_benchmarks NAME...: programs of bench/, in the release tree.
build_benchmarks() {
  ensure "${build_packages[@]}" "${bench_packages[@]}"
  logged configure-release cmake -S "$root" --preset release -DXGRAD_BUILD_BENCH=ON ||
    die_with_log "configuring the release preset failed"
  build release --target "$@"
}

# results STATISTIC: from what Google Benchmark writes as JSON about repetitions, a line `name, seconds, GFLOP/s` for
# each workload, with tabs between.
results() {
  awk -F'": "?|"?,?$' -v statistic="$1" '
    { key = $1; sub(/^ *"/, "", key); value[key] = $2 }
    key == "run_name" { sub(/\/real_time$/, "", value[key]); value["GFLOP/s"] = "" }
    key == "seconds" && value["aggregate_name"] == statistic {
      printf "%s\t%s\t%s\n", value["run_name"], value["seconds"], value["GFLOP/s"]
    }'
}
