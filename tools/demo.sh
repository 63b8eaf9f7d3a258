#!/usr/bin/env bash
# Trains the demonstration job with two workers, then shortly with one beside it.
# Usage: tools/demo.sh SHOAL
set -euo pipefail
cd "$(dirname "$0")/.."
shoal=${1:-build/bin/shoal}
job=examples/fashion_mnist.toml

echo "== two workers"
"$shoal" train "$job" -n 2
echo
echo "== one worker, 100 steps"
"$shoal" train "$job" -n 1 --set train.steps=100
