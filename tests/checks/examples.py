#!/usr/bin/env python3
"""The C++ that docs/cpp.md and README.md show is that of examples/, which the tests build and run.

A block of C++ whose first line is `// examples/NAME.cc` has to be the file of that name, from its
first comment on. With --write the blocks are filled in from the files.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"```cpp\n// (examples/\w+\.cc)\n(.*?)```", re.DOTALL)
PAGES = ("README.md", "docs/cpp.md")


def shown(name):
    return f"```cpp\n// {name}\n{(ROOT / name).read_text()}```"


def main():
    write = "--write" in sys.argv
    faults, seen = [], set()
    for page in PAGES:
        path = ROOT / page
        text = path.read_text()

        def check(match, page=page):
            name = match.group(1)
            seen.add(name)
            if not (ROOT / name).is_file():
                faults.append(f"{page}: there is no {name}")
                return match.group(0)
            if match.group(0) != shown(name) and not write:
                faults.append(f"{page}: the block of {name} is not the file: "
                              "run tests/checks/examples.py --write")
            return shown(name)

        filled = BLOCK.sub(check, text)
        if write and filled != text:
            path.write_text(filled)
        for block in re.findall(r"```cpp\n(?!// examples/)(.*)", text):
            faults.append(f"{page}: C++ that no example holds: {block[:60]}")
    for example in sorted((ROOT / "examples").glob("*.cc")):
        name = example.relative_to(ROOT).as_posix()
        if name not in seen:
            faults.append(f"{name} is shown on no page")
    print("\n".join(faults) or f"{len(seen)} examples are shown as they are")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
