"""What the tests of all CI systems share: a project whose `mlops` talks to stand-ins of `az` and of what uv runs."""

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from mlops_runtime import cli, happened, programs

from ..bootstrap.conftest import World, of_each_tool, plug_ins, world
from ..infrastructure import expected

__all__ = ["of_each_tool", "plug_ins", "world"]
PLUG_IN = "mlops_runtime.host"


@pytest.fixture
def estate(of_each_tool: World, audits: dict[str, Any]) -> World:
    """A project of each tool, ready for Azure; checkov finds nothing until `audits` says so."""
    filled(of_each_tool)
    return of_each_tool


def filled(world: World) -> None:
    """Write into config what the estate needs."""
    from mlops_runtime import derived

    expected.fill(world.root, {})
    derived.render(world.root)


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What checkov and pip-audit answer, by their names; the words that each was called with are under "calls"."""
    answers: dict[str, Any] = {"checkov": {"results": {"failed_checks": []}}, "calls": []}

    def tool(package: str, *words: str, **_: Any) -> str:
        name, _, version = package.partition("==")
        assert version, f"{name} is not pinned"
        answers["calls"].append([name, *words])
        return json.dumps(answers[name])

    monkeypatch.setattr(programs, "tool", tool)
    return answers


@pytest.fixture
def mlops(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command in this process: exit code and all that it printed."""

    def run(*words: str) -> tuple[int, str]:
        code = cli.main(list(words))
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The plug-in of a CI system that only remembers: `told`, `outputs`, `chosen`, and the `people` who approve.

    `wrote` says who wrote a commit, `refused` which releases were.
    """
    module = ModuleType(PLUG_IN)
    module.__spec__ = __import__("importlib.machinery").machinery.ModuleSpec(PLUG_IN, None)
    remembered: Any = module
    remembered.NAME, remembered.people, remembered.told, remembered.outputs = "Test", ["ben", "cat"], [], {}

    def tell(event: dict[str, str]) -> str:
        remembered.told.append(event)
        return f"https://example.com/{event['key']}"

    def output(name: str, value: str) -> None:
        remembered.outputs[name] = value

    remembered.tell, remembered.output = tell, output
    remembered.chosen, remembered.refused, remembered.wrote = [], (), {}
    remembered.release, remembered.authors = remembered.chosen.append, lambda commit: remembered.wrote.get(commit, [])
    remembered.tried = lambda event: "it was refused" if happened.release_name(event) in remembered.refused else ""
    remembered.approvals = lambda environment: (remembered.people, f"https://example.com/{environment}")
    monkeypatch.setitem(sys.modules, PLUG_IN, module)
    return module


def change(kind: str, resource: str, **more: Any) -> dict[str, Any]:
    """A change as `az deployment sub what-if` tells it."""
    where = f"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/{resource}"
    body = {"id": where, "type": "Microsoft.Storage/storageAccounts", "name": resource, "apiVersion": "2024-01-01"}
    after = body if kind not in ("Delete", "Ignore", "Unsupported") else None
    return {"resourceId": where, "changeType": kind, "after": after, "delta": None, **more}
