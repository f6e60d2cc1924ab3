"""The scoring script answers good requests and refuses bad ones with a reason."""

import json
from pathlib import Path
from typing import Any

import flask
import numpy as np
import pandas as pd
import pytest

from mlops_runtime.collecting import FileCollector
from mlops_runtime.contract import Contract
from mlops_runtime.serving import request_contract

from {{ cookiecutter.package_name }} import data, model, score
from {{ cookiecutter.package_name }}.data import AIRPORT, DATE, TARGET

COLUMNS = [DATE, AIRPORT, TARGET]


class Kept(FileCollector):
    """A collector in memory."""

    def __init__(self) -> None:
        super().__init__(None)
        self.requests: list[tuple[list[str], list[list[Any]], dict[str, list[Any]]]] = []
        self.refusals: list[tuple[int, list[str]]] = []

    def served(self, request_id: str, columns: list[str], rows: list[list[Any]], outputs: dict[str, list[Any]]) -> None:
        self.requests.append((columns, rows, outputs))

    def refused(self, request_id: str, status: int, reasons: list[str]) -> None:
        self.refusals.append((status, reasons))


@pytest.fixture
def kept(series: pd.DataFrame, contract: Contract, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """What the scoring script has collected, with a quickly fitted model in it."""
    collector = Kept()
    settings = {**model.family("gradient_boosting").defaults, "trees": 10}
    residuals = np.zeros((84, 14, series.shape[1]))
    monkeypatch.setattr(
        score, "fitted", model.fit(series, "gradient_boosting", settings, 14, 0.9, residuals=residuals), raising=False
    )
    inputs = request_contract(contract, contract.columns)
    service = score.Forecasts(inputs, score.predict, score.MAX_ROWS, score.MAX_BYTES, collector)
    monkeypatch.setattr(score, "service", service, raising=False)
    return collector


@pytest.fixture
def rows(series: pd.DataFrame) -> list[list[Any]]:
    """The last 28 days as a request's rows."""
    frame = data.to_frame(series.tail(28))
    values: list[list[Any]] = frame.assign(**{DATE: frame[DATE].dt.strftime("%Y-%m-%d")})[COLUMNS].to_numpy().tolist()
    return values


def ask(rows: Any, columns: list[str] = COLUMNS, **more: Any) -> Any:
    """The answer to a request: a dict, or the server's response."""
    body = json.dumps({"input_data": {"columns": columns, "data": rows}, **more})
    with flask.Flask("test").test_request_context(method="POST", data=body, content_type="application/json"):
        return score.service.respond(flask.request)


def test_the_answer_follows_the_history(kept: Kept, rows: list[list[Any]]) -> None:
    answer = ask(rows)["predictions"]
    assert len(answer) == 14 * 3
    assert set(answer[0]) == {DATE, AIRPORT, "forecast", "lower", "upper"}
    assert answer[0][DATE] == str(pd.Timestamp(rows[-1][0]) + pd.Timedelta(days=1))[:10]
    json.dumps(answer, allow_nan=False)


def test_the_order_of_rows_and_columns_does_not_matter(kept: Kept, rows: list[list[Any]]) -> None:
    turned = [[row[2], row[0], row[1]] for row in reversed(rows)]
    assert ask(turned, [TARGET, DATE, AIRPORT]) == ask(rows)


def test_the_horizon_can_be_chosen(kept: Kept, rows: list[list[Any]]) -> None:
    assert len(ask(rows, params={"horizon": 2})["predictions"]) == 2 * 3


@pytest.mark.parametrize("horizon", [0, 15, -1, 1.5, "7", True, [7]])
def test_a_wrong_horizon_is_refused(kept: Kept, rows: list[list[Any]], horizon: Any) -> None:
    response = ask(rows, params={"horizon": horizon})
    assert response.status_code == 422
    assert b"horizon" in response.get_data()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows[:30], "give the last 28"),
        (lambda rows: [row for row in rows if row != rows[40]], "missing"),
        (lambda rows: [*rows, rows[0]], "more than once"),
        (lambda rows: [["yesterday", *row[1:]] for row in rows], "ISO 8601"),
        (lambda rows: [[row[0] + "T05:00", *row[1:]] for row in rows], "time of day"),
        (lambda rows: [[row[0] + "T00:00Z", *row[1:]] for row in rows], "time zone"),
        (lambda rows: [[row[0], "XXX", row[2]] for row in rows], "XXX"),
        (lambda rows: [[row[0], row[1], -1] for row in rows], "below 0"),
        (lambda rows: [[row[0], row[1], None] for row in rows], "null"),
        (lambda rows: [row[:2] for row in rows], "list of 3 values"),
        (lambda rows: [], "no rows"),
    ],
)
def test_a_wrong_history_is_refused(kept: Kept, rows: list[list[Any]], change: Any, reason: str) -> None:
    response = ask(change(rows))
    assert 400 <= response.status_code < 500
    assert reason in json.loads(response.get_data())["message"]
    assert kept.refusals
    assert not kept.requests


@pytest.mark.parametrize("params", [7, {"days": 7}, None])
def test_wrong_options_are_refused(kept: Kept, rows: list[list[Any]], params: Any) -> None:
    assert ask(rows, params=params).status_code == 422


def test_history_and_forecasts_are_kept(kept: Kept, rows: list[list[Any]]) -> None:
    ask(rows)
    columns, table, outputs = kept.requests[0]
    assert columns == COLUMNS
    assert len(table) == len(rows) + 42 == len(outputs["forecast"])
    assert outputs["lower"][: len(rows)] == [None] * len(rows)
    assert table[-1][2] is None


def test_files_are_scored_like_requests(kept: Kept, rows: list[list[Any]], tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    pd.DataFrame(rows, columns=COLUMNS).to_csv(file, index=False)
    answer = score.run([str(file)])
    assert answer["forecast"].tolist() == [row["forecast"] for row in ask(rows)["predictions"]]
