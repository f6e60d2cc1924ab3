"""Bake projects once a session, and install once what generated projects need, shared by all workers."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.main import cookiecutter
from filelock import FileLock

from .tasks import ALL, ANSWERS, BY_NAME

TEMPLATE = Path(__file__).resolve().parents[1]
SLUG_FOLDER = "{{cookiecutter.project_slug}}"

Bake = Callable[..., Path]

# The machinery is imported from a copy: a __pycache__ beside the original would be generated into every project.
machinery = tempfile.TemporaryDirectory(prefix="machinery-")
for layer in ("", "ci", "deployments", "deployments/live", "deployments/batch"):
    shutil.copytree(
        TEMPLATE / layer / SLUG_FOLDER / "src" / "mlops_runtime",
        Path(machinery.name, "mlops_runtime"),
        ignore=shutil.ignore_patterns("target.py"),  # a project has one of them
        dirs_exist_ok=True,
    )
sys.path.insert(0, machinery.name)


def some_quick(values: Iterable[Any], number: int = 1) -> list[Any]:
    """Values of a parameter, all but the first of which are for the full suite."""
    return [value if n < number else pytest.param(value, marks=pytest.mark.full) for n, value in enumerate(values)]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, because many tests wait for what Azure would take its time for."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's own Cookiecutter and git settings out, and let Python cache what it compiles."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    settings = tmp_path_factory.mktemp("settings")
    (settings / "cookiecutter.yml").write_text(
        json.dumps({"cookiecutters_dir": str(settings / "templates"), "replay_dir": str(settings / "replay")})
    )
    os.environ["COOKIECUTTER_CONFIG"] = str(settings / "cookiecutter.yml")
    for name in ("AUTHOR", "COMMITTER"):
        os.environ[f"GIT_{name}_NAME"], os.environ[f"GIT_{name}_EMAIL"] = "Test", "test@example.com"


@pytest.fixture
def bake(tmp_path: Path) -> Bake:
    """Generate a project into a folder of the test's own."""

    def generate(**answers: str) -> Path:
        return Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(tmp_path), extra_context=answers))

    return generate


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def baked(shared: Path) -> Callable[..., Path]:
    """The project of a task, a deployment target and other answers, generated once a session: only read it."""

    def get(task: str, deployment: str = "online", **others: str) -> Path:
        answers = {"scenario": BY_NAME[task].scenario, "task": task, "deployment": deployment}
        answers |= {key: value for key, value in others.items() if key != "scenario" and value != ANSWERS[key][0]}
        name = "-".join([deployment, task, *list(answers.values())[3:]])
        folder = shared / "baked" / name
        with FileLock(shared / f"baked-{name}.lock"):
            if not folder.exists():
                answers["project_name"] = "Taxi Fares"
                cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder), extra_context=answers)
        return folder / "taxi-fares"

    return get


@pytest.fixture
def plug_ins_of(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Give the machinery in this process the plug-ins of some layers ("ci/github-actions" …) until the test ends."""
    package = importlib.import_module("mlops_runtime")
    original = list(package.__path__)
    folders: list[str] = []

    def forget() -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(tuple(folders)):
                del sys.modules[name]
                delattr(package, name.rpartition(".")[2])

    def use(*layers: str) -> None:
        forget()
        folder = tmp_path_factory.mktemp("plug-ins")
        folders.append(f"{folder}{os.sep}")
        for layer in layers:
            for file in (TEMPLATE / layer / SLUG_FOLDER / "src" / "mlops_runtime").glob("*.py"):
                shutil.copy(file, folder)
        monkeypatch.setattr(package, "__path__", [*original, str(folder)])
        importlib.invalidate_caches()

    yield use
    if folders:
        forget()


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    python: Path

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return self.python.parent

    def run(self, *arguments: object, cwd: Path, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Run its Python with `cwd`/src importable; on failure the test fails with what was printed."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(cwd / "src"),
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=cwd,
            env={**environment, **more},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{arguments} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    def mlops(self, *arguments: object, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the project's command line."""
        return self.run("-m", "mlops_runtime.cli", *arguments, cwd=cwd, check=check)


def wheel_folders() -> list[str]:
    """Where pip, which uv does not ask, is told to look for wheels besides the index."""
    pip = shutil.which("pip")
    if not pip:
        return []
    asked = [pip, "config", "get", "global.find-links"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()


def install(folder: Path, requirements: list[str]) -> Environment:
    """Make a virtual environment with uv; PyTorch as its CPU build."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            own_wheels = [word for link in wheel_folders() for word in ("--find-links", link)]
            own_wheels = own_wheels or ["--torch-backend", "cpu"]
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder], check=True)
            command = [*uv, "pip", "install", "-q", "--python", python, *own_wheels, *requirements]
            subprocess.run(command, check=True)
            (folder / "ready").touch()
    return Environment(python)


def requirements_of(project: Path, *extras: str, groups: bool = True) -> list[str]:
    """The dependencies that a generated project declares, with those extras; the groups are for training and tests."""
    content = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    optional = content["project"].get("optional-dependencies", {})
    chosen = [package for extra in extras for package in optional[extra]]
    more = [package for group in content["dependency-groups"].values() for package in group if groups]
    return [*content["project"]["dependencies"], *chosen, *more]


@pytest.fixture(scope="session")
def installed(shared: Path, baked: Callable[..., Path]) -> Environment:
    """An environment with what every generated project needs, optional model families included."""
    needed = {one for task in ALL for one in requirements_of(baked(task.name), *task.extras)} | {"torch==2.13.0"}
    return install(shared / "installed", sorted(needed))


@pytest.fixture(scope="session")
def azure(shared: Path, baked: Callable[..., Path]) -> Environment:
    """An environment with the Azure SDK and Azure ML's MLflow plug-in."""
    needed = {one for task in ALL for one in requirements_of(baked(task.name), "azure", "job", groups=False)}
    return install(shared / "azure", sorted(needed))


@pytest.fixture(scope="session")
def used(shared: Path, baked: Callable[..., Path], installed: Environment) -> Callable[[str], Path]:
    """A project of the task whose pipeline has run once: git repository, registered model, reports."""

    def get(task: str) -> Path:
        root = shared / "used" / task
        with FileLock(shared / f"used-{task}.lock"):
            if not (root / "ran").exists():
                shutil.rmtree(root, ignore_errors=True)
                shutil.copytree(baked(task), root)
                for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Start"]):
                    subprocess.run(["git", *command], cwd=root, check=True)
                done = installed.mlops("run", cwd=root)
                (root / "ran").write_text(done.stdout, encoding="utf-8")
        return root

    return get
