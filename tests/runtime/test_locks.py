"""What Azure ML installs is what uv.lock says, dependencies of dependencies included."""

import subprocess
import zipfile
from pathlib import Path

import pytest
from mlops_runtime import derived
from mlops_runtime.cloud import locks
from mlops_runtime.errors import Problem

PROJECT = """
[project]
name = "toy"
version = "1"
requires-python = ">=3.11"
dependencies = ["outer>=1"]
[project.optional-dependencies]
job = ["azureml-mlflow>=1"]
large = ["larger>=1"]
[dependency-groups]
train = ["torch>=2"]
[tool.mlops.extras]
serve = ["large"]
"""


def wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    """A package without content."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {n}" for n in needs)]
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as file:
        file.writestr(f"{stem}.dist-info/METADATA", "\n".join(lines))
        file.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{stem}.dist-info/RECORD", "")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a derived conda file for each environment, locked."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, version, *needs in (
        ("outer", "1.5", "inner"),
        ("inner", "0.3"),
        ("azureml-mlflow", "1.2"),
        ("torch", "2.9"),
        ("larger", "2.0"),
    ):
        wheel(wheels, name, version, *needs)
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / ".python-version").write_text("3.11\n", encoding="utf-8")
    for name in ("train", "serve"):
        file = tmp_path / derived.ENVIRONMENTS / f"{name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    derived.render(tmp_path)
    lock = ["uv", "lock", "--quiet", "--no-config", "--no-index", "--find-links", str(wheels)]
    subprocess.run(lock, cwd=tmp_path, check=True)
    return tmp_path


def pip(project: Path, name: str) -> set[str]:
    return set(locks.locked(project, name)["dependencies"][-1]["pip"])


def test_exact_versions(project: Path) -> None:
    assert pip(project, "serve") == {"outer==1.5", "inner==0.3", "larger==2.0"}
    assert pip(project, "train") == {"outer==1.5", "inner==0.3", "torch==2.9", "azureml-mlflow==1.2"}


def test_ranges_without_a_lock(project: Path) -> None:
    (project / "uv.lock").unlink()
    assert pip(project, "serve") == {"outer>=1", "larger>=1"}


def test_packages_that_the_lock_does_not_know(project: Path) -> None:
    with (project / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('[tool.mlops.serve]\npackages = ["azureml-core>=1"]\n')
    derived.render(project)
    assert pip(project, "serve") == {"outer>=1", "larger>=1", "azureml-core>=1"}


def test_a_lock_that_cannot_be_read(project: Path) -> None:
    (project / "uv.lock").write_text("version = 'x'\n", encoding="utf-8")
    with pytest.raises(Problem, match=r"uv cannot read uv\.lock"):
        locks.locked(project, "serve")
