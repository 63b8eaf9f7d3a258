#!/usr/bin/env bash
# Builds shoal with another release of LibTorch and runs the tests that use it.
# Usage: second_torch.sh RELEASE JOBS
# The release's CPU wheel goes into .venv-torch-RELEASE: from TORCH_INDEX_URL, else by its name from the configured
# index, else from PyTorch's own. SECOND_TORCH_PREFIX names an installed LibTorch instead, and nothing is loaded.
set -euo pipefail
cd "$(dirname "$0")/.."
release=$1 jobs=$2
venv=.venv-torch-$release

install_release() {
  local pip=("$venv/bin/pip" install -q --disable-pip-version-check)
  [[ -x $venv/bin/pip ]] || python3 -m venv "$venv"
  echo "installing PyTorch $release (CPU) in $venv"
  if [[ -n ${TORCH_INDEX_URL:-} ]]; then
    "${pip[@]}" --index-url "$TORCH_INDEX_URL" "torch==$release"
  else
    "${pip[@]}" "torch==$release+cpu" 2>/dev/null ||
      "${pip[@]}" --index-url https://download.pytorch.org/whl/cpu "torch==$release" || {
      echo "no CPU build of PyTorch $release found; name an index that has one with TORCH_INDEX_URL=..., or an" \
           "installed LibTorch with SECOND_TORCH_PREFIX=..." >&2
      exit 1
    }
  fi
}

prefix=${SECOND_TORCH_PREFIX:-}
if [[ -z $prefix ]]; then
  compgen -G "$venv/lib/python3*/site-packages/torch/share/cmake/Torch/TorchConfig.cmake" >/dev/null ||
    install_release
  prefix=$(compgen -G "$PWD/$venv/lib/python3*/site-packages/torch")
fi

echo "configuring build-second with $prefix"
cmake -S . -B build-second -G Ninja -DCMAKE_BUILD_TYPE=Release -DSHOAL_WERROR=ON -DCMAKE_PREFIX_PATH="$prefix" \
  -DPYARROW_PREFIX="$(compgen -G "$PWD/.venv/lib/python3*/site-packages/pyarrow" || true)" \
  >build-second.log 2>&1 || { cat build-second.log; exit 1; }
echo "building all ($jobs at once)"
cmake --build build-second -j "$jobs"
build-second/bin/shoal --version
# Modules without LibTorch, and checks of the sources, are the same with any release.
ctest --test-dir build-second --output-on-failure -j2 --no-tests=error \
  -R '^(shoal_(tensor|model|optim|execute|checkpoint|train|cli|whole)_test|example)\.|^tests/(command|data)/'
