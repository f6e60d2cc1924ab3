"""The data contract finds planted faults in tables and in requests alike, and names column, rule and count."""

from pathlib import Path

import pandas as pd
import pytest
from mlops_runtime.contract import Contract, ContractError

TEXT = """\
name: orders
min_rows: 2
unique: [id]
columns:
  id: {type: string, role: id}
  at: {type: datetime, role: time}
  size: {type: integer, role: feature, min: 1, max: 10}
  weight: {type: number, role: feature, nullable: true, min: 0}
  kind: {type: string, role: feature, values: [a, b]}
  name: {type: string, role: feature, min_length: 2, max_length: 5}
  gift: {type: boolean, role: feature}
  late: {type: integer, role: target, values: [0, 1]}
"""
ROW = ["x", "2024-01-01T10:00:00", 3, 1.5, "a", " Ed ", True, 0]


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    path = tmp_path / "contract.yml"
    path.write_text(TEXT)
    return Contract.load(path)


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["x", "y"],
            "at": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            "size": [1, 2],
            "weight": [1.5, None],
            "kind": ["a", "b"],
            "name": ["Ed", " Eve "],
            "gift": [True, False],
            "late": [0, 1],
            "extra": [9, 9],
        }
    )


def test_a_good_table_keeps_only_the_contract_s_columns(contract: Contract) -> None:
    assert list(contract.validate_table(frame())) == list(contract.columns)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("size", [1, 11], "column size: must be at most 10: 1 value"),
        ("size", [1, None], "size"),
        ("kind", ["a", "z"], "column kind: must be one of ['a', 'b']"),
        ("kind", ["a", None], "kind"),
        ("name", ["Ed", " E  "], "column name: must be at least 2 characters besides white space around them: 1 value"),
        ("name", ["Ed", "Edward"], "column name: must be at most 5 characters"),
        ("id", ["x", "x"], "must be unique"),
        ("weight", ["heavy", 1], "weight"),
        ("late", [0, 2], "column late"),
    ],
)
def test_faults_in_a_table_are_named(contract: Contract, column: str, values: list[object], message: str) -> None:
    with pytest.raises(ContractError) as caught:
        contract.validate_table(frame().assign(**{column: values}), "orders.csv")
    assert message in str(caught.value)
    assert "orders.csv" in str(caught.value)


def test_missing_columns_and_rows(contract: Contract) -> None:
    with pytest.raises(ContractError, match="lacks the column size"):
        contract.validate_table(frame().drop(columns="size"))
    with pytest.raises(ContractError, match="has 1 rows"):
        contract.validate_table(frame().head(1))


def test_a_good_request(contract: Contract) -> None:
    assert contract.problems(list(contract.columns), [ROW, [*ROW[:3], None, *ROW[4:]]]) == []


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 5, "column id: must be text"),
        (0, "x" * 300, "at most 256"),
        (1, "yesterday", "ISO 8601"),
        (2, 0, "0 is below 1"),
        (2, 2.5, "whole number"),
        (2, True, "whole number"),
        (2, 10**30, "64 bits"),
        (3, float("nan"), "finite"),
        (3, 10**400, "finite"),
        (3, -1, "below 0"),
        (4, "z", "not one of"),
        (4, None, "is null"),
        (5, " E ", "at least 2 characters"),
        (6, 1, "true or false"),
        (7, [0], "must be a whole number, not a list"),
    ],
)
def test_faults_in_a_request_are_named(contract: Contract, position: int, value: object, message: str) -> None:
    row = [*ROW[:position], value, *ROW[position + 1 :]]
    (problem,) = contract.problems(list(contract.columns), [row])
    assert problem.startswith("row 0")
    assert message in problem


def test_faults_in_a_request_s_shape(contract: Contract) -> None:
    columns = list(contract.columns)
    assert "missing: late" in contract.problems(columns[:-1], [])[0]
    assert "unknown: lat" in contract.problems([*columns[:-1], "lat"], [])[0]
    assert contract.problems([*columns[:-1], "id"], [])
    assert "list of 8 values" in contract.problems(columns, [[1]])[0]
    assert len(contract.problems(columns, [[1]] * 50)) == 10


def test_save_and_load(contract: Contract, tmp_path: Path) -> None:
    contract.only(["id", "size"]).save(tmp_path / "saved.json")
    assert list(Contract.load(tmp_path / "saved.json").columns) == ["id", "size"]


def test_bytes() -> None:
    inputs = Contract.model_validate(
        {"name": "files", "columns": {"content": {"type": "bytes", "role": "feature", "max_length": 4}}}
    )
    good = pd.DataFrame({"content": [b"abcd", b""]})
    pd.testing.assert_frame_equal(inputs.validate_table(good), good)
    for value, rule in ((b"abcde", "at most 4 bytes"), ("abcd", "must be bytes"), (None, "must not be null")):
        with pytest.raises(ContractError, match=rule):
            inputs.validate_table(pd.DataFrame({"content": [b"abcd", value]}))
    assert inputs.problems(["content"], [["YWJjZA=="], [""]]) == []
    requests = {"YWJjZGU=": "more than 4 bytes", "häm": "is not base64 text", 3: "must be base64 text, not a number"}
    for sent, reason in requests.items():
        (said,) = inputs.problems(["content"], [[sent]])
        assert said == f"row 0, column content: {said.partition(': ')[2]}"
        assert reason in said
