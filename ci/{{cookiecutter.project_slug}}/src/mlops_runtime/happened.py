"""What pipelines tell people of: events as a JSON list, and the plug-in of the CI system that opens issues of them."""

import importlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
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
    commit: str  # that made this version, to be checked out for what comes next; empty without one


@dataclass(frozen=True)
class Choice:
    """What is released next; without a version, nothing is."""

    name: str = ""  # of the release
    version: str = ""
    commit: str = ""  # that made it
    promoted: bool = False  # staging has it, and what comes next is its trial
    retrained: bool = False

    def outputs(self) -> dict[str, str]:
        """The same for the jobs that follow."""
        flags = {"found": bool(self.version), "promoted": self.promoted, "retrained": self.retrained}
        texts = {"name": self.name, "version": self.version, "commit": self.commit}
        return {**texts, **{name: str(value).lower() for name, value in flags.items()}}


def release_name(event: Event) -> str:
    """What tells a release from others: the versions of dev and of staging are numbers of their own."""
    return f"{event['environment']}-{event['version']}"


def release_key(name: str) -> str:
    """The key under which people are told that a release was refused or has failed."""
    return f"release/{name}"


def event(
    kind: str, environment: str, about: str, title: str, lines: Iterable[str], version: str = "", commit: str = ""
) -> Event:
    """An event; `about` tells it from others of its kind and environment, also at the next look."""
    return {
        "key": f"{environment}-{kind}-{about}",
        "kind": kind,
        "environment": environment,
        "title": title,
        "body": "\n".join(lines),
        "version": version,
        "commit": commit,
    }


def in_pipeline() -> bool:
    """Whether a CI system runs this and takes outputs; Azure Pipelines does not set the variable of the others."""
    return bool(os.environ.get("CI") or os.environ.get("TF_BUILD"))


def write(path: Path, events: list[Event]) -> None:
    """Write the events, sorted by their keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, sorted(events, key=lambda one: one["key"]))


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
    for one in events:
        if not isinstance(one, dict) or set(one) != wanted or not all(isinstance(v, str) for v in one.values()):
            raise Problem(f"{path}: an event has the texts {', '.join(sorted(wanted))}; this one is {one!r}.")
        if one["kind"] not in KINDS:
            raise Problem(f"{path}: {one['key']}: there is no kind {one['kind']!r}; they are {', '.join(KINDS)}.")
    return list({one["key"]: one for one in events}.values())


def host() -> Any:
    """The plug-in of the CI system: `approvals`, `authors`, `tell`, `tried`, `release`, `output`, `NAME`."""
    name = "mlops_runtime.host"
    if find_spec(name) is None:
        raise Problem("This repository has no CI system that can be asked: there is no src/mlops_runtime/host.py.")
    return importlib.import_module(name)
