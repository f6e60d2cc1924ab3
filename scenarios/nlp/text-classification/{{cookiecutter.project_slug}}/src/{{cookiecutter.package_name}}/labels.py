"""Texts to people and their labels back: Label Studio's JSON and the JSON lines of Azure ML data labelling.

A record is a row of the data file without its label; it travels with the text, so that nothing has to be joined later.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mlops_runtime.errors import Problem

Record = dict[str, Any]
ID = "ticket_id"  # of a record, and what messages call it by
SUGGESTION = "prediction"  # the key of a record that holds what the model answered


@dataclass(frozen=True)
class Labelled:
    """What came back."""

    records: list[Record]  # with the target
    missing: list[str]  # ids of records without a label
    conflicts: list[str]  # "id: label, label" of records on which people disagree


def to_label_studio(records: Sequence[Record], target: str) -> str:
    """A file to import into Label Studio: tasks, with the model's answer as a suggestion."""
    tasks = []
    for record in records:
        data = {key: value for key, value in record.items() if key != SUGGESTION}
        task: dict[str, Any] = {"data": data}
        if SUGGESTION in record:
            task["predictions"] = [{"result": [_choice(target, record[SUGGESTION])]}]
        tasks.append(task)
    return json.dumps(tasks, indent=1, ensure_ascii=False) + "\n"


def from_label_studio(text: str, target: str) -> Labelled:
    """What Label Studio exports as JSON; annotations that were cancelled do not count."""
    tasks = json.loads(text)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and "data" in task for task in tasks):
        raise Problem('not an export of Label Studio: it must be a list of objects with "data" (export as JSON).')
    pairs = []
    for task in tasks:
        results = [
            result
            for annotation in task.get("annotations", [])
            if not annotation.get("was_cancelled")
            for result in annotation["result"]
            if result.get("from_name") == target
        ]
        pairs.append((dict(task["data"]), [choice for result in results for choice in result["value"]["choices"]]))
    return settle(pairs, target)


def _choice(target: str, label: str) -> dict[str, Any]:
    return {"from_name": target, "to_name": "text", "type": "choices", "value": {"choices": [label]}}


def to_azureml(records: Sequence[Record], target: str) -> str:
    """JSON lines with `label`, empty yet, as Azure ML data labelling exports them."""
    lines = ({**{k: v for k, v in record.items() if k != SUGGESTION}, "label": None} for record in records)
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def from_azureml(text: str, target: str) -> Labelled:
    """JSON lines with `label`, a text or a list of texts; a record may come on several lines, one for each person."""
    found: dict[str, tuple[Record, list[str]]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        record = json.loads(line)
        if not isinstance(record, dict) or "label" not in record:
            raise Problem(f'line {number} is not an object with "label".')
        label = record.pop("label")
        record.pop("label_confidence", None)
        given = label if isinstance(label, list) else [label]
        labels = found.setdefault(str(record.get(ID)), (record, []))[1]
        labels.extend(one for one in given if one)
    return settle(list(found.values()), target)


def settle(pairs: Sequence[tuple[Record, Sequence[str]]], target: str) -> Labelled:
    """Records on which everybody agrees get their label; the others are named."""
    records, missing, conflicts = [], [], []
    for record, labels in pairs:
        distinct = sorted(set(labels))
        if not distinct:
            missing.append(str(record.get(ID)))
        elif len(distinct) > 1:
            conflicts.append(f"{record.get(ID)}: {', '.join(distinct)}")
        else:
            records.append({**record, target: distinct[0]})
    return Labelled(records, missing, conflicts)


Write = Callable[[Sequence[Record], str], str]
Read = Callable[[str, str], Labelled]
FORMATS: dict[str, tuple[Write, Read]] = {
    "label-studio": (to_label_studio, from_label_studio),
    "azureml": (to_azureml, from_azureml),
}


def interface(target: str, labels: Sequence[str]) -> str:
    """The labelling interface for Label Studio's project settings; add a choice for what is new."""
    choices = "\n".join(f'    <Choice value="{escape(label)}"/>' for label in labels)
    return (
        '<View>\n  <Text name="text" value="$text"/>\n'
        f'  <Choices name="{escape(target)}" toName="text" choice="single">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )


def read_lines(path: Path) -> list[Record]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def merge(rows: Sequence[Record], labelled: Sequence[Record], columns: Sequence[str]) -> tuple[list[Record], int]:
    """`rows` with the labelled records: one with a known id gets its label, the others are added; and how many were.

    Only `columns` of a new record are kept, in that order; a column that it lacks is null.
    """
    new: dict[Any, Mapping[str, Any]] = {record[ID]: record for record in labelled}
    merged = [{**row, **{k: v for k, v in new[row[ID]].items() if k in row}} if row[ID] in new else row for row in rows]
    known = {row[ID] for row in rows}
    added = [{name: record.get(name) for name in columns} for key, record in new.items() if key not in known]
    return [*merged, *added], len(added)
