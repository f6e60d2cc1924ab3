"""Classes survive the files of labelling tools: nothing is lost, nothing is made up."""

import json
import random
from typing import Any

import pytest

from mlops_runtime.errors import Problem

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
            task["annotations"] = [{"result": [labels.choice("intent", label)]} for label in chosen]
            task["annotations"].append({"result": [labels.choice("intent", "cancelled")], "was_cancelled": True})
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
    _, write, read = labels.FORMATS[kind]
    found = read(answer(write(sent, "intent"), kind, given), "intent")
    assert found.records == [{**record, "intent": label} for record, (label,) in zip(sent, given, strict=True)]
    assert not found.missing
    assert not found.conflicts


@pytest.mark.parametrize("kind", labels.FORMATS)
def test_missing_and_conflicting_labels_are_named(kind: str) -> None:
    sent = records(0)[:3]
    _, write, read = labels.FORMATS[kind]
    found = read(answer(write(sent, "intent"), kind, [["refund", "refund"], [], ["refund", "login"]]), "intent")
    assert [record["ticket_id"] for record in found.records] == [1]
    assert found.missing == ["2"]
    assert found.conflicts == ["3: login, refund"]


def test_suggestions_are_not_labels() -> None:
    sent = [{**record, "prediction": "refund"} for record in records(0)]
    exported = labels.to_label_studio(sent, "intent")
    assert '"predictions"' in exported
    assert len(labels.from_label_studio(exported, "intent").missing) == len(sent)


@pytest.mark.parametrize(("kind", "text"), [("label-studio", "{}"), ("azureml", '{"text": "x"}\n')])
def test_other_files_are_refused(kind: str, text: str) -> None:
    with pytest.raises(Problem, match="not an"):
        labels.FORMATS[kind][2](text, "intent")


def test_the_interface_offers_the_known_classes() -> None:
    rows: list[Record] = [{"intent": "refund"}, {"intent": "<new>"}, {"intent": None}, {"intent": "refund"}]
    assert labels.interface("intent", rows).count("<Choice ") == 2
