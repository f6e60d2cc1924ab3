"""A project that is small enough to register models of it within a test."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import mlops_runtime
import pytest

from . import toy

MODEL = """\
import json
from pathlib import Path
import pandas as pd

class Doubler:
    inputs = ["x"]
    def __init__(self, factor):
        self.factor = factor
    def predict(self, frame, params=None):
        return pd.DataFrame({"y": frame["x"] * self.factor})

def load(folder):
    return Doubler(json.loads(Path(folder, "factor.json").read_text()))

def _load_pyfunc(path):
    return load(path)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project in the current folder whose models can be registered."""
    toy.write(tmp_path)
    (tmp_path / "src/toymodel").mkdir()
    (tmp_path / "src/toymodel/__init__.py").write_text("")
    (tmp_path / "src/toymodel/model.py").write_text(MODEL)
    shutil.copytree(Path(mlops_runtime.__file__).parent, tmp_path / "src/mlops_runtime")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    yield tmp_path
    sys.modules.pop("toymodel", None)
    sys.modules.pop("toymodel.model", None)
