"""Texts go to people and come back with labels as a new version of the data."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops_runtime import cli
from mlops_runtime.contract import Contract

from .conftest import ROOT
from .quick import as_azureml
from {{ cookiecutter.package_name }} import data, labelling, model
from {{ cookiecutter.package_name }}.annotations import Record

COLUMNS = ("ticket_id", "created", "language", "channel", "text")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's configuration and data."""
    for name in ("config", "data", "mlops"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def new(project: Path) -> list[Record]:
    """Tickets that are not in the training data, with their labels."""
    return labelling.read_lines(project / "data" / "tickets-new.jsonl")[:3]


def review(project: Path, rows: list[Record]) -> None:
    """Write rows as monitoring proposes them."""
    folder = project / ".mlops" / "monitor"
    folder.mkdir(parents=True)
    kept = ({**{name: row[name] for name in COLUMNS}, "created": row["created"] + ":00"} for row in rows)
    (folder / "review.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")


def answer(exported: Path, given: list[Any]) -> str:
    """What Azure ML data labelling exports after people had given these targets."""
    lines = [json.loads(line) for line in exported.read_text(encoding="utf-8").split("\n") if line]
    done = [{**line, "label": one and as_azureml(one)} for line, one in zip(lines, given, strict=True)]
    return "\n".join(map(json.dumps, done))


def test_the_command_makes_a_new_version_of_the_data(
    project: Path, new: list[Record], contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = project / "data" / "tickets.jsonl"
    target = str(labelling_target(project))
    before = raw.read_bytes()
    review(project, new)
    assert cli.main(["label", "export", "--format", "label-studio"]) == 0
    assert "<View>" in (project / ".mlops" / "label" / "to-label.xml").read_text(encoding="utf-8")
    assert cli.main(["label", "export", "--format", "azureml", "--count", "2", "--output", "out"]) == 0
    exported = project / "out" / "to-label.jsonl"

    done = project / "done.jsonl"
    for given, code in (([new[0][target], new[1][target]], 0), ([new[0][target], None], 1)):
        done.write_text(answer(exported, given), encoding="utf-8")
        assert cli.main(["label", "import", "done.jsonl", "--format", "azureml"]) == code
        assert raw.read_bytes().startswith(before)
        assert len(raw.read_bytes().splitlines()) == len(before.splitlines()) + 2
    assert f"{new[1]['ticket_id']}: it has no label" in capsys.readouterr().out
    assert labelling.read_lines(raw)[-1][target] == new[1][target]
    learnt = data.load(raw, contract)
    assert learnt[target].notna().iloc[-1]

    bad = [json.loads(line) for line in done.read_text(encoding="utf-8").split("\n")]
    bad[0] |= {"language": "xx", "ticket_id": 999_999}
    done.write_text(json.dumps(bad[0]), encoding="utf-8")
    unchanged = raw.read_bytes()
    assert cli.main(["label", "import", "done.jsonl", "--format", "azureml"]) == 2
    assert "column language: must be one of" in capsys.readouterr().err
    assert raw.read_bytes() == unchanged


def labelling_target(project: Path) -> object:
    from mlops_runtime import config

    return config.load(root=project).training["target"]


def test_texts_of_a_file_are_chosen_and_masked(fitted: model.Model, contract: Contract) -> None:
    frame = pd.read_json(ROOT / "data" / "tickets-new.jsonl", lines=True, convert_dates=False)
    chosen = labelling.propose(fitted, frame, contract, 20)
    assert len(chosen) == 20
    assert all("@" not in row["text"] and row["prediction"] is not None for row in chosen)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "--format", "papyrus"], "choose one of label-studio"),
        (["export", "--format", "azureml"], "run `mlops monitor` first"),
        (["export", "--format", "azureml", "--count", "0"], "at least 1"),
        (["import", "nothing.json", "--format", "azureml"], "does not exist"),
        (["import", "config/dev.yml", "--format", "label-studio"], "not what label-studio exports"),
    ],
)
def test_wrong_use_is_explained(
    project: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["label", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_merge_corrects_and_adds() -> None:
    rows = [{"ticket_id": 1, "text": "a", "intent": "login"}, {"ticket_id": 2, "text": "b", "intent": "login"}]
    labelled = [{"ticket_id": 2, "text": "b", "intent": "refund"}, {"ticket_id": 9, "text": "c", "intent": "x", "y": 1}]
    merged, added = labelling.merge(rows, labelled, ["ticket_id", "text", "intent", "sentiment"])
    assert merged[:2] == [rows[0], {**rows[1], "intent": "refund"}]
    assert merged[2:] == [{"ticket_id": 9, "text": "c", "intent": "x", "sentiment": None}]
    assert added == 1
