"""The AzureML environments have what runs and, to train, what trains, and nothing that only developers need."""

from pathlib import Path

import pytest
import yaml
from mlops_runtime import derived
from mlops_runtime.errors import Problem

PROJECT = """\
[project]
dependencies = ["numpy>=2.1"]
[project.optional-dependencies]
job = ["azureml-mlflow>=1.62"]
[dependency-groups]
dev = ["pytest>=8"]
"""
SERVE = """
[tool.mlops.serve]
packages = ["azureml-core>=1.61"]
python = "3.12"
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
    assert packages(tmp_path, "serve") == ["numpy>=2.1"], "nothing that trains"


@pytest.mark.parametrize(("python", "serves"), [("3.9", "3.9"), ("3.12", "3.12"), ("3.13", "3.12")])
def test_what_serving_needs_besides(tmp_path: Path, python: str, serves: str) -> None:
    (tmp_path / ".python-version").write_text(f"{python}\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT + SERVE, encoding="utf-8")
    assert packages(tmp_path, "serve") == ["numpy>=2.1", "azureml-core>=1.61"]
    assert f"python={serves}" in yaml.safe_load(derived.conda(tmp_path, "serve"))["dependencies"]
    assert f"python={python}" in yaml.safe_load(derived.conda(tmp_path, "train"))["dependencies"]


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


def test_extras_of_the_images(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.11\n", encoding="utf-8")
    chosen = '[tool.mlops.extras]\nserve = ["job"]\n'
    (tmp_path / "pyproject.toml").write_text(PROJECT + chosen, encoding="utf-8")
    assert packages(tmp_path, "serve") == ["numpy>=2.1", "azureml-mlflow>=1.62"]
    (tmp_path / "pyproject.toml").write_text(PROJECT + chosen.replace("job", "jib"), encoding="utf-8")
    with pytest.raises(Problem, match="no extra 'jib' among job"):
        derived.conda(tmp_path, "serve")
