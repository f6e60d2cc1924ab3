"""Workflows of the GitHub layer, run by act on this machine: stubs for the published actions, fakes for the tools."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..conftest import SLUG_FOLDER, TEMPLATE

LAYER = TEMPLATE / "ci" / "github-actions" / SLUG_FOLDER
FAKED = ("uv", "gh", "curl", "tar", "gitleaks", "pwsh", "gate")
NOTHING = "    - {shell: bash, run: 'true'}\n"
# For a commit; without one act has copied the repository already.
CHECK_OUT = """\
    - shell: bash
      run: |
        if [ "${{ inputs.ref }}" ]; then
          git init -q -b main
          git fetch -q "$REPOSITORY" "+refs/heads/*:refs/remotes/origin/*"
          git checkout -q "${{ inputs.ref }}"
        fi
"""
# Says which patterns find files; the real action takes any.
KEEP = """\
    - shell: bash
      run: |
        while read -r pattern; do
          if compgen -G "$pattern" >/dev/null; then echo "kept $pattern"; fi
        done <<< "${{ inputs.path }}"
        if [ -f "${{ inputs.path }}" ]; then cp "${{ inputs.path }}" "$ARTIFACTS/${{ inputs.name }}"; fi
"""
FETCH = "    - {shell: bash, run: 'cp \"$ARTIFACTS/${{ inputs.name }}\" plan.md'}\n"
STUBS = {"actions/checkout": CHECK_OUT, "actions/upload-artifact": KEEP, "actions/download-artifact": FETCH}


def texts(folder: Path = LAYER / ".github") -> dict[str, str]:
    """Workflows and actions by their paths in .github."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*/**/*.yml")
    }


def git(root: Path, *arguments: object) -> str:
    """What git says."""
    done = subprocess.run(["git", *map(str, arguments)], cwd=root, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def commit(root: Path, message: str = "Start") -> str:
    """Commit everything; the new commit."""
    if not (root / ".git").exists():
        git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)
    return git(root, "rev-parse", "HEAD")


def runnable(root: Path) -> None:
    """Write `$/` as `./`, which act knows."""
    for path in (root / ".github").rglob("*.yml"):
        path.write_text(path.read_text(encoding="utf-8").replace("uses: $/", "uses: ./"), encoding="utf-8")


def stubs(folder: Path, root: Path) -> list[str]:
    """Make a stub for every published action that a repository uses; act's arguments that put them in place."""
    lines = [line for text in texts(root / ".github").values() for line in text.splitlines() if "uses:" in line]
    used = {line.split("uses:")[1].split("#")[0].strip() for line in lines if "@" in line}
    arguments = []
    for reference in sorted(used):
        action, _, pinned = reference.partition("@")
        assert re.fullmatch(r"[0-9a-f]{40}", pinned), f"{reference} is not pinned to a commit"
        stub = folder / action
        if not stub.exists():
            stub.mkdir(parents=True)
            names = ("name", "path", "ref", "client-id", "tenant-id", "subscription-id")
            inputs = "inputs: {" + ", ".join(f"{name}: {{required: false}}" for name in names) + "}"
            steps = f"runs:\n  using: composite\n  steps:\n{STUBS.get(action, NOTHING)}"
            (stub / "action.yml").write_text(f"name: stub\ndescription: stub\n{inputs}\n{steps}", encoding="utf-8")
            commit(stub)
        arguments += ["--local-repository", f"{reference}={stub}"]
    return arguments


