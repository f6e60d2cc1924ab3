"""The AzureML environments have what runs and, to train, what trains, and nothing that only developers need."""

from pathlib import Path

import yaml
from mlops_runtime import derived

PROJECT = """\
[project]
dependencies = ["numpy>=2.1"]
[project.optional-dependencies]
job = ["azureml-mlflow>=1.62"]
serve = ["azureml-core>=1.61"]
[dependency-groups]
dev = ["pytest>=8"]
"""


def packages(root: Path, name: str) -> list[str]:
    """What pip installs there."""
    return yaml.safe_load(derived.conda(root, name))["dependencies"][-1]["pip"]


def test_conda_file(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.11\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    assert packages(tmp_path, "train") == ["numpy>=2.1", "azureml-mlflow>=1.62"]
    (tmp_path / "pyproject.toml").write_text(PROJECT + 'train = ["torch>=2.6"]\n', encoding="utf-8")
    assert packages(tmp_path, "train") == ["numpy>=2.1", "torch>=2.6", "azureml-mlflow>=1.62"]
    assert packages(tmp_path, "serve") == ["numpy>=2.1", "azureml-core>=1.61"], "nothing that trains"


def test_only_environments_that_are_there(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.11\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    folder = tmp_path / derived.ENVIRONMENTS
    folder.mkdir(parents=True)
    (folder / "serve.yml").write_text("name: serve\n", encoding="utf-8")
    assert [path.name for path in derived.render(tmp_path)] == ["serve-conda.yml"]
    assert derived.stale(tmp_path) == []
    (folder / "serve-conda.yml").write_text("other\n", encoding="utf-8")
    assert [path.name for path in derived.stale(tmp_path)] == ["serve-conda.yml"]
