#!/usr/bin/env python3
"""Every command that the README and the pages of docs/ show runs, and prints what they show.

A page's commands run in order in a folder of their own, each as written but for what REDUCED makes shorter. Of what a
page shows below a command each line must be printed, in that order ("..." stands for any lines): with its numbers
where EXACT says so, else with any numbers. `$ cat FILE` writes FILE as it is shown. ELSEWHERE lists the commands that
do not run here with the test that runs them. A command that is in none of these and fails here fails the test.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOAL = pathlib.Path(os.environ.get("SHOAL", ROOT / "build/bin/shoal")).resolve()
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")

# (pattern, what is added or put in place of it)
REDUCED = [
    (r"^shoal train examples/fashion_mnist\.toml", r"\g<0> --set train.steps=20"),
    (r"^shoal train JOB\.toml -n 3 --resume", "shoal train job.toml -n 3 --resume --set train.steps=61 "
     "--set checkpoint.path=runs/a --set train.evaluate=false"),
    (r"^shoal train JOB\.toml(.*)", r"shoal train job.toml\1 --set train.steps=4 --set train.evaluate=false"),
    (r"^shoal run -n 4 -- \./my_program", "shoal run -n 4 -- /bin/true"),
    (r"^shoal (doctor|options)$", r"shoal \1 && true"),
    (r"^shoal evaluate runs/lamb/step-\d+", "shoal evaluate $(ls -d runs/lamb/step-* | head -n 1)"),
    (r"^source (.*)", r"source \1 && complete -p shoal"),
    (r"^shoal train --trace FILE", "shoal train job.toml --set train.steps=2 --set train.evaluate=false "
     "--trace trace.json"),
]
# (pattern of the command, why it does not run here, the test that runs it)
ELSEWHERE = [
    (r"^make (demo|test)\b|make build", "a clean clone", "tests/must_show/90_clean_clone.sh"),
    (r"--nodes|--hosts|^torchrun|^mpirun", "launchers", "tests/must_show/05_launchers.py"),
    (r"^shoal train --programs", "needs lists that were written", "tests/must_show/06_plan_and_trace.py"),
    (r"^shoal comm tune", "minutes", "tests/must_show/31_tuned_choices.py"),
    (r"^shoal comm bench", "minutes", "tests/must_show/29_waiting_is_cheap.py"),
    (r"^shoal comm (test -n 3|engines)", "minutes", "tests/must_show/20_every_collective.py"),
    (r"^shoal train (npy|pics|csv|flats)\.toml|^shoal predict run/step-00000132 npy", "needs data files",
     "tests/data/inputs_test.py"),
    (r"^shoal train text\.toml", "needs a text", "shoal/train/text_training_test.cc"),
    (r"^shoal (train|predict) .*weather\.toml|^shoal train weather", "needs a table", "shoal/train/losses_test.cc"),
    (r"^shoal train fashion\.toml", "augmentation", "shoal/data/augmented_dataset_test.cc"),
    (r"--input holiday/", "needs pictures", "tests/data/inputs_test.py"),
    (r"^shoal init mlp --data csv", "needs a table", "tests/must_show/33_from_a_table_to_predictions.py"),
    (r"^shoal checkpoint export runs/a/", "needs that step's checkpoint", "tests/command/weights_test.py"),
    (r"execute\.device=cuda", "a GPU", "shoal/execute/device_test.cc"),
    (r"^shoal completion (zsh|fish)", "shells", "tests/command/completion_test.py"),
]
# Output that is the same on every machine.
EXACT = [r"^shoal (init|plan|predict|checkpoint export|comm plan)"]
# Pages whose commands need files or hours that are not shown.
LISTED = ["docs/data.md", "docs/checkpoints.md"]

WORDS = r"(?:shoal|make|torchrun|mpirun|source)"
STEP = re.compile(r"^    (?:\$ (?P<prompt>.+)|(?P<plain>" + WORDS + r" [^\n]+))$")
INLINE = re.compile(r"`(" + WORDS + r" [^`\n]*)`")


def commands_of(text):
    """(command, lines shown below it) in the order of the page; None below one within a sentence."""
    found, shown, fenced, below_prompt = [], None, False, False
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        fenced ^= line.startswith("```")
        if fenced:
            continue
        step = STEP.match(line)
        if step and (step["prompt"] or not below_prompt):
            below_prompt = bool(step["prompt"])
            # Two blanks and more begin an explanation, or a comment.
            command = step["prompt"] or re.split(r"\s{2,}", step["plain"])[0]
            shown = []
            found.append((re.split(r"\s+# ", command)[0].strip(), shown if step["prompt"] else []))
        elif shown is not None and line.startswith("    "):
            shown.append(line[4:])
        elif line.strip():
            shown, below_prompt = None, False
            found += [(command, None) for command in INLINE.findall(line)]
        elif shown is not None:
            shown.append("")
    return found


def plain(line, exact):
    line = re.sub(r"\s+", " ", line).strip()
    return line if exact else re.sub(r"[0-9a-f]{64}|[-+]?\d[\d.,]*(?:e[-+]?\d+)?", "#", line)


def is_complete(command, shown):
    """Whether it can run: no word in capitals stands for something, and it is more than a name in a sentence."""
    is_name = shown is None and re.fullmatch(r"shoal( [a-z]+)*", command)
    return not is_name and not re.search(r"\b(FILE|FOLDER|CHECKPOINT|NAME|JOB|K|A B)\b", command)


class Readme(unittest.TestCase):
    def run_page(self, page):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="shoal-readme-"))
        self.addCleanup(shutil.rmtree, folder)
        (folder / "examples").symlink_to(ROOT / "examples")
        (folder / "build").symlink_to(SHOAL.parents[1])
        for command, shown in commands_of((ROOT / page).read_text()):
            with self.subTest(page=page, command=command):
                self.run_command(folder, command, shown)

    def run_command(self, folder, command, shown):
        if command.startswith("cat "):
            (folder / command.split()[1]).write_text("\n".join(shown) + "\n")
            return
        for pattern, why, test in ELSEWHERE:
            if re.search(pattern, command):
                self.assertTrue((ROOT / test).exists(), f"{why}: {test} is not there")
                return
        reduced = command
        for pattern, replacement in REDUCED:
            reduced, count = re.subn(pattern, replacement, reduced, count=1)
            if count:
                break
        if reduced == command and not is_complete(command, shown):
            self.assert_known(command)
            return
        done = subprocess.run(["bash", "-c", reduced], cwd=folder, text=True, timeout=250, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "PATH": f"{SHOAL.parent}:{os.environ['PATH']}"})
        self.assertEqual(done.returncode, 0, f"{reduced}\n{done.stdout[-2000:]}")
        self.assert_printed(command, shown, done.stdout)

    def assert_printed(self, command, shown, printed):
        exact = any(re.search(pattern, command) for pattern in EXACT)
        lines = [plain(line, exact) for line in printed.splitlines()]
        at = 0
        for line in shown or ():
            expected = plain(line, exact)
            if expected in ("", "..."):
                continue
            if command.startswith("head -4 predictions.csv") and not expected.startswith("sample"):
                self.assertEqual(len(lines), 4)
                continue
            if re.search(r"^shoal (doctor|--version)", command):
                # What a machine has is another machine's own matter; the kinds of lines are not.
                expected = " ".join(expected.split()[:2 if command == "shoal doctor" else 1])
                if not re.match(r"(good|commit|LibTorch|compiler|processor|engines) ?", expected):
                    continue
                self.assertTrue(any(expected.split()[-1] in line for line in lines), expected)
                continue
            self.assertIn(expected, lines[at:], f"{command} prints this no longer:\n{printed[-3000:]}")
            at = lines.index(expected, at) + 1

    def assert_known(self, command):
        """Commands with a word that stands for something: they exist, with the options that are shown."""
        if not command.startswith("shoal "):
            return
        words = [word for word in command.split()[1:] if re.fullmatch(r"[a-z]+", word)][:2]
        for used in (words, words[:1]):
            told = subprocess.run([SHOAL, *used, "--help"], capture_output=True, text=True, check=False)
            if told.returncode == 0:
                break
        self.assertEqual(told.returncode, 0, f"{command}: {told.stderr}")
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", command):
            self.assertIn(option, told.stdout, command)

    def test_readme(self):
        self.run_page("README.md")

    def test_command(self):
        self.run_page("docs/command.md")

    def test_communication(self):
        self.run_page("docs/communication.md")

    def test_training(self):
        self.run_page("docs/training.md")

    def test_other_pages_are_covered_elsewhere(self):
        for page in LISTED:
            for command, shown in commands_of((ROOT / page).read_text()):
                covered = any(re.search(pattern, command) for pattern, _, _ in ELSEWHERE)
                with self.subTest(page=page, command=command):
                    self.assertTrue(covered or not is_complete(command, shown), "list it in ELSEWHERE")

    def test_finds_commands_and_what_is_shown_below_them(self):
        page = "Text with `shoal options`.\n\n    $ shoal a  # why\n    one\n    ...\n    $ shoal b\n\nEnd\n" \
               "\n    shoal c -n 2      two\n    $ shoal d\n    shoal is shown\n"
        self.assertEqual(commands_of(page), [
            ("shoal options", None), ("shoal a", ["one", "..."]), ("shoal b", [""]), ("shoal c -n 2", []),
            ("shoal d", ["shoal is shown"])])

    def test_notices_what_is_not_printed(self):
        with self.assertRaises(AssertionError):
            self.assert_printed("shoal train x", ["test: accuracy 3 %"], "test: precision 3 %\n")
        self.assert_printed("shoal train x", ["...", "test: accuracy 3 %"], "a\ntest: accuracy 89.1 %\n")
        with self.assertRaises(AssertionError):
            self.assert_printed("shoal plan x", ["5 slots"], "6 slots\n")


if __name__ == "__main__":
    if not FASHION.is_dir():
        print("skipped: the package dataset-fashion-mnist is missing")
        raise SystemExit(77)
    unittest.main()
