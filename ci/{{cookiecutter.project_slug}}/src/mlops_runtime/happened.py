"""What pipelines tell people of: events as a JSON list, and the plug-in of the CI system that opens issues of them."""

import importlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict

from mlops_runtime.errors import Problem
from mlops_runtime.files import write_json

KINDS = ("candidate", "retrained", "failed", "retrain", "label", "infrastructure", "security", "usage", "update")


class Event(TypedDict):
    """One thing that has happened; the same thing has the same key at every look."""

    key: str
    kind: str
    environment: str
    title: str
    body: str
    version: str  # of the model that it is about; empty without one


def write(path: Path, events: list[Event]) -> None:
    """Write the events, sorted by their keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, sorted(events, key=lambda event: event["key"]))


def read(path: Path) -> list[Event]:
    """The events of a file, each key once."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist: `mlops events` and `mlops scan` write such files.") from None
    except ValueError:
        raise Problem(f"{path} is not JSON: `mlops events` and `mlops scan` write such files.") from None
    wanted = set(Event.__annotations__)
    events = content if isinstance(content, list) else [content]
    for event in events:
        if not isinstance(event, dict) or set(event) != wanted or not all(isinstance(v, str) for v in event.values()):
            raise Problem(f"{path}: an event has the texts {', '.join(sorted(wanted))}; this one is {event!r}.")
        if event["kind"] not in KINDS:
            raise Problem(f"{path}: {event['key']}: there is no kind {event['kind']!r}; they are {', '.join(KINDS)}.")
    return list({event["key"]: event for event in events}.values())


def host() -> Any:
    """The plug-in of the CI system: `approvals`, `tell`, `output`, `NAME`."""
    name = "mlops_runtime.host"
    if find_spec(name) is None:
        raise Problem("This repository has no CI system that can be asked: there is no src/mlops_runtime/host.py.")
    return importlib.import_module(name)
