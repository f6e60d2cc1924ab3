"""The generated GitHub workflow is executed on this machine by act; stubs stand in for the published actions."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.full
Baked = Callable[..., Path]
WORKFLOW = Path(".github", "workflows", "ci.yml")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# Says which patterns find files; the real action takes any.
KEEP_FILES = """\
    - shell: bash
      run: |
        while read -r pattern; do
          if compgen -G "$pattern" >/dev/null; then echo "kept $pattern"; fi
        done <<< "${{ inputs.path }}"
"""
DO_NOTHING = "    - {shell: bash, run: 'true'}\n"


def stub_actions(folder: Path, workflow: dict[str, dict[str, dict[str, list[dict[str, str]]]]]) -> list[str]:
    """Make a stub for every action that the workflow uses; return act's arguments that put them in place."""
    arguments = []
    used = {step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step}
    for reference in sorted(used):
        action, _, commit = reference.partition("@")
        assert re.fullmatch(r"[0-9a-f]{40}", commit), f"{reference} is not pinned to a commit"
        stub = folder / action
        stub.mkdir(parents=True)
        steps = KEEP_FILES if action == "actions/upload-artifact" else DO_NOTHING
        inputs = "inputs: {path: {required: false}}"
        text = f"name: stub\ndescription: stub\n{inputs}\nruns:\n  using: composite\n  steps:\n{steps}"
        (stub / "action.yml").write_text(text, encoding="utf-8")
        commit_all(stub)
        arguments += ["--local-repository", f"{reference}={stub}"]
    return arguments


def commit_all(folder: Path) -> None:
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Start"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


@pytest.fixture
def repository(baked: Baked, tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    shutil.copytree(baked("classification"), root)
    return root


def act(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the workflow as a push would, its steps on this machine, with the Python that runs these tests."""
    commit_all(root)
    tools = Path(sys.executable).parent  # act, uv
    workflow = yaml.safe_load((root / WORKFLOW).read_text(encoding="utf-8"))
    command = [
        *(tools / "act", "push", "--platform", "ubuntu-24.04=-self-hosted", "--matrix", f"python:{PYTHON}"),
        *("--env", f"UV_PYTHON={PYTHON}", "--concurrent-jobs", "1", "--no-cache-server"),
        *("--artifact-server-addr", "127.0.0.1", "--cache-server-addr", "127.0.0.1"),
        *("--action-cache-path", root.parent / "act"),
        *stub_actions(root.parent / "stubs", workflow),
        *arguments,
    ]
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "UV_NO_PROGRESS": "1"}
    environment.pop("VIRTUAL_ENV", None)
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)


def test_every_job_succeeds(repository: Path) -> None:
    done = act(repository)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    workflow = yaml.safe_load((repository / WORKFLOW).read_text(encoding="utf-8"))
    assert done.stdout.count("Job succeeded") == len(workflow["jobs"])
    assert re.search(r"\d+ passed", done.stdout)
    assert re.search(r"Registered \S+ version 1\.", done.stdout)
    kept = set(re.findall(r"kept (\.\S+)", done.stdout))
    # The third pattern is where a failed step leaves its log.
    assert kept == {".mlops/steps/*/*/log.txt", ".mlops/steps/evaluate/*/outputs/evaluation/"}


def test_a_fault_stops_the_workflow(repository: Path) -> None:
    (repository / "src/mlops_runtime/fault.py").write_text("import os\n", encoding="utf-8")
    done = act(repository, "--job", "test")
    assert done.returncode != 0
    assert "Failure - Main Lint" in done.stdout
