"""The scoring script of every deployment: `mlops serve`, `mlops score`, online and batch endpoints run this file.

A request holds the recent history of some airports, and optionally how many days to forecast:
`{"input_data": {"columns": ["date", "origin", "departures"], "data": […]}, "params": {"horizon": 7}}`
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
from azureml_inference_server_http.api.aml_request import rawhttp

from mlops_runtime import serving
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import model  # by its full name: the server runs this file outside its package
from {{ cookiecutter.package_name }}.data import AIRPORT, DATE, TARGET

MAX_ROWS = 10_000  # in one request
MAX_BYTES = 2**20
OUTPUTS = ["forecast", "lower", "upper"]

fitted: model.Model
service: "Forecasts"


def init() -> None:
    """Load the model: called once, when the server or the batch worker starts."""
    global fitted, service
    folder = serving.model_folder()
    fitted = model.load(folder)
    service = Forecasts(Contract.load(folder / "inputs.yml"), predict, MAX_ROWS, MAX_BYTES)
    serving.describe(run, service, folder)


@rawhttp  # type: ignore[untyped-decorator]  # the inference server carries no types
def run(request: Any) -> Any:
    """Answer an HTTP request; a batch endpoint gives a list of files with histories instead and gets the forecasts."""
    if isinstance(request, list):
        histories = [service.inputs.validate_table(serving.read_table(Path(file)), str(file)) for file in request]
        answers = [forecast(history) for history in histories]
        service.scored(pd.concat(map(together, histories, answers), ignore_index=True))
        return pd.concat(answers, ignore_index=True)
    return service.respond(request)


def forecast(history: pd.DataFrame, horizon: int | None = None) -> pd.DataFrame:
    """The days after a history that keeps the contract. The place for business rules; a Problem refuses."""
    return fitted.predict(history, horizon)


def together(history: pd.DataFrame, answer: pd.DataFrame) -> pd.DataFrame:
    """History and forecast as one table: the one has no forecasts yet, the other no truth yet."""
    both = pd.concat([history[[DATE, AIRPORT, TARGET]], answer], ignore_index=True)
    return both.assign(request_id=str(uuid4()))


def predict(columns: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """The same for columns as arrays (rows,): one array per output column, as long as the answer."""
    answer = forecast(pd.DataFrame(columns))
    answer[DATE] = answer[DATE].dt.strftime("%Y-%m-%d")
    return {str(name): answer[name].to_numpy() for name in answer}


class Forecasts(serving.Service):
    """Requests whose answers are about other rows than they hold, with options besides the rows."""

    # What is done with the histories in files and their forecasts: batch workers keep them.
    scored: Callable[[pd.DataFrame], object] = staticmethod(lambda _: None)

    def respond(self, request: Any) -> Any:
        """The answer to one HTTP request."""
        from flask import g

        number = str(g.get("request_id") or uuid4())
        try:
            if request.method != "POST":
                raise serving.Rejected(405, f"use POST, not {request.method}")
            body = serving.parse(serving.read_body(request, self.max_bytes))
            columns, rows = serving.read_columns(body, self.max_rows)
            horizon = read_horizon(body)
            self.check(columns, rows)
            history = pd.DataFrame(self.arrays(columns, rows)).astype({DATE: "datetime64[ns]"})
            try:
                answer = forecast(history, horizon)
            except Problem as problem:
                raise serving.Rejected(422, *str(problem).splitlines()) from None
        except serving.Rejected as refusal:
            self.collector.refused(number, refusal.status, refusal.reasons)
            return refusal.response()
        self.collect(number, history, answer)
        answer[DATE] = answer[DATE].dt.strftime("%Y-%m-%d")
        return {"predictions": answer.to_dict(orient="records")}

    def collect(self, number: str, history: pd.DataFrame, answer: pd.DataFrame) -> None:
        """Keep history and forecast as one table: the one has no forecasts yet, the other no truth yet."""
        columns = [DATE, AIRPORT, TARGET]
        known = history.assign(**{DATE: history[DATE].dt.strftime("%Y-%m-%d")})[columns].to_numpy().tolist()
        days = answer[DATE].dt.strftime("%Y-%m-%d")
        ahead = [[day, airport, None] for day, airport in zip(days, answer[AIRPORT], strict=True)]
        outputs = {name: [None] * len(known) + answer[name].tolist() for name in OUTPUTS}
        self.collector.served(number, columns, known + ahead, outputs)


def read_horizon(body: dict[str, Any]) -> int | None:
    """The days to forecast that a request asks for; None: all that the model can."""
    options = body.get("params", {})
    if not isinstance(options, dict) or options.keys() - {"horizon"}:
        raise serving.Rejected(422, '"params" must be an object; its only key is "horizon"')
    horizon = options.get("horizon")
    if horizon is not None and (isinstance(horizon, bool) or not isinstance(horizon, int)):
        raise serving.Rejected(422, "horizon must be a whole number of days")
    return horizon
