#!/usr/bin/env bash
# Everything that `make bench` measures; each program prints its figures with a probe of the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "machine: $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
echo "commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date +%F)"
for program in build/bin/*_bench; do
  [[ -x $program ]] || continue
  echo "== $(basename "$program")"
  "$program"
done
for script in collectives plugin optimizer data; do
  echo "== $script"
  "bench/$script.py"
done
echo "== training"
bench/training.py "$@"
