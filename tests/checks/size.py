#!/usr/bin/env python3
"""Files of at most 500 lines, functions of at most 60, in C++ and Python. Usage: size.py [ROOT]"""
import ast
import re
import sys

import sources

FILE_LINES = 500
FUNCTION_LINES = 60
# What opens a scope in which functions may be defined.
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")


def functions_of_cpp(text):
    """(name, first line, lines) of each function with a body. Lambdas count with their function."""
    text = sources.bare(text)
    line, head, head_line = 1, "", None
    inside = []  # one entry a brace: "scope", ("function", name, line), or "block"
    for c in text:
        if c == "\n":
            line += 1
        if c == "{":
            in_function = any(kind != "scope" for kind in inside)
            if in_function:
                inside.append("block")
            elif SCOPE.search(re.sub(r"\([^()]*\)|<[^<>]*>", "", head)) or not head.strip():
                inside.append("scope")
            elif ")" in head and not re.search(r"(?<![=!<>+\-*/&|^%])=(?!=)\s*$", head):
                named = re.search(r"([~\w:]+)\s*\(", head)
                inside.append(("function", named[1] if named else "?", head_line or line))
            else:
                inside.append("block")
            head, head_line = "", None
        elif c == "}":
            kind = inside.pop() if inside else "scope"
            if isinstance(kind, tuple):
                yield kind[1], kind[2], line - kind[2] + 1
            head, head_line = "", None
        elif c == ";":
            head, head_line = "", None
        else:
            if head_line is None and not c.isspace():
                head_line = line
            head += c


def functions_of_python(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def main():
    root = sources.root_of(sys.argv)
    faults = []
    for path in sources.code_files(root, ".h", ".cc", ".cpp", ".py"):
        name = path.relative_to(root).as_posix()
        text = path.read_text()
        lines = text.count("\n")
        if lines > FILE_LINES:
            faults.append(f"{name}: {lines} lines; split it by idea, {FILE_LINES} are the limit")
        functions = functions_of_python if path.suffix == ".py" else functions_of_cpp
        for function, first, length in functions(text):
            if length > FUNCTION_LINES:
                faults.append(f"{name}:{first}: {function} has {length} lines; "
                              f"{FUNCTION_LINES} are the limit")
    return sources.report("size", faults)


if __name__ == "__main__":
    sys.exit(main())
