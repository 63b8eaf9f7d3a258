"""What the checks share: which files are the project's, and C++ text without comments and strings."""
import pathlib
import re

CODE_FOLDERS = ("shoal", "tests", "bench", "examples")


def code_files(root, *suffixes):
    """The project's files with one of these suffixes, sorted."""
    return sorted(
        path
        for folder in CODE_FOLDERS
        for path in (root / folder).rglob("*")
        if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts
    )


_SKIPPED = re.compile(
    r'R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"
    r"|//[^\n]*"
    r"|/\*.*?\*/",
    re.DOTALL,
)


def bare(text):
    """C++ text whose comments, strings and preprocessor lines are blanked; lines stay lines."""
    blank = lambda match: "".join("\n" if c == "\n" else " " for c in match.group(0))
    text = _SKIPPED.sub(blank, text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.MULTILINE)


def report(check, faults):
    """Prints the faults and gives the exit code."""
    for fault in faults:
        print(f"{check}: {fault}")
    print(f"{check}: {len(faults)} faults" if faults else f"{check}: good")
    return 1 if faults else 0


def root_of(arguments):
    """The project's folder: the first argument, or the one that holds this file."""
    if len(arguments) > 1:
        return pathlib.Path(arguments[1]).resolve()
    return pathlib.Path(__file__).resolve().parents[2]
