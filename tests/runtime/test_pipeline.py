"""Pipeline YAML that cannot run here is refused by name, before anything runs."""

from pathlib import Path

import pytest
from mlops_runtime import pipeline
from mlops_runtime.errors import Problem

from . import toy

FAULTS = {
    "another job type": ("pipeline.yml", "type: pipeline", "type: command", "only a pipeline job"),
    "unknown pipeline key": ("pipeline.yml", "settings:", "schedule: {}\nsettings:", "schedule is not supported"),
    "unknown setting": ("pipeline.yml", "{default_compute", "{on_init: x, default_compute", "settings.on_init"),
    "missing file": ("pipeline.yml", "text.txt", "none.txt", "none.txt does not exist"),
    "cloud path": ("pipeline.yml", "../../../data/text.txt", "azureml:text@latest", "is not on this machine"),
    "sweep": (
        "pipeline.yml",
        "type: command\n    component: ./second",
        "type: sweep\n    component: ./second",
        "sweep",
    ),
    "registered component": ("pipeline.yml", "./second.yml", "azureml:second@latest", "must be a component file"),
    "unknown component input": ("pipeline.yml", "      word: $", "      wrd: $", "no such input"),
    "missing input": ("pipeline.yml", "      word: ${{parent.inputs.word}}\n", "", "first.inputs.word is missing"),
    "unknown parent input": ("pipeline.yml", "parent.inputs.word", "parent.inputs.wrd", "no input 'wrd'"),
    "unknown step": ("pipeline.yml", "jobs.first.outputs", "jobs.frist.outputs", "no step 'frist'"),
    "unknown output": ("pipeline.yml", "outputs.lines}}", "outputs.line}}", "has an output 'line'"),
    "partial binding": ("pipeline.yml", "word: ${{parent.inputs.word}}", 'word: "a ${{parent.inputs.word}}"', "whole"),
    "distribution": ("first.yml", "code:", "distribution: {type: pytorch}\ncode:", "distribution is not supported"),
    "shell operator": ("first.yml", "--lines", "&& echo --lines", "'&&' needs a shell"),
    "shell variable": ("first.yml", "--lines", "$HOME --lines", "'\\$HOME' needs a shell"),
    "undeclared placeholder": ("first.yml", "inputs.text}}", "inputs.txt}}", "names inputs.txt"),
    "unsupported input type": ("first.yml", "{type: string}", "{type: triton_model}", "'triton_model'"),
    "wrong literal": ("first.yml", "word: {type: string}", "word: {type: integer}", "must be a whole number"),
    "not YAML": ("first.yml", "inputs:", "inputs: [", "is not valid YAML"),
    "circle": (
        "pipeline.yml",
        "text: ${{parent.inputs.text}}",
        "text: ${{parent.jobs.second.outputs.count}}",
        "each other",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(tmp_path: Path, fault: str) -> None:
    file, old, new, message = FAULTS[fault]
    path = toy.write(tmp_path)
    target = path.with_name(file)
    assert old in target.read_text()
    target.write_text(target.read_text().replace(old, new, 1))
    with pytest.raises(Problem, match=message):
        pipeline.load(path)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [("3", int, 3), ("0.5", float, 0.5), (1, float, 1.0), ("TRUE", bool, True), (7, str, "7"), (True, bool, True)],
)
def test_literals_are_converted(value: str | int, kind: type, expected: object) -> None:
    converted = pipeline.convert("x", value, kind)
    assert converted == expected
    assert type(converted) is kind


@pytest.mark.parametrize(
    ("value", "kind"), [("x", int), ("1.5", int), (True, int), (1.5, int), ("yes", bool), ("", float)]
)
def test_other_literals_are_refused(value: str | float, kind: type) -> None:
    with pytest.raises(Problem, match="must be"):
        pipeline.convert("x", value, kind)
