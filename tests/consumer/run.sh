#!/usr/bin/env bash
# Installs shoal into a new folder, builds the consumer against it, runs its program, and trains its
# plugin with the installed command.
# Usage: run.sh BUILD PREFIX_PATH
set -euo pipefail
build=$1 prefix_path=$2
source_dir=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cmake --install "$build" --prefix "$folder/installed" >/dev/null
"$folder/installed/bin/shoal" --help >/dev/null
launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake -S "$source_dir" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release "${launcher[@]}" \
  -DCMAKE_PREFIX_PATH="$folder/installed;$prefix_path"
cmake --build "$folder/build"
cd "$folder" && OMP_NUM_THREADS=1 build/consumer
installed/bin/shoal train "$source_dir/ring.toml" -n 2 | tee train.log
awk '/^test: accuracy/ { found = $3 } END { exit !(found > 85) }' train.log
