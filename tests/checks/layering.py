#!/usr/bin/env python3
"""Compares every include with the shoal_module rows of CMakeLists.txt. Usage: layering.py [ROOT]

A module includes only itself and the modules its row names, never another's detail/ folder. A
NO_TORCH module includes no LibTorch header. Quoted includes start at the root. The environment is
read only in launch and cli.
"""
import re
import sys

import sources

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
TORCH = ("torch/", "ATen/", "c10/", "caffe2/")
READS_ENVIRONMENT = ("launch", "cli")
ROOTS = ("shoal/", "tests/", "bench/", "examples/")


def rows(cmake_text):
    """Rows by module: (whether it is NO_TORCH, the modules it may include)."""
    table = {}
    for words in re.findall(r"^shoal_module\(([^)]*)\)", cmake_text, re.MULTILINE):
        name, *rest = words.split()
        used = rest[rest.index("USES") + 1 :] if "USES" in rest else []
        table[name] = ("NO_TORCH" in rest, used)
    return table


def faults_of_table(table):
    seen = []
    for name, (no_torch, used) in table.items():
        for other in used:
            if other not in seen:
                yield f"CMakeLists.txt: {name} uses {other}, which has no row above it"
            elif no_torch and not table[other][0]:
                yield f"CMakeLists.txt: {name} is NO_TORCH but uses {other}, which is not"
        seen.append(name)


def faults_of_include(where, module, bracket, target, table):
    no_torch, used = table[module]
    if target.startswith(TORCH) and no_torch:
        yield f"{where}: {module} is NO_TORCH but includes {target}"
    if bracket == "<":
        return
    if not target.startswith(ROOTS):
        yield f'{where}: "{target}" does not start at the root'
    if not target.startswith("shoal/"):
        if not where.partition(":")[0].endswith("_test.cc") and not target.startswith(TORCH):
            yield f"{where}: only a test may include {target}"
        return
    other, _, rest = target.removeprefix("shoal/").partition("/")
    if other != module and other not in used:
        yield f"{where}: {module} includes {target}, but its row does not name {other}"
    elif other != module and rest.startswith("detail/"):
        yield f"{where}: {target} belongs to {other} alone"


def faults_of_file(root, path, table):
    name = path.relative_to(root).as_posix()
    parts = name.split("/")
    if parts[0] != "shoal" or len(parts) < 3:
        return
    module = parts[1]
    if module not in table:
        yield f"{name}: {module} has no row in CMakeLists.txt"
        return
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        where = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
        yield from faults_of_include(where, module, match[1], match[2], table)
    if not name.endswith("_test.cc") and module not in READS_ENVIRONMENT:
        if re.search(r"\bgetenv\b", sources.bare(text)):
            yield f"{name}: reads the environment, which only {' and '.join(READS_ENVIRONMENT)} may"


def main():
    root = sources.root_of(sys.argv)
    table = rows((root / "CMakeLists.txt").read_text())
    faults = list(faults_of_table(table))
    if not table:
        faults.append("CMakeLists.txt has no shoal_module rows")
    for path in sources.code_files(root, ".h", ".cc"):
        faults += faults_of_file(root, path, table)
    return sources.report("layering", faults)


if __name__ == "__main__":
    sys.exit(main())
