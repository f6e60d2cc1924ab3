"""What several tests need: the sample data in small, prepared once."""

from pathlib import Path

import pandas as pd
import pytest

from mlops_runtime import evaluation
from mlops_runtime.config import Shared, load_shared
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data
from {{ cookiecutter.package_name }}.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _quick_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "RESAMPLES", 20)


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The data contract."""
    return Contract.load(ROOT / "data" / "contract.yml")


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file with every sixth flight."""
    path = tmp_path_factory.mktemp("raw") / "flights.parquet"
    pd.read_parquet(ROOT / "data" / "flights.parquet").iloc[::6].to_parquet(path, index=False)
    return path


@pytest.fixture(scope="session")
def settings() -> Shared:
    """config/shared.yml, with cohorts small enough for the small data and limits that any model keeps."""
    shared = load_shared(ROOT / "config" / "shared.yml")
    cohorts = shared.gates.cohorts.model_copy(update={"columns": ["origin"], "min_rows": 100, "max_gap": 10.0})
    return shared.model_copy(update={"gates": shared.gates.model_copy(update={"metrics": {}, "cohorts": cohorts})})


@pytest.fixture(scope="session")
def tables(raw: Path, contract: Contract, settings: Shared) -> tuple[data.Table, data.Table]:
    """The training and the test table for the target in config/shared.yml."""
    return prepare(raw, contract, str(settings.training["target"]), 0.25)


@pytest.fixture(scope="session")
def train_table(tables: tuple[data.Table, data.Table]) -> data.Table:
    """The rows to train on."""
    return tables[0]


@pytest.fixture(scope="session")
def test_table(tables: tuple[data.Table, data.Table]) -> data.Table:
    """The rows to test on, all later."""
    return tables[1]
