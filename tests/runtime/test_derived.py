"""The AzureML environment has what runs and what trains, and nothing that only developers need."""

from pathlib import Path

import yaml
from mlops_runtime import derived

PROJECT = """\
[project]
dependencies = ["numpy>=2.1"]
[project.optional-dependencies]
job = ["azureml-mlflow>=1.62"]
[dependency-groups]
dev = ["pytest>=8"]
"""


def packages(root: Path) -> list[str]:
    """What pip installs there."""
    return yaml.safe_load(derived.conda(root))["dependencies"][-1]["pip"]


def test_conda_file(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.11\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    assert packages(tmp_path) == ["numpy>=2.1", "azureml-mlflow>=1.62"]
    (tmp_path / "pyproject.toml").write_text(PROJECT + 'train = ["torch>=2.6"]\n', encoding="utf-8")
    assert packages(tmp_path) == ["numpy>=2.1", "torch>=2.6", "azureml-mlflow>=1.62"]
