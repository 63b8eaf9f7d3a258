#!/usr/bin/env python3
"""Models, layers and data of a plugin: as shoal's own to the bit, and refused with a sentence."""
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "must_show"))
from support import (SHOAL, TEMPORARY, check, check_same_weights, finished, job_file, settings, shoal,
                     step_folders, train)

PLUGINS = Path(SHOAL).parents[1] / "plugins"
TWINS = str(PLUGINS / "twins.so")
RANDOM = {"name": "random", "shape": [1, 8, 8], "size": 1000, "test_size": 50}
TWIN_DATA = {"name": "plugin", "plugin": TWINS, "dataset": "twin_random",
             "settings": {key: RANDOM[key] for key in ("shape", "size", "test_size")}}
LAYERS = [["flatten", {"linear": 24}, "tanh"], {"linear": 10}]


def job(name, model, data=None, **tables):
    return job_file(name, {
        "": {"seed": 11}, "model": model, "data": data or RANDOM,
        "train": {"steps": 20, "batch": 100, "momentum": 0.9, "lr": 0.05}} | tables)


def twin(name, width=24):
    return {"plugin": TWINS, "name": name, "settings": {"width": width}}


def same(one, other, what):
    check(one["loss"] == other["loss"] and one["eval"] == other["eval"],
          f"{what}: the same losses, in training and test")
    check_same_weights(one, other, what)


def refused(what, changes, *sentences, words=()):
    """A job that is refused before the first step, by one sentence."""
    table = {"model": twin("twin_chain"), "data": TWIN_DATA}
    table |= {key: value for key, value in changes.items() if value is not None}
    file = job("refused", table["model"], table["data"])
    said = shoal("train", file, *words, expect=2).stderr.strip()
    check(said.startswith("error: ") and "\n" not in said and all(s in said for s in sentences),
          f"{what}: {said}")


# --- equal to what they are twins of -------------------------------------------------------------

mlp = job("mlp", {"name": "mlp", "hidden": [24]})
twins = {name: job(name, twin(name)) for name in ("twin_layers", "twin_chain")}
of_zoo = {workers: train(mlp, workers) for workers in (1, 2, 3)}
for workers, name, mode in ((1, "twin_layers", "processes"), (2, "twin_layers", "threads"),
                            (2, "twin_chain", "processes"), (3, "twin_chain", "threads")):
    same(of_zoo[workers], train(twins[name], workers, mode=mode),
         f"{name} of a plugin and mlp, {workers} workers as {mode}")
pipe = {"parallel.mesh": {"pipe": 2}, "pipeline.microbatches": 4}
same(train(mlp, 2, changes=pipe), train(twins["twin_chain"], 2, changes=pipe), "in two stages")
own = [["flatten", {"linear": 24}, "own_tanh"], {"linear": 10}]
same(train(job("tanh", {"layers": LAYERS}), 2),
     train(job("own_tanh", {"plugin": TWINS, "layers": own}), 2), "a layer of a plugin and tanh")

random = job("random", {"layers": LAYERS})
twin_data = job("twin_data", {"layers": LAYERS}, TWIN_DATA)
for changes in ({}, {"data.validation": 0.1}):
    same(train(random, 2, changes=changes), train(twin_data, 2, changes=changes),
         f"data of a plugin and random {changes or ''}".strip())

# --- every command -------------------------------------------------------------------------------

both = job("both", twin("twin_chain"), TWIN_DATA, checkpoint={"path": str(TEMPORARY / "run")})
whole = train(both, 2)
newest = step_folders(TEMPORARY / "run")[-1]
said = shoal("evaluate", newest, both, "-n", 2).stdout
check(f"{whole['eval']['loss']:.4f}" in said, f"evaluate: {said.strip()}")
predicted = [shoal("predict", newest, both, "-n", workers).stdout for workers in (1, 3)]
check(predicted[0] == predicted[1] and len(predicted[0].splitlines()) == 51, "predict")
check("twin_chain: 2 blocks" in shoal("plan", both, "-n", 2, "--no-costs").stdout, "plan")
doctor = shoal("doctor", "--plugin", TWINS, expect=None).stdout
check("models does_not_fit, doubled, " in doctor and "layer own_tanh" in doctor and "LibTorch" in doctor,
      "doctor names what a plugin gives, and what it was built against")

# --- going on ------------------------------------------------------------------------------------

