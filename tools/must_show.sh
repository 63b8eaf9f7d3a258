#!/usr/bin/env bash
# Runs every executable of tests/must_show/ in order of name and prints one line for each.
# A script passes with 0, and skips with 77 and the reason in its last line. The output of those
# that fail follows their line; all of it stays in build/must_show/. A script is stopped after 900 s,
# or after what its line "# limit: N s" says.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=build/must_show
mkdir -p "$logs"
passed=0 failed=0 skipped=0

for script in tests/must_show/*; do
  [[ -f $script && -x $script ]] || continue
  name=$(basename "$script")
  log=$logs/$name.log
  started=$SECONDS
  limit=$(sed -n 's/^# limit: \([0-9]*\) s$/\1/p' "$script")
  timeout --kill-after=10 "${limit:-900}" "$script" >"$log" 2>&1 </dev/null
  code=$?
  took=$((SECONDS - started))
  case $code in
    0) passed=$((passed + 1)); echo "pass  $name (${took} s)" ;;
    77) skipped=$((skipped + 1)); echo "skip  $name: $(tail -n 1 "$log")" ;;
    *)
      failed=$((failed + 1))
      echo "FAIL  $name (exit code $code, ${took} s), last lines of $log:"
      tail -n 40 "$log" | sed 's/^/      /'
      ;;
  esac
done

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
