# Two commands need to be known: `make demo` and `make test`. `make help` lists the rest.
#
# TORCH_PREFIX=/path   an installed LibTorch 2.x in place of the pinned wheel
# TORCH_INDEX_URL=URL  where pip finds the CPU build of PyTorch
# WERROR=ON            warnings are errors, as in .ci/run
# SECOND_TORCH=X.Y.Z   the release that `make second-torch` builds with
# JOBS=N               compilers at once; by default one a core, with 2 GiB of memory each
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TORCH_PREFIX ?=
export TORCH_PREFIX
TORCH = $(or $(TORCH_PREFIX),$(lastword $(wildcard $(CURDIR)/.venv/lib/python3*/site-packages/torch)))
WERROR ?=
JOBS ?= $(shell cores=$$(nproc); rooms=$$(($$(awk '/MemAvailable/ {print $$2}' /proc/meminfo) / 2097152)); \
	echo $$((rooms < 1 ? 1 : rooms < cores ? rooms : cores)))
CTEST = ctest --output-on-failure -j2 --no-tests=error

SECOND_TORCH ?= 2.12.1

.PHONY: help setup setup-tests demo build all test test-pytorch bench asan tsan format tidy mutants \
        must-show fuzz docs second-torch clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: build ## set up, build, and train a real network on real data
	@tools/demo.sh build/bin/shoal

build: setup ## the command build/bin/shoal, and the Python package in build/python
	@$(call configure,release)
	@$(call compile,release,shoal_product)

test: setup-tests ## set up, build and run every test
	@$(call configure,release)
	@$(call compile,release,all)
	@cd build && $(CTEST)

bench: build ## measure, beside PyTorch, and print ratios
	@$(call compile,release,bench)
	@bench/run.sh

asan: setup-tests ## every test under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(call configure,asan)
	@$(call compile,asan,all)
	@cd build-asan && $(CTEST)

tsan: setup-tests ## the tests of the modules without LibTorch under ThreadSanitizer
	@$(call configure,tsan)
	@$(call compile,tsan,all)
	@cd build-tsan && $(CTEST)

fuzz: setup-tests ## damaged files for every reader, a minute each, under AddressSanitizer
	@echo "configuring build-fuzz (asan, without LibTorch)"
	@cmake --preset asan -B build-fuzz -DSHOAL_TORCH_FREE=ON -DPYARROW_PREFIX="$(TORCH)/../pyarrow" > build-fuzz.log 2>&1 || { cat build-fuzz.log; exit 1; }
	@for source in tests/fuzz/*.cc; do \
	  name=$$(basename $$source .cc); [[ $$name == driver ]] && continue; \
	  [[ $$name == table && ! -d "$(TORCH)/../pyarrow" ]] && echo "fuzz_table: skipped, for there is no pyarrow beside LibTorch" && continue; \
	  cmake --build build-fuzz -j $(JOBS) --target fuzz_$$name > build-fuzz.log || { cat build-fuzz.log; exit 1; }; \
	  echo "fuzz_$$name:"; build-fuzz/bin/fuzz_$$name --seconds 60 --seed $$RANDOM; \
	done

must-show: setup-tests ## what the product promises, one script a promise
	@$(call configure,release)
	@$(call compile,release,all)
	@tools/must_show.sh

test-pytorch: build ## PyTorch's own DistributedTest on shoal's communication (8 minutes)
	@.venv/bin/pip install -q --disable-pip-version-check expecttest==0.3.0
	@PYTHONPATH=build/python .venv/bin/python tests/pytorch/run.py

mutants: setup-tests ## break the product on purpose and see that the tests notice
	@.venv/bin/python tests/mutants/run.py

format: ## write all C++ in the project's style
	@git ls-files --cached --others --exclude-standard '*.cc' '*.h' '*.cpp' | xargs clang-format -i

tidy: ## clang-tidy, names included (slow: parses LibTorch for each file)
	@tools/setup.sh --tidy
	@tools/tidy.sh "$(TORCH)" $(JOBS)

docs: ## the reference of the C++ library, build/docs/html/index.html
	@tools/setup.sh --docs
	@mkdir -p build && doxygen docs/Doxyfile
	@echo "build/docs/html/index.html"

second-torch: setup-tests ## the tests that use LibTorch with another release of it, SECOND_TORCH
	@tools/second_torch.sh "$(SECOND_TORCH)" $(JOBS)

setup:
	@tools/setup.sh

setup-tests:
	@tools/setup.sh --tests

clean: ## remove what was built
	rm -rf build build-debug build-asan build-tsan build-tidy build-fuzz build-second

# A line of each says what goes on; the compiler's own lines come only when something is wrong.
configure = echo "configuring build ($(1))"; \
	cmake --preset $(1) -DTORCH_PREFIX="$(TORCH_PREFIX)" -DCMAKE_PREFIX_PATH="$(TORCH)" \
	  $(if $(WERROR),-DSHOAL_WERROR=$(WERROR)) > build-$(1).log 2>&1 \
	|| { cat build-$(1).log; exit 1; }
compile = echo "building $(2) ($(1), $(JOBS) at once)"; cmake --build --preset $(1) -j $(JOBS) --target $(2)
