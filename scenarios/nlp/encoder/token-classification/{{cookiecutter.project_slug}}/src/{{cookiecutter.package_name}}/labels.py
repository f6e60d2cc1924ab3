"""Spans in the files of labelling tools."""

import json
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from . import annotations, conll, spans
from .annotations import SUGGESTION, Labelled, Record
from .spans import Span
from .tables import TEXT


def to_label_studio(records: Sequence[Record], target: str) -> str:
    """A file to import into Label Studio."""
    return annotations.to_label_studio(
        records, lambda record: [region(target, record[TEXT], span) for span in spans.read(record[SUGGESTION])]
    )


def region(target: str, text: str, span: Span) -> dict[str, Any]:
    """A span as Label Studio writes it."""
    value = {"start": span.start, "end": span.end, "text": text[span.start : span.end], "labels": [span.label]}
    return {"from_name": target, "to_name": "text", "type": "labels", "value": value}


def from_label_studio(text: str, target: str) -> Labelled:
    """What Label Studio exports as JSON; a text that a person left without spans has none."""
    whole = {id_of(task["data"]): str(task["data"].get(TEXT, "")) for task in _tasks(text)}
    found = annotations.from_label_studio(text, target, lambda results: [[_of_region(result) for result in results]])
    return _fitted(found, target, whole)


def _tasks(text: str) -> list[Any]:
    tasks = json.loads(text)
    return [task for task in tasks if isinstance(task, dict) and "data" in task] if isinstance(tasks, list) else []


def id_of(record: Record) -> str:
    """What messages call a record."""
    return str(record.get(annotations.ID))


def _of_region(result: dict[str, Any]) -> dict[str, Any]:
    value = result["value"]
    (label,) = value["labels"]
    return {"start": int(value["start"]), "end": int(value["end"]), "label": label, "text": value.get("text")}


def _fitted(found: Labelled, target: str, whole: dict[str, str]) -> Labelled:
    """The records with offsets that are right for Python; those whose spans cannot be placed are conflicts."""
    records, conflicts = [], list(found.conflicts)
    for record in found.records:
        text = whole[id_of(record)]
        placed = [_place(text, one) for one in record[target]]
        if None in placed:
            conflicts.append(f"{id_of(record)}: a span is not where the labelling tool says")
        else:
            own = sorted((span for span in placed if span), key=lambda span: span.place)
            records.append({**record, target: spans.as_records(own)})
    return Labelled(records, found.missing, conflicts)


def _place(text: str, one: dict[str, Any]) -> Span | None:
    """The span; browsers count characters beyond the first 65,536, such as 😀, twice."""
    wanted = one.get("text")
    start, end = one["start"], one["end"]
    if wanted is None or text[start:end] == wanted:
        return Span(start, end, one["label"])
    units = text.encode("utf-16-le")
    try:
        start, end = (len(units[: 2 * place].decode("utf-16-le")) for place in (start, end))
    except UnicodeDecodeError:
        return None
    return Span(start, end, one["label"]) if text[start:end] == wanted else None


def to_azureml(records: Sequence[Record], target: str) -> str:
    """JSON lines for Azure ML data labelling."""
    return annotations.to_azureml(records)


def from_azureml(text: str, target: str) -> Labelled:
    """JSON lines whose `label` is a list of label, offsetStart, offsetEnd; null where nobody labelled."""
    return annotations.from_azureml(
        text, target, lambda given: [] if given is None else [sorted(map(_of_azureml, given), key=_start)]
    )


def _of_azureml(one: dict[str, Any]) -> dict[str, Any]:
    return {"start": int(one["offsetStart"]), "end": int(one["offsetEnd"]), "label": str(one["label"])}


def as_azureml(span: Span) -> dict[str, Any]:
    """A span as Azure ML data labelling writes it."""
    return {"label": span.label, "offsetStart": span.start, "offsetEnd": span.end}


def _start(one: dict[str, Any]) -> int:
    return int(one["start"])


def to_conll(records: Sequence[Record], target: str) -> str:
    """CoNLL with the suggestions as tags, for tools that correct those."""
    rows = [{**annotations.without_suggestion(record), target: record.get(SUGGESTION)} for record in records]
    return conll.write(rows, target)


def from_conll(text: str, target: str) -> Labelled:
    """CoNLL; a text whose tags are all `_` has no label, and one that is there twice must say the same twice."""
    found: dict[str, tuple[Record, list[Any]]] = {}
    for row in conll.read(text, target):
        value = row.pop(target, None)
        given = [] if value is None else [spans.as_records(spans.read(value))]
        found.setdefault(id_of(row), (row, []))[1].extend(given)
    return annotations.settle(list(found.values()), target)


Write = Callable[[Sequence[Record], str], str]
Read = Callable[[str, str], Labelled]
FORMATS: dict[str, tuple[str, Write, Read]] = {  # name → ending of the file, writer, reader
    "label-studio": (".json", to_label_studio, from_label_studio),
    "azureml": (".jsonl", to_azureml, from_azureml),
    "conll": (".conll", to_conll, from_conll),
}


def interface(target: str, rows: Sequence[Record]) -> str:
    """The labelling interface for Label Studio's project settings, with the labels of `rows`; add what is new."""
    given = [(row[target], str(row.get(TEXT))) for row in rows if row.get(target)]
    known = sorted({span.label for value, text in given for span in spans.parse(value, text)})
    choices = "\n".join(f'    <Label value="{escape(label)}"/>' for label in known)
    return (
        "<View>\n"
        f'  <Labels name="{escape(target)}" toName="text">\n{choices}\n  </Labels>\n'
        '  <Text name="text" value="$text" granularity="word"/>\n</View>\n'
    )
