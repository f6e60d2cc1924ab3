"""Classes in the files of labelling tools."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from . import annotations
from .annotations import SUGGESTION, Labelled, Record


def to_label_studio(records: Sequence[Record], target: str) -> str:
    """A file to import into Label Studio."""
    return annotations.to_label_studio(records, lambda record: [choice(target, record[SUGGESTION])])


def from_label_studio(text: str, target: str) -> Labelled:
    """What Label Studio exports as JSON."""
    return annotations.from_label_studio(
        text, target, lambda results: [label for result in results for label in result["value"]["choices"]]
    )


def choice(target: str, label: str) -> dict[str, Any]:
    """A class as Label Studio writes it."""
    return {"from_name": target, "to_name": "text", "type": "choices", "value": {"choices": [label]}}


def to_azureml(records: Sequence[Record], target: str) -> str:
    """JSON lines for Azure ML data labelling."""
    return annotations.to_azureml(records)


def from_azureml(text: str, target: str) -> Labelled:
    """JSON lines whose `label` is a class or a list of classes."""
    return annotations.from_azureml(
        text, target, lambda label: [one for one in (label if isinstance(label, list) else [label]) if one]
    )


Write = Callable[[Sequence[Record], str], str]
Read = Callable[[str, str], Labelled]
FORMATS: dict[str, tuple[str, Write, Read]] = {  # name → ending of the file, writer, reader
    "label-studio": (".json", to_label_studio, from_label_studio),
    "azureml": (".jsonl", to_azureml, from_azureml),
}


def interface(target: str, rows: Sequence[Record]) -> str:
    """The labelling interface for Label Studio's project settings, with the classes of `rows`; add what is new."""
    known = sorted({str(row[target]) for row in rows if row.get(target)})
    choices = "\n".join(f'    <Choice value="{escape(label)}"/>' for label in known)
    return (
        '<View>\n  <Text name="text" value="$text"/>\n'
        f'  <Choices name="{escape(target)}" toName="text" choice="single">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )
