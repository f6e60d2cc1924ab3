"""A project whose `mlops bootstrap` talks to stand-ins for `az` and `gh`."""

import copy
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlops_runtime
import pytest
import yaml
from mlops_runtime import cli, derived
from mlops_runtime.bootstrap import edit, tools

from ..conftest import some_quick
from . import fake

INDEX = ("--package-index", "https://packages.example.com/simple", "--package-files", "https://files.example.com")
APPROVERS = {
    "approvals.reviewers.staging.model_tester": ["tess"],
    "approvals.reviewers.prod.project_lead": ["acme/leads"],
    "approvals.reviewers.prod.product_owner": ["olaf"],
}


MADE: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {}  # what a run prints, writes and makes, by its start


@dataclass
class World:
    """A project and the state of Azure and GitHub around it."""

    root: Path
    capture: pytest.CaptureFixture[str]
    state: dict[str, Any] = field(default_factory=fake.new_state)

    def run(self, *options: str) -> tuple[int, str]:
        """`mlops bootstrap` with these options: exit code and all that it printed."""
        code = cli.main(["bootstrap", *options])
        printed = self.capture.readouterr()
        return code, printed.out + printed.err

    def make(self) -> str:
        """A run that ends well; from where an earlier test has begun too, its outcome is what that one's was."""
        plug_ins = [file.read_text(encoding="utf-8") for file in sorted(Path(mlops_runtime.__path__[-1]).glob("*.py"))]
        start = json.dumps([plug_ins, self.texts(), self.state], sort_keys=True)
        if start not in MADE:
            code, printed = self.run("--yes", *INDEX)
            assert code == 0, printed
            MADE[start] = printed, self.texts(), copy.deepcopy(self.state)
        printed, texts, state = MADE[start]
        for name, text in texts.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text, encoding="utf-8")
        self.state = copy.deepcopy(state)
        return printed

    def set(self, **changes: Any) -> None:
        """Write values into config: "shared.approvals.unprotected"=…, as a person would."""
        for name, value in changes.items():
            file, *key = name.split(".")
            edit.write(self.root / "config" / f"{file}.yml", key, value)

    def texts(self) -> dict[str, str]:
        """What every file holds."""
        files = (one for one in self.root.rglob("*") if one.is_file())
        return {one.relative_to(self.root).as_posix(): one.read_text(encoding="utf-8") for one in files}

    def made(self) -> dict[str, Any]:
        """What is there on Azure and GitHub."""
        kept = {k: v for k, v in self.state.items() if k not in ("calls", "changes", "break", "when", "denied")}
        return copy.deepcopy(kept)


@pytest.fixture
def plug_ins(plug_ins_of: Callable[..., None]) -> Callable[[str, str], None]:
    """Give the machinery the plug-ins of a CI system and an IaC tool, in place of those before."""
    return lambda ci, iac: plug_ins_of(f"ci/{ci}", f"iac/{iac}", "deployments/live")


@pytest.fixture(params=some_quick(["bicep", "terraform", "arm"]))
def of_each_tool(request: pytest.FixtureRequest, world: "World", plug_ins: Callable[[str, str], None]) -> "World":
    """The same project with each tool of the infrastructure."""
    plug_ins("github-actions", request.param)
    derived.render(world.root)
    return world


@pytest.fixture
def world(
    tmp_path: Path,
    baked: Callable[..., Path],
    plug_ins: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> World:
    """A new project with people who approve; the stand-ins run in this process."""
    root = tmp_path / "taxi-fares"
    for part in ("config", "infrastructure"):
        shutil.copytree(baked("classification") / part, root / part)
    shutil.copy(baked("classification") / "pyproject.toml", root)
    here = World(root, capsys)
    here.set(**{f"shared.{key}": value for key, value in APPROVERS.items()})
    plug_ins("github-actions", "bicep")
    monkeypatch.chdir(root)
    monkeypatch.setattr(tools, "PAUSE", 0.0)
    monkeypatch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)  # ten times as fast

    def execute(command: list[str], given: str | None) -> tuple[int, str, str]:
        return fake.answer(Path(command[0]).name, command[1:], given or "", here.state)

    monkeypatch.setattr(tools, "execute", execute)
    monkeypatch.setenv("PATH", str(programs(tmp_path)))
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return here


def programs(folder: Path) -> Path:
    """A folder with `az`, `gh` and `glab` in it, which run the stand-ins."""
    found = folder / "bin"
    found.mkdir(exist_ok=True)
    for name in ("az", "gh", "glab"):
        script = found / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake.__file__}" {name} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return found


def on_path(world: World, folder: Path) -> dict[str, str]:
    """Environment variables with which a process of its own meets the stand-ins, and nothing else on its path."""
    file = folder / "state.json"
    file.write_text(json.dumps(world.state), encoding="utf-8")
    return {**os.environ, "PATH": str(programs(folder)), "FAKE_STATE": str(file)}
