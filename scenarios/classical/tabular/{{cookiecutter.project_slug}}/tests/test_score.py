"""The scoring script behind the real inference server: right answers, and a 4xx with the reason for bad requests."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_runtime import serving, tracking
from mlops_runtime.collecting import load_collected
from mlops_runtime.commands.serve import running
from mlops_runtime.contract import Contract, ContractError

from .conftest import ROOT
from {{ cookiecutter.package_name }} import model, score
from {{ cookiecutter.package_name }}.data import Table

PACKAGE = "{{ cookiecutter.package_name }}"


@pytest.fixture(scope="module")
def fitted(tables: tuple[Table, Table]) -> model.Model:
    return model.fit(tables[0].inputs, tables[0].targets, "gradient_boosting", {}, 0)


@pytest.fixture(scope="module")
def deployed(
    fitted: model.Model, tables: tuple[Table, Table], contract: Contract, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The model as it is registered."""
    folder = tmp_path_factory.mktemp("deployed")
    fitted.save(folder / "files")
    serving.request_contract(contract, fitted.inputs).save(folder / "files" / "inputs.yml")
    example = tables[1].inputs.dropna().head(20)
    tracking.save_model(folder / "model", folder / "files", PACKAGE, example, fitted.predict(example))
    return folder / "model"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where requests are collected."""
    return tmp_path_factory.mktemp("collected")


@pytest.fixture(scope="module")
def port(deployed: Path, collected: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the model is served."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = int(probe.getsockname()[1])
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_COLLECT_TO", str(collected))
        with running(ROOT, PACKAGE, deployed, "1", folder / "server.log", free):
            yield free


def ask(port: int, body: Any, path: str = "/score") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    text = body if isinstance(body, str | None) else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """What a client sends for these rows."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
    return rows


@pytest.fixture
def row(tables: tuple[Table, Table]) -> dict[str, Any]:
    """A good row."""
    return as_rows(tables[1].inputs.dropna().head(1))[0]


def test_the_server_answers_what_the_model_predicts(
    port: int, fitted: model.Model, tables: tuple[Table, Table]
) -> None:
    frame = tables[1].inputs.head(50)
    expected = fitted.predict(frame)
    data = [list(row.values()) for row in as_rows(frame)]
    for body in (as_rows(frame), {"columns": list(frame), "data": data}):
        status, answer = ask(port, {"input_data": body})
        assert status == 200, answer
        pd.testing.assert_frame_equal(pd.DataFrame(answer["predictions"]), expected, check_dtype=False)


def test_requests_are_collected(port: int, row: dict[str, Any], collected: Path) -> None:
    before = load_collected(collected, "1")
    for sent in (row, {**row, "distance": -1}):
        ask(port, {"input_data": [sent]})
    after = load_collected(collected, "1")
    assert len(after.requests) == len(before.requests) + 1
    assert len(after.refused) == len(before.refused) + 1


def test_missing_numbers_and_unknown_airports_are_answered(port: int, row: dict[str, Any]) -> None:
    status, answer = ask(port, {"input_data": [{**row, "temperature": None, "dest": "ZZZ"}]})
    assert status == 200, answer


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"distance": None}, "distance: is null"),
        ({"distance": "far"}, "distance: must be a whole number"),
        ({"distance": -1}, "distance: -1 is below"),
        ({"origin": "BOS"}, "origin: 'BOS' is not one of"),
        ({"scheduled_departure": "noon"}, "scheduled_departure: 'noon' is not"),
        ({"colour": "red"}, "unknown: colour"),
    ],
)
def test_rows_that_break_the_contract_are_refused(
    port: int, row: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    status, answer = ask(port, {"input_data": [{**row, **change}]})
    assert status == 422
    assert said in answer["message"]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"input_data": [{"distance": NaN}]}', '{"input_data": []}'])
def test_malformed_bodies_are_refused(port: int, body: str) -> None:
    status, answer = ask(port, body)
    assert (status, bool(answer["message"])) == (400, True)


def test_too_many_rows_are_refused(port: int, row: dict[str, Any]) -> None:
    body = {"columns": list(row), "data": [list(row.values())] * (score.MAX_ROWS + 1)}
    assert ask(port, {"input_data": body})[0] == 413


def test_the_example_in_swagger_works(port: int) -> None:
    status, swagger = ask(port, None, "/swagger.json?version=3")
    assert status == 200
    assert ask(port, swagger["components"]["schemas"]["ServiceInput"]["example"])[0] == 200


def test_a_batch_of_files(
    deployed: Path,
    fitted: model.Model,
    tables: tuple[Table, Table],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(serving.MODEL_DIR, str(deployed.parent))
    score.init()
    frame = tables[1].frame
    frame.head(10).to_csv(tmp_path / "a.csv", index=False)
    frame[10:30].to_parquet(tmp_path / "b.parquet")
    found = score.run([str(tmp_path / "a.csv"), str(tmp_path / "b.parquet")])
    expected = fitted.predict(frame.head(30))
    assert found["flight_id"].tolist() == frame["flight_id"].head(30).tolist()
    numbers = expected.select_dtypes("number")
    np.testing.assert_allclose(found[list(numbers)], numbers)
    frame.head(3).assign(distance=0).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(ContractError, match="column distance: must be at least 10"):
        score.run([str(tmp_path / "c.csv")])
