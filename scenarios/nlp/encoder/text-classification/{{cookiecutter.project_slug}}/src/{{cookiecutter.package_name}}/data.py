"""Read and write tickets: one JSON object per line."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from mlops_runtime.contract import Contract
from mlops_runtime.serving import read_table

from .tables import TEXT
from .text import clean

SUFFIX = ".jsonl"  # of the sample's files
COLUMNS = ("ticket_id", "created", "language", "channel", "text", "intent", "sentiment")


def load(path: Path, contract: Contract) -> pd.DataFrame:
    """A .jsonl, .csv or .parquet file: the contract's columns with its types; ContractError says what breaks it."""
    frame = read_table(path)
    for name in set(contract.names("time")) & set(frame.columns):
        with suppress(ValueError):  # what is no moment is for the contract to name
            frame[name] = pd.to_datetime(frame[name], format="ISO8601")  # with or without seconds, row by row
    return contract.validate_table(frame, source=path.name)


def cleaned(columns: Mapping[str, Sequence[Any]], targets: Sequence[str]) -> dict[str, list[Any]]:
    """The columns, by name, that change when texts are normalized and masked; a missing text becomes an empty one.

    `targets` names the columns with truth; a class says nothing about places in the text, so they stay as they are.
    """
    return {TEXT: [clean(text) if isinstance(text, str) else "" for text in columns[TEXT]]}


def readable(texts: Sequence[str], answers: Sequence[Any]) -> list[str]:
    """What is true of each text, or was answered, for people."""
    return [str(answer) for answer in answers]


def write(path: Path, tickets: Sequence[Mapping[str, Any]]) -> None:
    """Write generated tickets as JSON lines, without what belongs to other tasks."""
    kept = ({name: ticket[name] for name in COLUMNS} for ticket in tickets)
    lines = (json.dumps(ticket, ensure_ascii=False) + "\n" for ticket in kept)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
