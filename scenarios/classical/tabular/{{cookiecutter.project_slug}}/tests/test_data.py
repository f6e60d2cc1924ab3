"""The data contract finds what is wrong with data, and the split never lets the future into training."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import data
from {{ cookiecutter.package_name }}.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["flights.parquet", "flights-new.parquet"])
def test_sample_keeps_the_contract(name: str, contract: Contract) -> None:
    frame = data.load(ROOT / "data" / name, contract)
    assert list(frame.columns) == list(contract.columns)


def set_first(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A fault: one value of a column is replaced."""

    def plant(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object)
        values.iloc[0] = value
        return frame.assign(**{column: values})

    return plant


@pytest.mark.parametrize(
    ("plant", "column", "rule"),
    [
        (lambda frame: frame.drop(columns="dest"), "dest", "lacks the column"),
        (lambda frame: frame.head(20), "20 rows", "asks for 500"),
        (lambda frame: frame.assign(flight_id=7), "flight_id", "unique"),
        (set_first("carrier", None), "carrier", "must not be null"),
        (set_first("carrier", "United Airlines"), "carrier", "at most 2 characters"),
        (set_first("origin", "CDG"), "origin", "one of"),
        (set_first("distance", -5), "distance", "at least 10"),
        (set_first("distance", "far"), "distance", "type"),
        (set_first("humidity", 140.0), "humidity", "at most 100"),
        (set_first("scheduled_departure", "soon"), "scheduled_departure", "type"),
        (set_first("arrival_late", 2), "arrival_late", "one of"),
        (set_first("air_time", 4000), "air_time", "at most 1000"),
    ],
)
def test_fault_is_named(
    plant: Callable[[pd.DataFrame], pd.DataFrame], column: str, rule: str, raw: Path, contract: Contract, tmp_path: Path
) -> None:
    broken = plant(pd.read_parquet(raw).head(600))
    broken.to_csv(tmp_path / "broken.csv", index=False)
    with pytest.raises(ContractError) as caught:
        data.load(tmp_path / "broken.csv", contract)
    lines = [line for line in str(caught.value).splitlines() if column in line and rule in line]
    assert lines, str(caught.value)


def test_missing_weather_is_allowed(raw: Path, contract: Contract) -> None:
    assert data.load(raw, contract)["pressure"].isna().any()


def test_csv_and_parquet_give_the_same(raw: Path, contract: Contract, tmp_path: Path) -> None:
    frame = data.load(raw, contract)
    frame.to_csv(tmp_path / "flights.csv", index=False)
    pd.testing.assert_frame_equal(data.load(tmp_path / "flights.csv", contract), frame)


def test_other_kinds_of_file_are_refused(contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"neither Parquet nor CSV"):
        data.load(tmp_path / "flights.xlsx", contract)


def test_unknown_target_is_refused(contract: Contract) -> None:
    with pytest.raises(Problem, match=r"'distance'.*arrival_late"):
        data.parse_target("arrival_late, distance", contract)


def test_other_targets_are_left_out(raw: Path, contract: Contract) -> None:
    train, test = prepare(raw, contract, "air_time", 0.25)
    for table in (train, test):
        assert list(table.targets) == ["air_time"]
        assert not {"arrival_late", "departure_late", "arrival_delay_class"} & set(table.frame)
        assert not {"air_time", "flight_id"} & set(table.inputs)


def test_split_follows_time(raw: Path, contract: Contract) -> None:
    frame = data.load(raw, contract).sample(frac=1, random_state=0)
    train, test = data.split(frame, "scheduled_departure", 0.25)
    assert len(train) + len(test) == len(frame)
    assert len(test) == pytest.approx(0.25 * len(frame), rel=0.02)
    assert train["scheduled_departure"].max() < test["scheduled_departure"].min()


def test_split_without_time_keeps_the_order() -> None:
    train, test = data.split(pd.DataFrame({"x": range(10)}), None, 0.3)
    assert (train["x"].tolist(), test["x"].tolist()) == (list(range(7)), [7, 8, 9])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 25.0])
def test_senseless_test_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(Problem, match="between 0 and 1"):
        data.split(pd.DataFrame({"x": range(10)}), None, fraction)


def test_split_of_one_moment_is_refused() -> None:
    frame = pd.DataFrame({"at": pd.to_datetime(["2013-01-01"] * 10)})
    with pytest.raises(Problem, match="leaves no rows"):
        data.split(frame, "at", 0.25)


def test_table_survives_saving(train_table: data.Table, tmp_path: Path) -> None:
    train_table.save(tmp_path)
    again = data.Table.load(tmp_path)
    pd.testing.assert_frame_equal(again.frame, train_table.frame)
    assert (again.contract, again.version) == (train_table.contract, train_table.version)
