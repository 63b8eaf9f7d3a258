#!/usr/bin/env bash
# Installs what is missing to build shoal: Debian packages, and a private .venv with PyTorch.
# Does nothing, quickly, when nothing is missing. `--tests` adds what some tests need, `--docs` and
# `--tidy` what `make docs` and `make tidy` need.
# TORCH_PREFIX: an installed LibTorch 2.x, used in place of the wheel.
# TORCH_INDEX_URL: the package index that has the CPU build of PyTorch.
set -euo pipefail
cd "$(dirname "$0")/.."

torch_version=2.13.0
python_pins=(safetensors==0.8.0 numpy==2.4.6 pyarrow==26.0.1)
needed=(g++ cmake ninja-build ccache pkg-config libfmt-dev nlohmann-json3-dev libtomlplusplus-dev
        libcli11-dev libssl-dev zlib1g-dev libjpeg62-turbo-dev libpng-dev libhwy-dev libgtest-dev libgmock-dev python3-dev
        dataset-fashion-mnist)
for_tests=(openmpi-bin libopenmpi-dev mpich libmpich-dev openssh-server iproute2 clang-format python3-sklearn)
for_docs=(doxygen)
for_tidy=(clang-tidy-19)  # clang 14, Debian's default, has no std::source_location

# Prints those of its arguments that are not installed.
missing() {
  local installed
  installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${binary:Package}\n' 2>/dev/null |
                sed -n 's/^ii *\([^:]*\).*/\1/p' | tr '\n' ' ')"
  for package in "$@"; do
    [[ $installed == *" $package "* ]] || printf '%s ' "$package"
  done
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  else
    sudo "$@"
  fi
}

may_install() { [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null; }

install_packages() {
  echo "setup: installing Debian packages: $*"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

set_up_packages() {
  local absent=() wished=()
  command -v dpkg-query >/dev/null || {
    echo "setup: this is not a Debian system; install what these packages hold: ${needed[*]}" >&2
    exit 1
  }
  if [[ ! -x .venv/bin/pip ]] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    needed+=(python3-venv)
  fi
  case $1 in
    --tests) read -ra wished <<<"$(missing "${for_tests[@]}")" ;;
    --docs) needed+=("${for_docs[@]}") ;;
    --tidy) needed+=("${for_tidy[@]}") ;;
  esac
  read -ra absent <<<"$(missing "${needed[@]}")"
  if ((${#absent[@]} + ${#wished[@]} == 0)); then
    return
  elif may_install; then
    install_packages "${absent[@]}" "${wished[@]}"
  elif ((${#absent[@]})); then
    echo "setup: packages are missing, and installing them takes an administrator. Run once:" >&2
    echo "  sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends" \
         "${absent[*]} ${wished[*]}'" >&2
    exit 1
  else
    echo "setup: tests that need one of these packages will be skipped: ${wished[*]}"
  fi
}

# The plain wheel for x86-64 is a CUDA build that brings gigabytes, so the CPU build is asked for
# by its name: from the configured index, else from PyTorch's own.
install_torch() {
  local pip=(.venv/bin/pip install -q --disable-pip-version-check)
  echo "setup: installing PyTorch $torch_version (CPU, about 200 MB to load) in .venv"
  if [[ -n ${TORCH_INDEX_URL:-} ]]; then
    "${pip[@]}" --index-url "$TORCH_INDEX_URL" "torch==$torch_version"
  elif [[ $(uname -m) != x86_64 ]]; then
    "${pip[@]}" "torch==$torch_version"
  else
    "${pip[@]}" "torch==$torch_version+cpu" 2>/dev/null ||
      "${pip[@]}" --index-url https://download.pytorch.org/whl/cpu "torch==$torch_version" || {
      echo "setup: no CPU build of PyTorch $torch_version found; name an index that has one with" \
           "TORCH_INDEX_URL=..., or an installed LibTorch with TORCH_PREFIX=..." >&2
      exit 1
    }
  fi
}

set_up_python() {
  local wanted="${python_pins[*]}"
  [[ -n ${TORCH_PREFIX:-} ]] || wanted+=" torch==$torch_version"
  if [[ -f .venv/shoal-setup && $(<.venv/shoal-setup) == "$wanted"* ]]; then
    return
  fi
  if [[ ! -x .venv/bin/pip ]]; then
    echo "setup: making .venv"
    python3 -m venv .venv
  fi
  [[ -n ${TORCH_PREFIX:-} ]] || install_torch
  echo "setup: installing ${python_pins[*]} in .venv"
  .venv/bin/pip install -q --disable-pip-version-check "${python_pins[@]}"
  echo "$wanted" >.venv/shoal-setup
}

if [[ -n ${TORCH_PREFIX:-} && ! -f $TORCH_PREFIX/share/cmake/Torch/TorchConfig.cmake ]]; then
  echo "setup: TORCH_PREFIX=$TORCH_PREFIX holds no LibTorch: share/cmake/Torch/TorchConfig.cmake" \
       "is not there" >&2
  exit 1
fi
set_up_packages "${1:-}"
set_up_python
