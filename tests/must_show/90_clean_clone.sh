#!/usr/bin/env bash
# `make demo` and `make test` in a clean clone: the first trains to 87.5 % within 90 s.
# limit: 3600 s
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
if [[ -n ${SHOAL_IN_CLEAN_CLONE:-} ]]; then
  echo "this is the clean clone itself"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export SHOAL_IN_CLEAN_CLONE=1

fail() {
  echo "FAIL: $1"
  exit 1
}

git clone --quiet "$repository" "$folder/shoal"
cd "$folder/shoal"
# Seconds since the beginning stand before each line.
make demo 2>&1 | while IFS= read -r line; do echo "$SECONDS $line"; done | tee "$folder/demo.log"
accuracy=$(grep -oE 'test: accuracy [0-9.]+' "$folder/demo.log" | head -n 1 | grep -oE '[0-9.]+$') ||
  fail "the demo prints no test accuracy"
awk -v a="$accuracy" 'BEGIN { exit !(a >= 87.5) }' ||
  fail "the demo's test accuracy is $accuracy % instead of 87.5 %"
# From the start of two workers to the start of one: starting and evaluation are in it.
begun=$(sed -n 's/^\([0-9]*\) == two workers.*/\1/p' "$folder/demo.log")
ended=$(sed -n 's/^\([0-9]*\) == one worker.*/\1/p' "$folder/demo.log")
[[ -n $begun && -n $ended ]] || fail "the demo does not say when it trains"
trained=$((ended - begun))
awk -v t="$trained" 'BEGIN { exit !(t <= 90) }' ||
  fail "the demo trains for $trained s instead of at most 90 s"
echo "ok: the demo reaches $accuracy % in $trained s"
make test || fail "make test ends with $?"
[[ -z $(git status --porcelain) ]] || fail "files that git does not ignore: $(git status --porcelain)"
echo "ok: make test passes in a clean clone"