def act(root: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run act in a repository, each step on this machine, one job after the other."""
    tools = Path(sys.executable).parent
    command = [
        *(tools / "act", *arguments, "--platform", "ubuntu-24.04=-self-hosted", "--concurrent-jobs", "1"),
        *("--no-cache-server", "--artifact-server-addr", "127.0.0.1", "--cache-server-addr", "127.0.0.1"),
        *("--action-cache-path", root.parent / "act", *stubs(root.parent / "stubs", root)),
    ]
    environment = {**os.environ, "PATH": f"{path}{tools}{os.pathsep}{os.environ['PATH']}", "UV_NO_PROGRESS": "1"}
    environment.pop("VIRTUAL_ENV", None)
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)


def instrumented(text: str) -> str:
    """A workflow whose jobs say first which environment's approval they wait for, and sign in as its app."""
    head, *jobs = re.split(r"(?m)^(?=  [a-z-]+:$)", text.split("\njobs:\n")[1])
    made = [head]
    for job in jobs:
        found = re.search(r"(?m)^    environment: ([^#\n]+?) *(#.*)?$", job)
        if found:
            gate = f'    steps:\n      - run: gate "{found[1]}"\n'
            job = job.replace("    steps:\n", gate, 1).replace("${{ vars.AZURE_CLIENT_ID }}", f"app-{found[1]}")
        made.append(job)
    return text.split("\njobs:\n")[0] + "\njobs:\n" + "".join(made)


@dataclass
class Host:
    """A repository on GitHub as far as jobs see it, and what was done in its last run."""

    folder: Path
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=lambda: {"AZURE_TENANT_ID": "tenant", "WORKSPACES": "separate"})
    calls: list[dict[str, Any]] = field(default_factory=list)
    output: str = ""

    def __post_init__(self) -> None:
        self.root = self.folder / "repository"
        shutil.copytree(LAYER / ".github", self.root / ".github")
        for path in (self.root / ".github" / "workflows").iterdir():
            path.write_text(instrumented(path.read_text(encoding="utf-8")), encoding="utf-8")
        runnable(self.root)
        self.write("pyproject.toml", "[project]\nname = 'taxi-fares'\n")
        self.write("README.md", "# Taxi\n")
        commit(self.root)
        git(self.root, "remote", "add", "origin", "https://github.com/acme/taxi-fares")
        self.bin, self.artifacts = self.folder / "bin", self.folder / "artifacts"
        self.bin.mkdir()
        self.artifacts.mkdir()
        for name in FAKED:
            tool = self.bin / name
            fake = Path(__file__).with_name("github_fake.py")
            tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{fake}" {name} "$@"\n', encoding="utf-8")
            tool.chmod(0o755)

    def write(self, name: str, text: str) -> None:
        """Write a file of the repository."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, event: str, workflow: str, **payload: Any) -> bool:
        """Whether a run of the workflow succeeds."""
        state, given = self.folder / "state.json", self.folder / "event.json"
        state.write_text(json.dumps({"rules": self.rules, "calls": []}), encoding="utf-8")
        repository = {"default_branch": "main", "full_name": "acme/taxi-fares", "name": "taxi-fares"}
        given.write_text(json.dumps({"repository": repository, **payload}), encoding="utf-8")
        settings = [word for name, value in self.variables.items() for word in ("--var", f"{name}={value}")]
        done = act(
            *(self.root, event, "--workflows", f".github/workflows/{workflow}.yml", "--eventpath", str(given)),
            *("--env", f"FAKE={state}", "--env", f"REPOSITORY={self.root}", "--env", f"ARTIFACTS={self.artifacts}"),
            *("--secret", "GITHUB_TOKEN=token", *settings),
            path=f"{self.bin}{os.pathsep}",
        )
        self.output = done.stdout + done.stderr
        self.calls = json.loads(state.read_text(encoding="utf-8"))["calls"]
        return done.returncode == 0

    def lines(self, *beginnings: str, client: bool = False) -> list[str]:
        """The calls that begin so, in their order, without the tools that only install; with who made them."""
        wanted = beginnings or ("gate", "mlops", "gh")
        chosen = [call for call in self.calls if call["line"].startswith(wanted)]
        return [f"{call['client']}: {call['line']}" if client else call["line"] for call in chosen]

    def told(self) -> list[dict[str, str]]:
        """The events that people were told of."""
        return [event for call in self.calls for event in call.get("told", [])]


def load(text: str) -> Any:
    """YAML whose words stay words: `on` too."""
    return yaml.load(text, yaml.BaseLoader)
