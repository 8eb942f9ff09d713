#!/usr/bin/env bash
# Fuzzes every parser of foreign bytes, and the scheduler, for MINUTES in all, with
# as much for each target, or each for SECONDS; two at a time, or as many as
# DDGAN_FUZZ_JOBS says. Builds them first (preset fuzz, clang-14). What a campaign
# learns stays in build/fuzz/corpus and is where the next one begins; inputs that
# break a target stay in build/fuzz/found. Ends with a table, and with 1 if
# anything was found.
#
# usage: tests/fuzz/run.sh MINUTES [TARGET...]
#        tests/fuzz/run.sh --each=SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/../.."
usage="usage: tests/fuzz/run.sh MINUTES|--each=SECONDS [TARGET...]"
budget=${1:?$usage}
shift
build=build/fuzz
jobs=${DDGAN_FUZZ_JOBS:-2}

cmake --preset fuzz >/dev/null
ninja -C "$build" -j"$jobs" "${@:-fuzz_targets}"
mkdir -p "$build/found" "$build/log"

mapfile -t targets < <(while read -r program seeds; do
  name=$(basename "$program")
  if [ $# = 0 ] || [[ " $* " = *" $name "* ]]; then echo "$name $program $seeds"; fi
done <"$build/fuzz_targets.txt")
if [ "${#targets[@]}" = 0 ]; then
  echo "tests/fuzz/run.sh: none of '$*' is a fuzz target; $build/fuzz_targets.txt lists them" >&2
  exit 2
fi
case $budget in
  --each=*) seconds=${budget#*=} ;;
  *) seconds=$(awk "BEGIN { s = int($budget * 60 * $jobs / ${#targets[@]}); print s < 1 ? 1 : s }") ;;
esac

# shellcheck disable=SC2329  # xargs below calls it.
fuzz() {
  local name=$1 program=$2 seeds=$3
  mkdir -p "$build/corpus/$name"
  # 2 GiB: libarchive may ask for a window of 1 GiB.
  "$program" -max_total_time="$seconds" -max_len=65536 -timeout=25 -rss_limit_mb=2560 \
    -print_final_stats=1 -artifact_prefix="$build/found/$name-" \
    "$build/corpus/$name" "$seeds" >"$build/log/$name" 2>&1 || true
}
export -f fuzz
export UBSAN_OPTIONS=print_stacktrace=1
export build seconds
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -L 1 bash -c 'fuzz "$@"' fuzz

printf '%-24s %12s %10s  %s\n' target runs corpus found
status=0
for target in "${targets[@]}"; do
  name=${target%% *}
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/log/$name")
  found=$(find "$build/found" -name "$name-*" | wc -l)
  # A target that ended without its figures has failed, whatever it left.
  if [ "$found" != 0 ] || [ -z "$runs" ]; then status=1; fi
  printf '%-24s %12s %10s  %s\n' "$name" "${runs:-none}" \
    "$(find "$build/corpus/$name" -type f | wc -l)" "$found"
done
exit $status