shutil.copy(TWINS, TEMPORARY / "moved.so")
moved = {"model.plugin": "moved.so", "data.plugin": str(TEMPORARY / "moved.so")}
half = {"checkpoint.path": str(TEMPORARY / "halves"), "train.steps": 10}
train(both, 2, changes=half)
check_same_weights(whole,
                   train(both, 2, "--resume", changes=half | moved | {"train.steps": 20}),
                   "resumed with the library in another place")
for key, value, sentence in (
        ("model.settings", {"width": 25}, '{"width":24} in the checkpoint and {"width":25}'),
        ("model.name", "twin_layers", '"twin_chain" in the checkpoint and "twin_layers"'),
        ("data.settings", TWIN_DATA["settings"] | {"size": 900}, "[data] settings is ")):
    changed = half | {key: value, "train.steps": 20}
    said = shoal("train", both, "-n", 2, "--resume", *settings(changed), expect=2).stderr
    check(sentence in said, f"a resumed run keeps its {key}: {said.strip()[:140]}...")

# --- refusals ------------------------------------------------------------------------------------

model, data = "model", "data"
refused("a model that it does not have", {model: twin("twin_chian")},
        "unknown model 'twin_chian': did you mean 'twin_chain'?")
refused("no file", {model: twin("twin_chain") | {"plugin": "none.so"}},
        "model.plugin: cannot read none.so: there is no such file")
refused("a name of the zoo", {model: {"plugin": str(PLUGINS / "name_of_the_zoo.so"), "name": "mlp"}},
        "registers the model 'mlp', which is one of shoal's own")
refused("another LibTorch", {model: twin("twin_chain") | {"plugin": str(PLUGINS / "good.so")}},
        "it was built against LibTorch of no version, and this shoal has LibTorch 2.")
refused("no effect", {model: {"plugin": TWINS, "name": "mlp"}}, "has no effect")
refused("settings for nobody", {model: {"name": "mlp", "settings": {"width": 3}}},
        "only a model of a plugin is told them")
refused("settings that are no table", {model: twin("twin_chain") | {"settings": 3}},
        "[model] settings is 3: give a table")
refused("a setting that is missing", {model: twin("twin_layers") | {"settings": {}}},
        f"model twin_layers of {TWINS}: ", "'width' not found")
refused("a layer that it does not have", {model: {"plugin": TWINS, "layers": ["own_tahn"]}},
        "unknown layer 'own_tahn': did you mean 'own_tanh'?")
for name, sentence in (
        ("seven_outputs", "block 1.linear is the last and gives [7] for each sample, but the data "
                          "has 10 classes: let it give [10]"),
        ("does_not_fit", "block narrow cannot take [n, 1, 8, 8]: "),
        ("no_blocks", "its chain has no blocks"),
        ("no_block", "block a: its `build` gives no block"),
        ("doubled", "two blocks are called '0.flatten'"),
        ("own_loss", "its chain has another loss than the job and its data ask for")):
    refused(name, {model: twin(name)}, sentence)
refused("a data set that it does not have", {data: TWIN_DATA | {"dataset": "twin_randon"}},
        f"data.dataset is 'twin_randon', which {TWINS} does not have: did you mean 'twin_random'?")
refused("no data set", {data: {"name": "plugin", "plugin": TWINS}},
        "data.dataset is empty: in the plugin there are no_training, twin_random, two_kinds")
refused("no library", {data: {"name": "plugin", "dataset": "twin_random"}}, "data.plugin is empty")
refused("a library for nobody", {data: RANDOM | {"plugin": TWINS}},
        'only data.name = "plugin" takes one')
refused("data settings that are wrong", {data: TWIN_DATA | {"settings": {"size": "many"}}},
        f"data set 'twin_random' of {TWINS}: ")
refused("no training part", {data: TWIN_DATA | {"dataset": "no_training"}},
        "data set 'no_training' has no training part")
refused("two kinds of samples", {data: TWIN_DATA | {"dataset": "two_kinds"}},
        "has test samples of [5] and 10 classes, and training samples of [1, 8, 8] and 10")
refused("a mean for a plugin's data", {data: TWIN_DATA | {"mean": [0.5], "std": [0.5]}},
        "data.mean is given: a plugin's data set says that itself")
refused("once, not by every worker", {model: twin("twin_chian")}, "unknown model",
        words=("-n", "3"))
finished()
