"""The scoring script of every deployment: `mlops serve`, `mlops score`, online and batch endpoints run this file."""

from typing import Any

import numpy as np
from azureml_inference_server_http.api.aml_request import rawhttp

from mlops_runtime import serving
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, model  # by its full name: the server runs this file outside its package

MAX_ROWS = 256  # in one request; the network reads them in batches
MAX_BYTES = 2 * 2**20

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
    return fitted.predict_columns(columns)


def keep(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """What is collected for monitoring of a request and its answer: texts without contact data."""
    return columns | data.cleaned(columns, [])
