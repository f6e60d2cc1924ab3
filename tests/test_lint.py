"""Generated files satisfy the linters that their users would run; each linter is seen finding a planted fault."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import TEMPLATE, Environment, some_quick
from .tasks import ANSWERS, SCENARIOS, one_at_a_time
from .test_structure import task_ids

Baked = Callable[..., Path]
PROJECTS = [("regression", "batch"), ("segmentation", "kubernetes"), *((task, "online") for task in task_ids)]
YAMLLINT = (
    "{extends: default, rules: {document-start: disable, line-length: {max: 160}, truthy: {check-keys: false}, "
    "comments: {min-spaces-from-content: 1}}}"
)


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = map(str, command)
    path = Path(sys.executable).with_name(program)
    return subprocess.run([path, *arguments], cwd=cwd, capture_output=True, encoding="utf-8", check=False)


CHECKS = {
    "ruff check": ["ruff", "check", "--no-cache", "."],
    "ruff format": ["ruff", "format", "--no-cache", "--check", "."],
    "yamllint": ["yamllint", "-s", "-d", YAMLLINT, "."],
    "actionlint": ["actionlint"],
    "zizmor": ["zizmor", "--offline", "--persona", "pedantic", "."],
    "dependabot schema": ["check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml"],
    "workflow schema": ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"],
}
FAULTS = {
    "ruff check": ("src/taxi_fares/data.py", "\nimport os\n"),
    "ruff format": ("src/taxi_fares/data.py", "\nx = [1,2]\n"),
    "yamllint": ("config/dev.yml", "contacts: {}\n"),
    "actionlint": (".github/workflows/ci.yml", "      - run: echo ${{ matrix.none }}\n"),
    "zizmor": (".github/workflows/ci.yml", "      - uses: actions/checkout@v7\n"),
    "dependabot schema": (".github/dependabot.yml", "nothing: 1\n"),
    "workflow schema": (".github/workflows/ci.yml", "nothing: 1\n"),
}


@pytest.fixture
def repository(baked: Baked, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a baked project that is a git repository, as actionlint wants it."""
    root = tmp_path / "project"
    shutil.copytree(baked(*getattr(request, "param", PROJECTS[0])), root)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


@pytest.mark.parametrize("repository", some_quick(PROJECTS, 2), indirect=True, ids="-".join)
def test_generated_files(repository: Path) -> None:
    for name, command in CHECKS.items():
        done = run(*command, cwd=repository)
        assert done.returncode == 0, f"{name}:\n{done.stdout}{done.stderr}"


OTHERS = [
    {key: answers[key] for key in ("ci_system", "iac_tool")}
    for answers in one_at_a_time()
    if any(answers[key] != ANSWERS[key][0] for key in ("ci_system", "iac_tool"))
]


@pytest.mark.full
@pytest.mark.parametrize("others", OTHERS, ids=lambda others: "-".join(others.values()))
def test_files_of_other_systems_and_tools(baked: Baked, others: dict[str, str]) -> None:
    """With what is there whatever the answers; the rest is in tests/ci and tests/infrastructure."""
    root = baked("classification", **others)
    for name in ("ruff check", "ruff format", "yamllint"):
        done = run(*CHECKS[name], cwd=root)
        assert done.returncode == 0, f"{name}:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("check", CHECKS)
def test_planted_faults_are_found(repository: Path, check: str) -> None:
    name, text = FAULTS[check]
    path = repository / name
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    assert run(*CHECKS[check], cwd=repository).returncode != 0


def test_the_template_itself() -> None:  # its workflows are in test_repository.py
    for command in (CHECKS["ruff check"], CHECKS["ruff format"], ["shellcheck", ".ci/run"]):
        done = run(*command, cwd=TEMPLATE)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.full
@pytest.mark.parametrize(
    ("version", "projects"),  # the oldest and the newest
    [
        ("3.11", [*((*project, {}) for project in PROJECTS), *(("classification", "online", one) for one in OTHERS)]),
        ("3.13", [(tasks[0], "online", {}) for tasks in SCENARIOS.values()]),
    ],
    ids=["3.11", "3.13"],
)
def test_types(
    baked: Baked,
    installed: Environment,
    version: str,
    projects: list[tuple[str, str, dict[str, str]]],
    tmp_path: Path,
) -> None:
    check = ["-m", "mypy", "--python-version", version, "--cache-dir", tmp_path / "cache"]
    project = tmp_path / "project"  # always the same, so that what they share is read once
    for task, deployment, others in projects:
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(baked(task, deployment, **others), project)
        installed.run(*check, cwd=project)
    broken = project / "src/taxi_fares/data.py"
    broken.write_text(broken.read_text(encoding="utf-8") + '\nnumber: int = "text"\n', encoding="utf-8")
    done = installed.run(*check, cwd=project, check=False)
    assert "Incompatible types" in done.stdout


@pytest.mark.full
def test_types_of_the_template(tmp_path: Path) -> None:
    done = run("mypy", "--cache-dir", tmp_path, cwd=TEMPLATE)
    assert done.returncode == 0, done.stdout
