"""Texts go to people and come back with labels: nothing is lost, nothing is made up."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlops_runtime import cli
from mlops_runtime.errors import Problem

from .conftest import ROOT
from {{ cookiecutter.package_name }} import labels

Record = dict[str, Any]


def records(seed: int) -> list[Record]:
    """Records with texts that break careless formats."""
    generator = random.Random(seed)
    odd = ['"quoted"', "two\nlines", "tab\t", "\u2028", "<b>&amp;", "Grüße 😀", "\\", "{}", "comma, semicolon;"]
    texts = [" ".join(generator.choices(odd, k=4)) for _ in range(20)]
    return [{"ticket_id": i, "created": "2025-10-01T10:00:00", "text": text} for i, text in enumerate(texts, start=1)]


def answer(exported: str, kind: str, given: list[list[str]]) -> str:
    """What the tool would export after people had given these labels."""
    if kind == "label-studio":
        tasks = json.loads(exported)
        for task, chosen in zip(tasks, given, strict=True):
            task["annotations"] = [{"result": [labels._choice("intent", label)]} for label in chosen]
            task["annotations"].append({"result": [labels._choice("intent", "cancelled")], "was_cancelled": True})
        return json.dumps(tasks)
    lines = [json.loads(line) for line in exported.split("\n") if line]
    return "\n".join(
        json.dumps({**line, "label": chosen, "label_confidence": 1.0})
        for line, chosen in zip(lines, given, strict=True)
    )


@pytest.mark.parametrize("kind", labels.FORMATS)
@pytest.mark.parametrize("seed", range(10))
def test_round_trip(kind: str, seed: int) -> None:
    sent = records(seed)
    generator = random.Random(seed)
    given = [[generator.choice(["refund", "ärger & frust", "<new>"])] for _ in sent]
    write, read = labels.FORMATS[kind]
    found = read(answer(write(sent, "intent"), kind, given), "intent")
    assert found.records == [{**record, "intent": label} for record, (label,) in zip(sent, given, strict=True)]
    assert not found.missing
    assert not found.conflicts


@pytest.mark.parametrize("kind", labels.FORMATS)
def test_missing_and_conflicting_labels_are_named(kind: str) -> None:
    sent = records(0)[:3]
    write, read = labels.FORMATS[kind]
    found = read(answer(write(sent, "intent"), kind, [["refund", "refund"], [], ["refund", "login"]]), "intent")
    assert [record["ticket_id"] for record in found.records] == [1]
    assert found.missing == ["2"]
    assert found.conflicts == ["3: login, refund"]


def test_suggestions_are_not_labels() -> None:
    sent = [{**record, "prediction": "refund"} for record in records(0)]
    assert len(labels.from_label_studio(labels.to_label_studio(sent, "intent"), "intent").missing) == len(sent)


@pytest.mark.parametrize(("kind", "text"), [("label-studio", "{}"), ("azureml", '{"text": "x"}\n')])
def test_other_files_are_refused(kind: str, text: str) -> None:
    with pytest.raises(Problem, match="not an"):
        labels.FORMATS[kind][1](text, "intent")


def test_merge_corrects_and_adds() -> None:
    rows = [{"ticket_id": 1, "text": "a", "intent": "login"}, {"ticket_id": 2, "text": "b", "intent": "login"}]
    new = [{"ticket_id": 2, "text": "b", "intent": "refund"}, {"ticket_id": 9, "text": "c", "intent": "x", "extra": 1}]
    merged, added = labels.merge(rows, new, ["ticket_id", "text", "intent", "sentiment"])
    assert merged[:2] == [rows[0], {**rows[1], "intent": "refund"}]
    assert merged[2:] == [{"ticket_id": 9, "text": "c", "intent": "x", "sentiment": None}]
    assert added == 1


def test_the_command_makes_a_new_version_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("config", "data", "mlops"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "data" / "tickets.jsonl"
    before = raw.read_bytes()
    first = json.loads((tmp_path / "data" / "tickets-new.jsonl").read_text(encoding="utf-8").split("\n")[0])
    row = {key: first[key] for key in ("ticket_id", "created", "language", "channel", "text")}
    row["created"] += ":00"  # as monitoring writes it
    (tmp_path / "review.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert cli.main(["label", "export", "--review", "review.jsonl", "--output", "tasks.json"]) == 0
    assert '<Choice value="refund"/>' in (tmp_path / "tasks.xml").read_text(encoding="utf-8")

    exported = (tmp_path / "tasks.json").read_text(encoding="utf-8")
    for given, code, lines in ((["privacy"], 0, 1), (["privacy"], 0, 1), ([], 1, 1)):
        (tmp_path / "done.json").write_text(answer(exported, "label-studio", [given]), encoding="utf-8")
        assert cli.main(["label", "import", "done.json"]) == code
        assert len(raw.read_bytes().splitlines()) == len(before.splitlines()) + lines
    assert raw.read_bytes().startswith(before)
    added = json.loads(raw.read_text(encoding="utf-8").split("\n")[-2])
    assert (added["intent"], added["sentiment"]) == ("privacy", None)

    bad = json.loads(exported)
    bad[0]["data"] |= {"language": "xx", "ticket_id": 99}
    (tmp_path / "bad.json").write_text(answer(json.dumps(bad), "label-studio", [["refund"]]), encoding="utf-8")
    unchanged = raw.read_bytes()
    assert cli.main(["label", "import", "bad.json"]) == 2
    assert "column language: must be one of" in capsys.readouterr().err
    assert raw.read_bytes() == unchanged
