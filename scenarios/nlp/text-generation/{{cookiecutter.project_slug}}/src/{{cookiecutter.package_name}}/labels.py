"""Texts that people write, in the files of labelling tools."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from . import annotations
from .annotations import SUGGESTION, Labelled, Record


def to_label_studio(records: Sequence[Record], target: str) -> str:
    """A file to import into Label Studio, with the model's answer to start from."""
    return annotations.to_label_studio(records, lambda record: [area(target, str(record[SUGGESTION]))])


def from_label_studio(text: str, target: str) -> Labelled:
    """What Label Studio exports as JSON; several paragraphs of one person are one text."""
    return annotations.from_label_studio(
        text,
        target,
        lambda results: written("\n".join(result["value"]["text"]) for result in results),
    )


def area(target: str, text: str) -> dict[str, Any]:
    """A text as Label Studio writes it."""
    return {"from_name": target, "to_name": "text", "type": "textarea", "value": {"text": [text]}}


def to_azureml(records: Sequence[Record], target: str) -> str:
    """JSON lines for Azure ML data labelling."""
    return annotations.to_azureml(records)


def from_azureml(text: str, target: str) -> Labelled:
    """JSON lines whose `label` is a text or a list of texts."""
    return annotations.from_azureml(text, target, lambda label: written(label if isinstance(label, list) else [label]))


def written(texts: Iterable[str | None]) -> list[str]:
    """The texts that say something."""
    return [text for text in texts if text and text.strip()]


Write = Callable[[Sequence[Record], str], str]
Read = Callable[[str, str], Labelled]
FORMATS: dict[str, tuple[str, Write, Read]] = {  # name → ending of the file, writer, reader
    "label-studio": (".json", to_label_studio, from_label_studio),
    "azureml": (".jsonl", to_azureml, from_azureml),
}


def interface(target: str, rows: Sequence[Record]) -> str:
    """The labelling interface for Label Studio's project settings; a question is shown where the rows have one."""
    asked = any(row.get(target) for row in rows) and all(row.get("question") for row in rows if row.get(target))
    question = '  <Header value="$question"/>\n' if asked else ""
    return (
        f'<View>\n{question}  <Text name="text" value="$text"/>\n'
        f'  <TextArea name="{escape(target)}" toName="text" rows="4" editable="true" maxSubmissions="1"/>\n</View>\n'
    )
