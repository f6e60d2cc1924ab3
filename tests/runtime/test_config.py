"""Errors in config/*.yml name the file, the key and the fix."""

from pathlib import Path

import pytest
from mlops_runtime import config
from mlops_runtime.errors import Problem

from . import toy


def test_environment_values_replace_shared_ones(tmp_path: Path) -> None:
    toy.write(tmp_path)
    assert config.load("prod", tmp_path).training == {"word": "hello"}
    (tmp_path / "config/prod.yml").write_text(toy.ENVIRONMENT + "training: {word: bye}\n")
    assert config.load("prod", tmp_path).training == {"word": "bye"}
    assert config.load("dev", tmp_path).training == {"word": "hello"}


FAULTS = {
    "unknown key": (
        "shared.yml",
        "training:",
        "trainning:",
        ["trainning: unknown key", "training: this key is missing"],
    ),
    "wrong type": ("shared.yml", "min: 0.5", "min: half", ["gates.metrics.score.min", "'half'"]),
    "no limit": ("shared.yml", "{min: 0.5}", "{max: null}", ["give min, max or both"]),
    "unknown action": ("shared.yml", "action: investigate", "action: panic", ["'none', 'investigate' or 'retrain'"]),
    "bad address": ("prod.yml", "team@example.com", "team", ["prod.yml: contacts.owner", "'team'"]),
    "unknown override": (
        "prod.yml",
        "contacts:",
        "training: {wrd: x}\ncontacts:",
        ["training.wrd", "the keys there are word"],
    ),
    "broken YAML": ("shared.yml", "project: {", "project: {{", ["shared.yml, line"]),
    "empty": ("prod.yml", toy.ENVIRONMENT, "", ["prod.yml: the file"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(tmp_path: Path, fault: str) -> None:
    file, old, new, messages = FAULTS[fault]
    toy.write(tmp_path)
    path = tmp_path / "config" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(Problem) as caught:
        config.load("prod", tmp_path)
    for message in messages:
        assert message in str(caught.value)


def test_outside_a_project(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="change to the project's folder"):
        config.find_root(tmp_path)


def test_unknown_environment(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="choose dev, staging, prod"):
        config.load("test", toy.write(tmp_path))
