#!/usr/bin/env python3
"""Every *_test.cc on disk is compiled, and every TEST in it is one that ctest runs.

Usage: tests_run.py ROOT BUILD CTEST
Modules that this build leaves out (the torch modules of a torch-free build) are left out here too.
"""
import json
import pathlib
import re
import subprocess
import sys

import layering
import sources

TEST = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\(\s*(\w+),\s*(\w+)",
                  re.MULTILINE)


INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)


def compiled_files(build):
    """What the compiler is given, and what the files that CMake makes of several ones include."""
    commands = json.loads((build / "compile_commands.json").read_text())
    files = {pathlib.Path(command["directory"], command["file"]).resolve() for command in commands}
    for several in [file for file in files if file.parent.name == "Unity"]:
        files |= {pathlib.Path(name).resolve() for name in INCLUDE.findall(several.read_text())}
    return files


def ctest_names(build, ctest):
    listing = subprocess.run([ctest, "--show-only=json-v1"], cwd=build, check=True,
                             capture_output=True, text=True, timeout=300).stdout
    return {test["name"] for test in json.loads(listing)["tests"]}


def faults_of_file(name, program, text, names):
    """A file is one entry of ctest, or each of its tests is."""
    if f"{program}.{name}" in names:
        return
    for suite, test in TEST.findall(text):
        if suite.startswith("DISABLED_") or test.startswith("DISABLED_"):
            yield f"{name}: {suite}.{test} is switched off"
            continue
        entry = re.compile(rf"{program}\.(\w+/)?{suite}(/\w+)?\.{test}(/.+)?( .*)?")
        if not any(entry.fullmatch(known) for known in names):
            yield f"{name}: {suite}.{test} is not run by ctest"


def main():
    root, build, ctest = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    table = layering.rows((root / "CMakeLists.txt").read_text())
    torch_free = "SHOAL_TORCH_FREE:BOOL=ON" in (build / "CMakeCache.txt").read_text()
    compiled, names = compiled_files(build), ctest_names(build, ctest)
    faults = []
    for path in sources.code_files(root, ".cc"):
        name = path.relative_to(root).as_posix()
        if not name.endswith("_test.cc"):
            continue
        module = name.split("/")[1] if name.startswith("shoal/") else None
        if torch_free and (module is None or not table.get(module, (False,))[0]):
            continue
        text = path.read_text()
        if not TEST.search(text):
            faults.append(f"{name}: has no test")
        elif path.resolve() not in compiled:
            faults.append(f"{name}: is not compiled")
        else:
            program = f"shoal_{module}_test" if module else "shoal_whole_test"
            faults += faults_of_file(name, program, text, names)
    return sources.report("tests_run", faults)


if __name__ == "__main__":
    sys.exit(main())
