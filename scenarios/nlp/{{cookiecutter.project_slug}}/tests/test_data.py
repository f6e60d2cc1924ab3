"""The data contract finds what is wrong with data, and the split keeps training texts out of the test."""

from pathlib import Path

import pandas as pd
import pytest

from mlops_runtime.contract import Contract, ContractError
from mlops_runtime.errors import Problem

from .conftest import ROOT, Tables
from {{ cookiecutter.package_name }} import data, tables


@pytest.mark.parametrize("name", ["tickets", "tickets-hard", "tickets-new"])
def test_sample_keeps_the_contract(name: str, contract: Contract) -> None:
    frame = data.load(ROOT / "data" / f"{name}{data.SUFFIX}", contract)
    assert list(frame.columns) == list(contract.columns)


@pytest.fixture(scope="module")
def frame(raw: Path, contract: Contract) -> pd.DataFrame:
    """A table that keeps the contract."""
    return data.load(raw, contract)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("ticket_id", 0, "at least 1"),
        ("created", "soon", "type"),
        ("language", "xx", "one of"),
        ("channel", None, "must not be null"),
        ("text", "  a ", "at least 3 characters"),
        ("text", "x" * 4001, "at most 4000 characters"),
        ("text", None, "must not be null"),
    ],
)
def test_fault_is_named(column: str, value: object, rule: str, frame: pd.DataFrame, contract: Contract) -> None:
    values = frame[column].astype(object)
    values.iloc[0] = value
    with pytest.raises(ContractError) as caught:
        contract.validate_table(frame.assign(**{column: values}))
    lines = [line for line in str(caught.value).splitlines() if column in line and rule in line]
    assert lines, str(caught.value)


def test_a_file_of_another_kind_is_refused(contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "tickets.xlsx").write_bytes(b"PK")
    with pytest.raises(Problem, match=r"tickets\.xlsx"):
        data.load(tmp_path / "tickets.xlsx", contract)


def test_unknown_target_is_refused(contract: Contract) -> None:
    with pytest.raises(Problem, match="'text' has not the role target"):
        tables.for_target(contract, "text")


def test_a_cohort_can_be_the_target(contract: Contract) -> None:
    changed = tables.for_target(contract, "language")
    assert changed.names("target") == ["language"]
    assert changed.names("cohort") == ["channel"]


def test_split_follows_time_and_leaves_no_text_in_both(tables: Tables) -> None:
    train, test, _ = tables
    assert train.frame["created"].max() <= test.frame["created"].min()
    assert not set(train.frame["text"]) & set(test.frame["text"])
    assert len(test.frame) == pytest.approx(len(train.frame) / 3, rel=0.1)


def test_prepared_texts_are_masked(tables: Tables) -> None:
    for table in tables:
        assert not table.frame["text"].str.contains("@").any()
        assert not table.frame["text"].str.contains(r"\+49").any()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 25.0])
def test_senseless_test_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(Problem, match="between 0 and 1"):
        tables.split(pd.DataFrame({"text": list("abcdefghij")}), None, fraction)


def test_nothing_but_repetitions_is_refused() -> None:
    with pytest.raises(Problem, match="no new texts"):
        tables.split(pd.DataFrame({"text": ["the same"] * 10}), None, 0.25)


def test_table_survives_saving(tables: Tables, tmp_path: Path) -> None:
    tables[0].save(tmp_path)
    again = type(tables[0]).load(tmp_path)
    pd.testing.assert_frame_equal(again.frame, tables[0].frame)
    assert (again.contract, again.version) == (tables[0].contract, tables[0].version)
