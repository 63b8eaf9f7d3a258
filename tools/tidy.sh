#!/usr/bin/env bash
# clang-tidy over all sources. Usage: tools/tidy.sh TORCH_PREFIX JOBS [PATH PATTERN]
# Without precompiled headers, for clang cannot read GCC's, and file by file.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release -B build-tidy -DCMAKE_PREFIX_PATH="$1" \
  -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DCMAKE_UNITY_BUILD=OFF >/dev/null
run-clang-tidy-19 -quiet -p build-tidy -j "$2" \
  -extra-arg=-Wno-unknown-warning-option -extra-arg=-Wno-ignored-optimization-argument \
  "${3:-/(shoal|tests|bench|examples)/.*\.cc$}"
