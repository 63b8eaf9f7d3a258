#!/usr/bin/env bash
# Builds shoal with another release of LibTorch and runs the tests that use it.
# Usage: second_torch.sh RELEASE JOBS
# Its wheel goes into .venv-torch-RELEASE: from TORCH_INDEX_URL, an index of CPU builds, where that is given, else
# PyPI's, which is a CUDA build: of that the CPU's half is used (torch_of_cpu.cmake). SECOND_TORCH_PREFIX names an
# installed LibTorch instead, and nothing is loaded.
set -euo pipefail
cd "$(dirname "$0")/.."
release=$1 jobs=$2
venv=.venv-torch-$release

install_release() {
  local pip=("$venv/bin/pip" install -q --disable-pip-version-check) requirements
  [[ -x $venv/bin/pip ]] || python3 -m venv "$venv"
  echo "installing PyTorch $release in $venv"
  if [[ -n ${TORCH_INDEX_URL:-} ]]; then
    "${pip[@]}" --index-url "$TORCH_INDEX_URL" "torch==$release"
    return
  fi
  "${pip[@]}" --no-deps "torch==$release"
  requirements=$(sed -n 's/^Requires-Dist: \(nvidia-cuda-\(runtime\|cupti\)[^;]*\);.*/\1/p' \
                 "$venv"/lib/python3*/site-packages/torch-"$release"*.dist-info/METADATA)
  [[ -z $requirements ]] || "${pip[@]}" --no-deps $requirements
}

prefix=${SECOND_TORCH_PREFIX:-}
if [[ -z $prefix ]]; then
  compgen -G "$venv/lib/python3*/site-packages/torch/share/cmake/Torch/TorchConfig.cmake" >/dev/null ||
    install_release
  prefix=$(compgen -G "$PWD/$venv/lib/python3*/site-packages/torch")
fi
found=()
if [[ -z ${SECOND_TORCH_PREFIX:-} && -e $prefix/lib/libtorch_cuda.so ]]; then
  echo "PyTorch $release from there is a CUDA build: taking its CPU half"
  mkdir -p "$prefix/share/cmake/TorchOfCpu"
  cp tools/torch_of_cpu.cmake "$prefix/share/cmake/TorchOfCpu/TorchConfig.cmake"
  found=(-DTorch_DIR="$prefix/share/cmake/TorchOfCpu" -DSHOAL_TORCH_PYTHON=)
fi

echo "configuring build-second with $prefix"
cmake -S . -B build-second -G Ninja -DCMAKE_BUILD_TYPE=Release -DSHOAL_WERROR=ON -DCMAKE_PREFIX_PATH="$prefix" "${found[@]}" \
  -DPYARROW_PREFIX="$(compgen -G "$PWD/.venv/lib/python3*/site-packages/pyarrow" || true)" \
  >build-second.log 2>&1 || { cat build-second.log; exit 1; }
echo "building all ($jobs at once)"
cmake --build build-second -j "$jobs"
build-second/bin/shoal --version
# Modules without LibTorch, and checks of the sources, are the same with any release.
ctest --test-dir build-second --output-on-failure -j2 --no-tests=error \
  -R '^(shoal_(tensor|model|optim|execute|checkpoint|train|cli|whole)_test|example)\.|^tests/(command|data)/'
