#!/usr/bin/env bash
# clang-tidy over all sources. Usage: tools/tidy.sh TORCH_PREFIX JOBS [TARGET PATTERN]
# Without precompiled headers, for clang cannot read GCC's. Several sources are one unit, as in the
# build, for most of a unit's time goes into the headers; clang's analyzer looks into sources that
# another file includes only where that file is called UnifiedSource.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release -B build-tidy -DCMAKE_PREFIX_PATH="$1" \
  -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >/dev/null
python3 - build-tidy/compile_commands.json <<'PYTHON'
import json, pathlib, sys

path = pathlib.Path(sys.argv[1])
units = json.loads(path.read_text())
for unit in units:
    merged = pathlib.Path(unit["file"])
    if merged.name.startswith("unity_"):
        unified = merged.with_name("UnifiedSource_" + merged.name)
        unified.write_text(merged.read_text())
        unit["command"] = unit["command"].replace(unit["file"], str(unified))
        unit["file"] = str(unified)
path.write_text(json.dumps(units, indent=1))
PYTHON
run-clang-tidy-19 -quiet -p build-tidy -j "$2" \
  -extra-arg=-Wno-unknown-warning-option -extra-arg=-Wno-ignored-optimization-argument \
  "/build-tidy/.*${3:-}.*/UnifiedSource"
