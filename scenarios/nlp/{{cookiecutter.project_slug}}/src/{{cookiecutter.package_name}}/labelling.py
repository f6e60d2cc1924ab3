"""The human in the loop: which texts go to people, and what becomes of their labels. Behind `mlops label`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem
from mlops_runtime.monitoring import as_contract

from . import data, labels, review
from .annotations import ID, Labelled, Record
from .model import Model
from .prepare import cleaned

INTERFACE = "to-label.xml"  # of Label Studio
FORMATS = tuple(labels.FORMATS)


def file(kind: str) -> str:
    """The name of the file for the labelling tool."""
    return f"to-label{labels.FORMATS[kind][0]}"


def read_lines(path: Path) -> list[Record]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def propose(model: Model, frame: pd.DataFrame, contract: Contract, count: int) -> list[Record]:
    """The `count` rows of a data file that a person should label first, with the model's answers."""
    clean = cleaned(as_contract(frame, contract), contract)
    chosen = review.choose(model, review.as_rows(clean, contract), model.predict(clean), count)
    records: list[Record] = json.loads(chosen.to_json(orient="records", force_ascii=False, double_precision=15))
    return records


def export(proposed: Sequence[Record], folder: Path, kind: str, target: str, known: Sequence[Record]) -> list[Record]:
    """Write the texts with the labelling tool's file, and for Label Studio the interface that fits; returns them.

    `proposed` is what `propose` returned or monitoring wrote; `known` are rows of the training data.
    """
    if not proposed:
        raise Problem("there is no text to label.")
    if ID not in proposed[0]:
        raise Problem(f"the texts have no column {ID}: without it labels cannot find their way back.")
    kept = [{k: v for k, v in row.items() if k not in ("confidence", "unknown_words")} for row in proposed]
    folder.mkdir(parents=True, exist_ok=True)
    text = labels.FORMATS[kind][1](kept, target)
    (folder / file(kind)).write_text(text, encoding="utf-8", newline="\n")
    if kind == "label-studio":
        (folder / INTERFACE).write_text(labels.interface(target, known), encoding="utf-8", newline="\n")
    return kept


def take(path: Path, kind: str, target: str, existing: Path, contract: Contract) -> tuple[Labelled, int]:
    """Add what people labelled to the training data, the JSON lines `existing`; what came back, how many rows are new.

    The file changes as a whole or, when a row breaks the contract, not at all.
    """
    try:
        found = labels.FORMATS[kind][2](path.read_text(encoding="utf-8"), target)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(f"{path} is not what {kind} exports: {error!r}") from None
    except Problem as problem:
        raise Problem(f"{path}: {problem}") from None
    rows, added = merge(read_lines(existing), found.records, list(contract.columns))
    proposed = existing.with_name(existing.stem + "-proposed.jsonl")
    try:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        proposed.write_text("".join(lines), encoding="utf-8", newline="\n")
        data.load(proposed, contract)
        proposed.replace(existing)
    finally:
        proposed.unlink(missing_ok=True)
    return found, added


def merge(rows: Sequence[Record], labelled: Sequence[Record], columns: Sequence[str]) -> tuple[list[Record], int]:
    """`rows` with the labelled records: one with a known id gets its label, the others are added; and how many were.

    Only `columns` of a new record are kept, in that order; a column that it lacks is null.
    """
    new: dict[Any, Mapping[str, Any]] = {record[ID]: record for record in labelled}
    merged = [{**row, **{k: v for k, v in new[row[ID]].items() if k in row}} if row[ID] in new else row for row in rows]
    known = {row[ID] for row in rows}
    added = [{name: record.get(name) for name in columns} for key, record in new.items() if key not in known]
    return [*merged, *added], len(added)
