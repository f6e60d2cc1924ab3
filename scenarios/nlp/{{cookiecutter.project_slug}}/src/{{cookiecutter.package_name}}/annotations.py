"""Files of labelling tools around any kind of label: Label Studio's JSON and the JSON lines of Azure ML data labelling.

A record is a row of the data file without its label; it travels with the text, so that nothing has to be joined later.
What a label looks like in such a file is in `labels.py`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


def without_suggestion(record: Record) -> Record:
    """The record alone."""
    return {key: value for key, value in record.items() if key != SUGGESTION}


def to_label_studio(records: Sequence[Record], suggest: Callable[[Record], list[Any]]) -> str:
    """A file to import into Label Studio: tasks, with the model's answer as a suggestion.

    `suggest` makes Label Studio's results of a record's suggestion.
    """
    tasks = []
    for record in records:
        task: dict[str, Any] = {"data": without_suggestion(record)}
        if record.get(SUGGESTION) is not None:
            task["predictions"] = [{"result": suggest(record)}]
        tasks.append(task)
    return json.dumps(tasks, indent=1, ensure_ascii=False) + "\n"


def from_label_studio(text: str, target: str, read: Callable[[list[Any]], list[Any]]) -> Labelled:
    """What Label Studio exports as JSON; annotations that were cancelled do not count.

    `read` makes labels of one person's results; more than one label is a conflict, like those of several people.
    """
    tasks = json.loads(text)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and "data" in task for task in tasks):
        raise Problem('not an export of Label Studio: it must be a list of objects with "data" (export as JSON).')
    pairs = []
    for task in tasks:
        given = [one["result"] for one in task.get("annotations", []) if not one.get("was_cancelled")]
        own = [[result for result in results if result.get("from_name") == target] for results in given]
        pairs.append((dict(task["data"]), [label for results in own for label in read(results)]))
    return settle(pairs, target)


def to_azureml(records: Sequence[Record]) -> str:
    """JSON lines with `label`, empty yet, as Azure ML data labelling exports them."""
    lines = ({**without_suggestion(record), "label": None} for record in records)
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def from_azureml(text: str, target: str, read: Callable[[Any], list[Any]]) -> Labelled:
    """JSON lines with `label`; a record may come on several lines, one for each person.

    `read` makes labels of the value of `label`, which is None where nobody gave one.
    """
    found: dict[str, tuple[Record, list[Any]]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        record = json.loads(line)
        if not isinstance(record, dict) or "label" not in record:
            raise Problem(f'line {number} is not an object with "label".')
        label = record.pop("label")
        record.pop("label_confidence", None)
        found.setdefault(str(record.get(ID)), (record, []))[1].extend(read(label))
    return settle(list(found.values()), target)


def settle(pairs: Sequence[tuple[Record, Sequence[Any]]], target: str) -> Labelled:
    """Records on which everybody agrees get their label; the others are named."""
    records, missing, conflicts = [], [], []
    for record, labels in pairs:
        distinct = {_shown(label): label for label in labels}
        if not distinct:
            missing.append(str(record.get(ID)))
        elif len(distinct) > 1:
            conflicts.append(f"{record.get(ID)}: {', '.join(sorted(distinct))}")
        else:
            records.append({**record, target: next(iter(distinct.values()))})
    return Labelled(records, missing, conflicts)


def _shown(label: Any) -> str:
    return label if isinstance(label, str) else json.dumps(label, ensure_ascii=False, sort_keys=True)
