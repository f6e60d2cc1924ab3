"""The scoring script of every deployment: `mlops serve`, `mlops score`, online and batch endpoints run this file."""

import time
from typing import Any

import numpy as np
from azureml_inference_server_http.api.aml_request import rawhttp

from mlops_runtime import serving
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, model  # by its full name: the server runs this file outside its package

# Of one request, so that none keeps the others waiting for long.
MAX_ROWS = 256
MAX_CHARACTERS = 200_000
MAX_BYTES = 2 * 2**20
MAX_SECONDS = 20.0
BATCH = 32  # rows that are answered before the clock is looked at again

fitted: model.Model
service: serving.Service


def init() -> None:
    """Load the model: called once, when the server or the batch worker starts."""
    global fitted, service
    folder = serving.model_folder()
    fitted = model.load(folder)
    service = serving.Service(Contract.load(folder / "inputs.yml"), predict, MAX_ROWS, MAX_BYTES, keep=keep)
    serving.describe(run, service, folder)


@rawhttp  # type: ignore[untyped-decorator]  # the inference server carries no types
def run(request: Any) -> Any:
    """Answer an HTTP request; a batch endpoint gives a list of files instead and gets their rows with predictions."""
    if isinstance(request, list):
        return serving.score_files(request, service.inputs, fitted.predict)
    return service.respond(request)


def predict(columns: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Predictions for the rows of one request, which keep the contract: one array (rows,) per column, in and out.

    The place for business rules, such as an answer that does not need the model.
    """
    characters = sum(len(value) for values in columns.values() for value in values if isinstance(value, str))
    if characters > MAX_CHARACTERS:
        limit = f"{characters:,} characters are too many for one request; send at most {MAX_CHARACTERS:,}"
        raise serving.Rejected(413, limit)
    until = time.monotonic() + MAX_SECONDS
    answers: list[dict[str, np.ndarray[Any, Any]]] = []
    for start in range(0, max(map(len, columns.values())), BATCH):
        if time.monotonic() > until:
            raise serving.Rejected(413, f"the request takes longer than {MAX_SECONDS:g} seconds; send fewer rows")
        batch = {name: values[start : start + BATCH] for name, values in columns.items()}
        answers.append(fitted.predict_columns(batch))
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def keep(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """What is collected for monitoring of a request and its answer: texts without contact data."""
    return columns | data.cleaned(columns, [])
