"""The data keep their contract, and what breaks it is named."""

from pathlib import Path

import pandas as pd
import pytest

from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import data
from {{ cookiecutter.package_name }}.data import AIRPORT, DATE, TARGET, WEEK

ROOT = Path(__file__).parents[1]


def test_new_data_keep_the_contract(contract: Contract) -> None:
    assert len(data.load(ROOT / "data" / "departures-new.parquet", contract)) > 0


def test_series_and_frame_are_the_same(frame: pd.DataFrame, series: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(data.to_frame(series), frame, check_dtype=False)


def test_missing_days_are_named_by_airport(frame: pd.DataFrame) -> None:
    airport = frame[AIRPORT].iloc[0]
    lost = frame[DATE].isin(pd.to_datetime(["2013-02-08", "2013-02-09", "2013-03-01"])) & (frame[AIRPORT] == airport)
    with pytest.raises(ContractError, match=rf"{airport}: 2013-02-08 to 2013-02-09, 2013-03-01 \(3 missing\)"):
        data.to_series(frame[~lost])


def test_a_day_given_twice_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(ContractError, match="more than once"):
        data.to_series(pd.concat([frame, frame.head(1)]))


def test_a_time_of_day_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(ContractError, match="time of day"):
        data.to_series(frame.assign(**{DATE: frame[DATE] + pd.Timedelta(hours=5)}))


def test_broken_values_are_named(tmp_path: Path, frame: pd.DataFrame, contract: Contract) -> None:
    file = tmp_path / "broken.csv"
    frame.assign(**{TARGET: -1}).to_csv(file, index=False)
    with pytest.raises(ContractError, match=TARGET):
        data.load(file, contract)


def test_the_test_days_are_later_and_whole_weeks(frame: pd.DataFrame) -> None:
    train, test = data.split(frame, 0.2, 14)
    assert len(train) + len(test) == len(frame)
    assert train[DATE].max() < test[DATE].min()
    assert test[DATE].nunique() % WEEK == 0


@pytest.mark.parametrize("fraction", [0, 1, 0.01])
def test_a_split_that_cannot_be_tested_is_refused(frame: pd.DataFrame, fraction: float) -> None:
    with pytest.raises(Problem, match="test_fraction"):
        data.split(frame, fraction, 14)


def test_a_table_survives_saving(tmp_path: Path, frame: pd.DataFrame, contract: Contract) -> None:
    data.Table(frame, contract, "abc").save(tmp_path)
    loaded = data.Table.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.frame, frame)
    assert (loaded.version, loaded.contract) == ("abc", contract)
