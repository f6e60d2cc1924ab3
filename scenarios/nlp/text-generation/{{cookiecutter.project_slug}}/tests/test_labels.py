"""Texts that people write survive the files of labelling tools: nothing is lost, nothing is made up."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import labels

Record = dict[str, Any]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
WRITTEN = TEXTS.filter(str.strip)
RECORDS = st.lists(st.fixed_dictionaries({"text": TEXTS, "question": st.none() | TEXTS}), min_size=1, max_size=5)


def numbered(rows: list[Record]) -> list[Record]:
    return [{"ticket_id": number, **row} for number, row in enumerate(rows, start=1)]


def answer(exported: str, kind: str, given: list[list[str]]) -> str:
    """What the tool would export after people had written these texts."""
    if kind == "label-studio":
        tasks = json.loads(exported)
        for task, texts in zip(tasks, given, strict=True):
            task["annotations"] = [{"result": [labels.area("summary", text)]} for text in texts]
            task["annotations"].append({"result": [labels.area("summary", "cancelled")], "was_cancelled": True})
        return json.dumps(tasks)
    lines = [json.loads(line) for line in exported.split("\n") if line]
    return "\n".join(json.dumps({**line, "label": texts}) for line, texts in zip(lines, given, strict=True))


@pytest.mark.parametrize("kind", labels.FORMATS)
@settings(max_examples=50, deadline=None)
@given(rows=RECORDS, data=st.data())
def test_round_trip(kind: str, rows: list[Record], data: st.DataObject) -> None:
    sent = numbered(rows)
    texts = [data.draw(WRITTEN) for _ in sent]
    _, write, read = labels.FORMATS[kind]
    found = read(answer(write(sent, "summary"), kind, [[text] for text in texts]), "summary")
    assert found.records == [{**record, "summary": text} for record, text in zip(sent, texts, strict=True)]
    assert not found.missing
    assert not found.conflicts


@pytest.mark.parametrize("kind", labels.FORMATS)
def test_missing_and_conflicting_texts_are_named(kind: str) -> None:
    sent = numbered([{"text": text} for text in "abcd"])
    _, write, read = labels.FORMATS[kind]
    given = [["Late.", "Late."], [], ["Late.", "Broken."], ["  "]]
    found = read(answer(write(sent, "summary"), kind, given), "summary")
    assert [record["ticket_id"] for record in found.records] == [1]
    assert found.missing == ["2", "4"]
    assert found.conflicts == ["3: Broken., Late."]


def test_suggestions_are_not_taken_for_what_people_wrote() -> None:
    exported = labels.to_label_studio(numbered([{"text": "a", "prediction": "Late."}]), "summary")
    assert json.loads(exported)[0]["predictions"][0]["result"][0]["value"] == {"text": ["Late."]}
    assert labels.from_label_studio(exported, "summary").missing == ["1"]


@pytest.mark.parametrize(("kind", "text"), [("label-studio", "{}"), ("azureml", '{"text": "x"}\n')])
def test_other_files_are_refused(kind: str, text: str) -> None:
    with pytest.raises(Problem, match="not an"):
        labels.FORMATS[kind][2](text, "summary")


def test_the_interface_shows_a_question_where_there_is_one() -> None:
    rows: list[Record] = [
        {"question": "Which?", "answer": "B-1", "summary": "Late."},
        {"question": None, "summary": "Late."},
    ]
    assert "$question" in labels.interface("answer", rows)
    assert "$question" not in labels.interface("summary", rows)
