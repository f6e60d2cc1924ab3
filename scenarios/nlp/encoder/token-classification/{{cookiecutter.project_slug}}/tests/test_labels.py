"""Spans survive the files of labelling tools: nothing is lost, nothing is made up."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_runtime.errors import Problem

from .test_spans import labelled
from {{ cookiecutter.package_name }} import conll, labels, spans
from {{ cookiecutter.package_name }}.spans import Span

Record = dict[str, Any]
Given = list[list[Span] | None]  # for each text the spans that a person marked; None: not labelled
TEXT = "Anna wrote from Wien"
ANNA, WIEN = Span(0, 4, "person"), Span(16, 20, "city")


def answer(sent: list[Record], kind: str, people: list[Given]) -> str:
    """What the tool would export after several people had labelled what was exported."""
    exported = labels.FORMATS[kind][1](sent, "entities")
    if kind == "label-studio":
        tasks = json.loads(exported)
        for number, (task, record) in enumerate(zip(tasks, sent, strict=True)):
            task["annotations"] = [
                {"result": [labels.region("entities", record["text"], span) for span in person[number] or []]}
                for person in people
                if person[number] is not None
            ]
            wrong = {"result": [labels.region("entities", record["text"], Span(0, 1, "x"))], "was_cancelled": True}
            task["annotations"].append(wrong)
        return json.dumps(tasks)
    if kind == "azureml":
        lines = [json.loads(line) for line in exported.split("\n") if line]
        return "\n".join(
            json.dumps({**line, "label": None if one is None else [labels.as_azureml(span) for span in one]})
            for person in people
            for line, one in zip(lines, person, strict=True)
        )
    files = []
    for person in people:
        values = [None if one is None else spans.dump(one) for one in person]
        rows = [{**record, "entities": value} for record, value in zip(sent, values, strict=True)]
        files.append(conll.write(rows, "entities"))
    return "\n".join(files)


@pytest.mark.parametrize("kind", labels.FORMATS)
@given(cases=st.lists(labelled(), max_size=4))
def test_round_trip(kind: str, cases: list[tuple[str, list[Span]]]) -> None:
    cases = [(text, wanted) for text, wanted in cases if wanted]
    sent = [{"ticket_id": n, "language": "en", "text": text} for n, (text, _) in enumerate(cases)]
    found = labels.FORMATS[kind][2](answer(sent, kind, [[wanted for _, wanted in cases]]), "entities")
    both = zip(sent, cases, strict=True)
    assert found.records == [{**record, "entities": spans.as_records(wanted)} for record, (_, wanted) in both]
    assert not found.missing
    assert not found.conflicts


@pytest.mark.parametrize("kind", labels.FORMATS)
def test_missing_and_conflicting_labels_are_named(kind: str) -> None:
    sent = [{"ticket_id": number, "text": TEXT} for number in (1, 2, 3, 4)]
    people: list[Given] = [[[ANNA], None, [ANNA], []], [[ANNA], None, [ANNA, WIEN], []]]
    found = labels.FORMATS[kind][2](answer(sent, kind, people), "entities")
    assert [(record["ticket_id"], len(record["entities"])) for record in found.records] == [(1, 1), (4, 0)]
    assert found.missing == ["2"]
    assert [one.partition(":")[0] for one in found.conflicts] == ["3"]


def test_suggestions_are_not_labels() -> None:
    sent = [{"ticket_id": 1, "text": TEXT, "prediction": spans.dump([ANNA._replace(confidence=0.4)])}]
    exported = labels.to_label_studio(sent, "entities")
    assert json.loads(exported)[0]["predictions"][0]["result"][0]["value"]["text"] == "Anna"
    assert labels.from_label_studio(exported, "entities").missing == ["1"]
    assert "Anna\tB-person" in labels.to_conll(sent, "entities"), "tools that correct CoNLL start from the suggestion"


def test_offsets_of_browsers_are_put_right() -> None:
    """Label Studio has exported offsets in UTF-16 units, in which 😀 counts twice."""
    text = "😀 " + TEXT
    counted_twice = labels.region("entities", text, Span(2, 6, "person"))
    counted_twice["value"] |= {"start": 3, "end": 7}
    task = {"data": {"ticket_id": 1, "text": text}, "annotations": [{"result": [counted_twice]}]}
    found = labels.from_label_studio(json.dumps([task]), "entities")
    assert found.records[0]["entities"] == [{"start": 2, "end": 6, "label": "person"}]
    counted_twice["value"]["text"] = "Olga"
    assert labels.from_label_studio(json.dumps([task]), "entities").conflicts[0].startswith("1: a span is not where")


@pytest.mark.parametrize(("kind", "text"), [("label-studio", "{}"), ("azureml", '{"text": "x"}\n'), ("conll", "a\n")])
def test_other_files_are_refused(kind: str, text: str) -> None:
    with pytest.raises(Problem):
        labels.FORMATS[kind][2](text, "entities")


def test_the_interface_offers_the_known_labels() -> None:
    rows: list[Record] = [{"text": TEXT, "entities": spans.as_records([ANNA, WIEN])}, {"text": TEXT, "entities": None}]
    assert labels.interface("entities", rows).count("<Label ") == 2
