#!/usr/bin/env bash
# All C++ is as clang-format writes it. Exit code 77: skipped. Usage: format.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"
if ! command -v clang-format >/dev/null; then
  echo "format: skipped, clang-format is not installed"
  exit 77
fi
folders=()
for folder in shoal tests bench examples; do
  [[ -d $folder ]] && folders+=("$folder")
done
find "${folders[@]}" -name '*.cc' -o -name '*.cpp' -o -name '*.h' | sort |
  xargs --no-run-if-empty clang-format --dry-run -Werror ||
  { echo "format: write all files in style with: make format"; exit 1; }
echo "format: good"
