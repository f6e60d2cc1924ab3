"""What several test files need: the sample data, once."""

from pathlib import Path

import pandas as pd
import pytest

from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.load(ROOT / "data" / "contract.yml")


@pytest.fixture(scope="session")
def frame(contract: Contract) -> pd.DataFrame:
    """The development data: one row per day and airport."""
    return data.load(ROOT / "data" / "departures.parquet", contract)


@pytest.fixture(scope="session")
def series(frame: pd.DataFrame) -> pd.DataFrame:
    """The same as (days, airports)."""
    return data.to_series(frame)
