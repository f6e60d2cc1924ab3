"""Read and write labelled texts: JSON lines with spans or tags, or CoNLL."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd

from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem
from mlops_runtime.serving import read_table

from . import conll, grammar, places, spans
from .spans import Span
from .tables import TEXT
from .text import tokens

SUFFIX = ".jsonl"  # of the sample's files
CONLL = (".conll", ".conllu", ".bio", ".iob")
SHOWN = 5  # faults in a message
WRONG = 0.015  # share of the sample's entities that are labelled wrongly, as people do


def load(path: Path, contract: Contract) -> pd.DataFrame:
    """A .jsonl, .csv, .parquet or CoNLL file: the contract's columns with its types; ContractError says what breaks it.

    Target columns come out as JSON text, whatever way they are written. A CoNLL file without the column with the role
    `id` gets it: the number of the text.
    """
    frame = read_conll(path, contract) if path.suffix.lower() in CONLL else read_table(path)
    for name in set(contract.names("time")) & set(frame.columns):
        with suppress(ValueError):  # what is no moment is for the contract to name
            frame[name] = pd.to_datetime(frame[name], format="ISO8601")  # with or without seconds, row by row
    for name in [name for name in contract.names("target") if name in frame and TEXT in frame]:
        frame[name] = _as_json(frame, name, path.name)
    return contract.validate_table(frame, source=path.name)


def read_conll(path: Path, contract: Contract) -> pd.DataFrame:
    """The rows of a CoNLL file; target columns that it lacks are empty."""
    if not path.is_file():
        raise Problem(f"{path} does not exist or is not a file.")
    targets, ids = contract.names("target"), contract.names("id")
    try:
        rows = conll.read(path.read_text(encoding="utf-8"), targets[0])
    except (Problem, ValueError) as error:
        raise Problem(f"{path.name} cannot be read as CoNLL: {error}") from None
    frame = pd.DataFrame(rows)
    for name in ids:
        frame[name] = frame[name] if name in frame else range(1, len(frame) + 1)
    return frame.assign(**{name: None for name in targets if name not in frame})


def _as_json(frame: pd.DataFrame, name: str, source: str) -> "pd.Series[Any]":
    values: list[str | None] = []
    faults = []
    for row, (text, value) in enumerate(zip(frame[TEXT], frame[name], strict=True)):
        try:
            values.append(None if _missing(value) else spans.dump(spans.parse(value, str(text))))
        except Problem as problem:
            faults.append(f"  column {name}, row {row}: {problem}")
            values.append(None)
    if faults:
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ContractError(f"{source}:\n" + "\n".join(faults[:SHOWN]) + more)
    return pd.Series(values, frame.index, dtype=object)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def cleaned(columns: Mapping[str, Sequence[Any]], targets: Sequence[str]) -> dict[str, list[Any]]:
    """The columns, by name, that change when texts are normalized and masked; a missing text becomes an empty one.

    The spans of `targets` and of `prediction` move with their text; what is no span becomes missing.
    """
    found = [places.follow(text if isinstance(text, str) else "") for text in columns[TEXT]]
    changed: dict[str, list[Any]] = {TEXT: [one.text for one in found]}
    for name in [name for name in (*targets, "prediction") if name in columns]:
        rows = zip(columns[TEXT], columns[name], found, strict=True)
        changed[name] = [_moved(text, value, one) for text, value, one in rows]
    return changed


def _moved(text: Any, value: Any, found: places.Cleaned) -> str | None:
    if _missing(value) or not isinstance(text, str):
        return None
    try:
        before = spans.parse(value, text)
    except Problem:
        return None
    return spans.dump(before if found.text == text else spans.moved(before, found.places(len(text))))


def readable(texts: Sequence[str], answers: Sequence[Any]) -> list[str]:
    """What is true of each text, or was answered, for people."""
    return [
        "–" if _missing(answer) else spans.readable(text, spans.parse(answer, text))
        for text, answer in zip(texts, answers, strict=True)
    ]


def write(path: Path, tickets: Sequence[Mapping[str, Any]]) -> None:
    """Write generated tickets as JSON lines, with the labels that people would have given them."""
    lines = (json.dumps(_labelled(ticket), ensure_ascii=False) + "\n" for ticket in tickets)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def _labelled(ticket: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("ticket_id", "created", "language", "channel", TEXT)
    parts, text, random = ticket["parts"], ticket[TEXT], Random(ticket["ticket_id"])
    entities = [_mislabelled(random, Span(**entity)) for entity in parts["entities"]]
    return {
        **{name: ticket[name] for name in kept},
        "entities": spans.as_records(entity for entity in entities if entity),
        "sentences": parts["sentences"],
        "part_of_speech": " ".join(_tags(ticket["language"], text, parts["words"])),
    }


def _mislabelled(random: Random, entity: Span) -> Span | None:
    """The entity as it is or, rarely, overlooked, cut short or taken for something else."""
    if random.random() >= WRONG:
        return entity
    kind = random.randrange(3)
    if kind == 0:
        return None
    if kind == 1:
        return entity._replace(label=random.choice(["product", "city", "person"]))
    return entity._replace(end=entity.start + max(1, (entity.end - entity.start) // 2))


def _tags(language: str, text: str, words: Sequence[Mapping[str, Any]]) -> list[str]:
    """One tag for each token of the text."""
    tags, before = [], ""
    for word in words:
        label = str(word["label"])
        if label[0] == "{" and len(label) > 1:
            tags += grammar.tag_value(label[1:-1], text[word["start"] : word["end"]])
        else:
            tags.append(grammar.tag(language, label, before))
        before = label
    if len(tags) != len(tokens(text)):
        raise ValueError(f"{len(tags)} tags for {len(tokens(text))} tokens: {text}")
    return tags
