"""What every scoring script shares: finding the model, reading requests, refusing bad ones, collecting what was served.

A request is JSON in one of two forms, `{"input_data": [{"column": value, …}, …]}` or, shorter for many rows,
`{"input_data": {"columns": […], "data": [[…], …]}}`. The answer is `{"predictions": [{…}, …]}` in the same order.
Whatever is wrong with a request becomes a 4xx status with the reasons, never a stack trace.
"""

import importlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from mlops_runtime.collecting import Collector, open_collector
from mlops_runtime.contract import Column, Contract
from mlops_runtime.errors import Problem
from mlops_runtime.files import replacing

if TYPE_CHECKING:
    import flask
    import pandas as pd
    from azureml_inference_server_http.api.aml_response import AMLResponse

    from mlops_runtime.config import Config
    from mlops_runtime.tracking import Version

Rows = list[list[Any]]
Array = np.ndarray[Any, Any]
Predict = Callable[[dict[str, Array]], Mapping[str, Array]]
Keep = Callable[[dict[str, list[Any]]], dict[str, list[Any]]]

MODEL_DIR = "AZUREML_MODEL_DIR"  # set by Azure ML and by `mlops serve`
LONGEST_REASON = 1000  # characters; a reason quotes the request, which may be anything
DRAINED = 2**28  # bytes of an oversized body that are read and thrown away, so that its sender gets to read the answer
DTYPES: dict[str, Any] = {
    "string": object,
    "boolean": object,
    "integer": float,
    "number": float,
    "datetime": "datetime64[us]",
    "bytes": object,  # as base64 text
}
WRITTEN_AS: dict[str, str] = {"datetime": " ISO 8601, without time zone.", "bytes": " As base64 text."}
JSON = ("application/json",)
YEARS = range(1678, 2262)  # what pandas can hold


class Rejected(Exception):
    """A request that cannot be answered: the HTTP status and the reasons, for its sender."""

    def __init__(self, status: int, *reasons: str) -> None:
        super().__init__(*reasons)
        self.status = status
        self.reasons = [_shorten(reason) for reason in reasons]

    def response(self) -> "AMLResponse":
        """The answer as JSON: {"message": …, "reasons": […]}."""
        from azureml_inference_server_http.api.aml_response import AMLResponse

        body = {"message": "The request was refused: " + "; ".join(self.reasons), "reasons": self.reasons}
        headers = {"Allow": "POST"} if self.status == 405 else {}
        return AMLResponse(body, self.status, headers, json_str=True)


def model_folder() -> Path:
    """The folder for `load` in the deployed model: AZUREML_MODEL_DIR or, as Azure ML nests it, one level below.

    Problem when its files do not have the digest that MLOPS_MODEL_DIGEST gives.
    """
    from mlops_runtime.tracking import DIGEST, model_data, verify

    value = os.environ.get(MODEL_DIR)
    if not value:
        raise Problem(f"{MODEL_DIR} is not set: start the scoring script with `mlops serve` or in a deployment.")
    folder = Path(value)
    if not folder.is_dir():
        raise Problem(f"{MODEL_DIR} is {folder}, which is not a folder.")
    for place in (folder, *sorted(child for child in folder.iterdir() if child.is_dir())):
        if (place / "MLmodel").is_file():
            if DIGEST in os.environ:
                verify(place, os.environ[DIGEST])
            return model_data(place)
    raise Problem(f"No MLflow model (a file MLmodel) in {folder} or one level below.")


def choose(name: str, number: str | None = None) -> "Version":
    """The registered version `number` of the model `name`, or its champion; Problem when there is none."""
    from mlops_runtime import tracking

    if number is None:
        champion = tracking.champion(name)
        if champion is None:
            raise Problem(f"No version of {name} is registered yet: run `mlops run` first.")
        return champion
    known = tracking.versions(name)
    found = next((version for version in known if version.version == number), None)
    if found is None:
        listed = ", ".join(version.version for version in known) or "none; run `mlops run` first"
        raise Problem(f"{name} has no version {number}; registered are: {listed}.")
    return found


def champion_for(settings: "Config", file: Path) -> "tuple[Any, pd.DataFrame]":
    """The champion, and the rows of `file` for it; Problem where they lack one of its inputs."""
    from mlops_runtime import tracking

    frame = read_table(file)
    folder = tracking.fetch(choose(settings.project.name))
    model = importlib.import_module(f"{settings.project.package}.model").load(tracking.model_data(folder))
    lacking = [name for name in model.inputs if name not in frame]
    if lacking:
        raise Problem(f"{file} lacks the column {lacking[0]}; it has {', '.join(map(str, frame.columns))}.")
    return model, frame


def request_contract(contract: Contract, features: Iterable[str] | None = None) -> Contract:
    """The part of a data contract that requests must keep: `features` (default: roles feature and time) and,
    optional in requests but collected where given, the columns with the roles id and cohort."""
    wanted = set(features if features is not None else contract.names("feature", "time"))
    names = [name for name in contract.columns if name in wanted or contract.columns[name].role in ("id", "cohort")]
    return contract.only(names).model_copy(update={"min_rows": 1, "unique": []})


def required(inputs: Contract, given: Iterable[str]) -> Contract:
    """`inputs` without its optional columns (roles id and cohort) that are not in `given`."""
    optional = set(inputs.names("id", "cohort")) - set(given)
    return inputs.only(name for name in inputs.columns if name not in optional)


class Service:
    """Answers scoring requests: reads and checks them, predicts, collects."""

    def __init__(
        self,
        inputs: Contract,
        predict: Predict,
        max_rows: int,
        max_bytes: int,
        collector: Collector | None = None,
        keep: Keep | None = None,
    ) -> None:
        """`predict` gets the columns of a request as `arrays` makes them and returns one array per output column.

        It may raise Rejected.

        `keep` gets the columns of a request and of its answer by name and returns them as they may be collected, for
        example without personal data.
        """
        self.inputs = inputs
        self.predict = predict
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.collector = collector or open_collector(inputs)
        self.keep = keep
        self._optional = frozenset(inputs.names("id", "cohort"))
        self._contracts: dict[frozenset[str], Contract] = {}  # by the optional columns that are given
        self._types = {name: DTYPES[column.type] for name, column in inputs.columns.items()}
        self._datetimes = {name for name, column in inputs.columns.items() if column.type == "datetime"}

    def respond(self, request: "flask.Request") -> "dict[str, list[dict[str, Any]]] | AMLResponse":
        """The answer to one HTTP request."""
        from flask import g

        number = str(g.get("request_id") or uuid4())
        try:
            if request.method != "POST":
                raise Rejected(405, f"use POST, not {request.method}")
            columns, rows = read_columns(parse(read_body(request, self.max_bytes)), self.max_rows)
            self.check(columns, rows)
            predicted = self.predict(self.arrays(columns, rows))
        except Rejected as refusal:
            self.collector.refused(number, refusal.status, refusal.reasons)
            return refusal.response()
        outputs = {name: values.tolist() for name, values in predicted.items()}
        self._collect(number, columns, rows, outputs)
        answers = zip(*outputs.values(), strict=True)
        return {"predictions": [dict(zip(outputs, values, strict=True)) for values in answers]}

    def _collect(self, number: str, columns: list[str], rows: Rows, outputs: dict[str, list[Any]]) -> None:
        if self.keep is not None:
            asked = {name: [row[place] for row in rows] for place, name in enumerate(columns)}
            kept = self.keep(asked | outputs)
            rows = [list(values) for values in zip(*(kept[name] for name in columns), strict=True)]
            outputs = {name: kept[name] for name in outputs}
        self.collector.served(number, columns, rows, outputs)

    def check(self, columns: list[str], rows: Rows) -> None:
        """Rejected, with all that is wrong, unless the rows keep the contract."""
        given = self._optional.intersection(columns)
        if given not in self._contracts:  # to make one costs more than to predict
            self._contracts[given] = required(self.inputs, given)
        problems = self._contracts[given].problems(columns, rows)
        for place in [] if problems else [place for place, name in enumerate(columns) if name in self._datetimes]:
            problems += filter(None, (_moment_problem(row[place], n, columns[place]) for n, row in enumerate(rows)))
        if problems:
            raise Rejected(422, *problems)

    def arrays(self, columns: list[str], rows: Rows) -> dict[str, Array]:
        """Each column as an array (rows,): float64 for numbers, datetime64 for times, else objects."""
        return {
            name: np.array([row[place] for row in rows], dtype=self._types[name]) for place, name in enumerate(columns)
        }


def read_body(request: "flask.Request", max_bytes: int, kinds: Iterable[str] = JSON) -> bytes:
    """The request's body; never holds more than `max_bytes` of it. Rejected if it is not said to be one of `kinds`.

    A page in a browser can send forms and plain text to any address unasked, `mlops serve` on its user's own machine
    among them; of these kinds it must ask the server first, which does not agree.
    """
    body: bytes = request.stream.read(max_bytes + 1)
    if len(body) > max_bytes:
        drained = 0
        while drained < DRAINED and (piece := len(request.stream.read(2**16))):
            drained += piece
        raise Rejected(413, f"the body is larger than {max_bytes:,} bytes; send fewer rows at a time")
    kind = media_type(request)
    if kind not in kinds:
        said = f"Content-Type: {kind} is" if kind else "a request without Content-Type is"
        raise Rejected(415, f"{said} not accepted; send {' or '.join(kinds)}")
    return body


def media_type(request: "flask.Request") -> str:
    """What a request says that its body is, in lower case, without options."""
    return str(request.content_type or "").partition(";")[0].strip().lower()


def parse(body: bytes) -> Any:
    """The JSON value of a body; Rejected for everything that is not exactly one well-formed, unambiguous value."""
    if not body:
        raise Rejected(400, 'the body is empty; send {"input_data": [{…}]}')
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        if "\\ud" in text or "\\uD" in text:  # half a surrogate pair is no character and cannot be stored
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise Rejected(400, "the body is not valid UTF-8 text") from None
    except RecursionError:
        raise Rejected(400, "the body is nested too deeply") from None
    except ValueError as error:
        raise Rejected(400, f"the body is not valid JSON: {error}") from None
    return value


def read_columns(value: Any, max_rows: int) -> tuple[list[str], Rows]:
    """Column names and rows of a parsed body in either form; the rows' values are not checked yet."""
    if not isinstance(value, dict) or "input_data" not in value:
        raise Rejected(400, 'the body must be an object with the key "input_data"')
    data = value["input_data"]
    if isinstance(data, dict):
        missing = [key for key in ("columns", "data") if not isinstance(data.get(key), list)]
        if missing:
            raise Rejected(400, f'"input_data" must have the key "{missing[0]}" with a list')
        columns, rows = data["columns"], data["data"]
    elif isinstance(data, list):
        columns = list(data[0]) if data and isinstance(data[0], dict) else []
        rows = data
    else:
        raise Rejected(400, '"input_data" must be a list of objects, or an object with "columns" and "data"')
    if not rows:
        raise Rejected(400, "there are no rows in the request")
    if len(rows) > max_rows:
        raise Rejected(413, f"{len(rows):,} rows are too many for one request; send at most {max_rows:,}")
    if not all(isinstance(name, str) for name in columns):
        raise Rejected(400, '"columns" must be a list of names')
    return columns, _as_lists(columns, rows) if rows is data else rows


def _as_lists(columns: list[str], records: list[Any]) -> Rows:
    names = set(columns)
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise Rejected(400, f"row {number} must be an object with a value for each column")
        if record.keys() != names:
            raise Rejected(422, f"row {number} has other columns than row 0")
    return [[record[name] for name in columns] for record in records]


def _refuse_constant(name: str) -> None:
    raise Rejected(400, f"{name} is not JSON; use null for a missing number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise Rejected(400, f"the name {twice!r} appears twice in one object")
    return found


def _moment_problem(text: str | None, number: int, column: str) -> str | None:
    """What the contract does not check of a valid ISO 8601 text."""
    if text is None:
        return None
    value = datetime.fromisoformat(text)
    if value.tzinfo is not None:
        return f"row {number}, column {column}: {text!r} has a time zone; send local time, as in the training data"
    if value.year not in YEARS:
        return f"row {number}, column {column}: the year of {text!r} must lie between {YEARS[0]} and {YEARS[-1]}"
    return None


def _shorten(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON] + "…"


def example_rows(mlflow_model: Path) -> list[dict[str, Any]]:
    """The rows of the model's input example: column → JSON value."""
    split = json.loads((mlflow_model / "input_example.json").read_text(encoding="utf-8"))
    return [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]


def describe(run: Callable[..., Any], service: Service, folder: Path) -> None:
    """Give the server the Swagger description of `run`; call it in `init()` with what `model_folder` returned.

    inference-schema's decorators are made for `run` itself, but the server parses the bodies for a decorated function
    without our checks. So a stand-in of the same name is decorated.
    """
    from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
    from inference_schema.schema_decorators import input_schema, output_schema
    from inference_schema.schema_util import is_schema_decorated

    class Described(AbstractParameterType):  # type: ignore[misc]  # inference-schema has no types
        def __init__(self, schema: dict[str, Any], example: Any) -> None:
            super().__init__(example)
            self.schema = {**schema, "example": example}

        def supported_versions(self) -> list[str]:
            return ["2.0", "3.0", "3.1"]

        def deserialize_input(self, input_data: Any) -> Any:
            return input_data

        def input_to_swagger(self) -> dict[str, Any]:
            return self.schema

    def stand_in(input_data: Any) -> Any:
        """Never called."""

    if is_schema_decorated(run):  # init() ran before in this process
        return
    stand_in.__name__, stand_in.__module__ = run.__name__, run.__module__
    inputs, examples = service.inputs, example_rows(folder.parents[1])
    predicted = service.predict(service.arrays(list(examples[0]), [list(example.values()) for example in examples]))
    answer = {name: values.tolist()[0] for name, values in predicted.items()}
    row = {
        "type": "object",
        "required": list(required(inputs, ()).columns),
        "properties": {name: _schema(column) for name, column in inputs.columns.items()},
    }
    text = 'One object per row. Shorter for many rows: {"columns": ["…"], "data": [["…"]]}.'
    rows = Described({"type": "array", "items": row, "description": text}, examples)
    prediction = {"type": "object", "properties": {name: _schema_of(value) for name, value in answer.items()}}
    answers = {"type": "object", "properties": {"predictions": {"type": "array", "items": prediction}}}
    input_schema("input_data", rows)(output_schema(Described(answers, {"predictions": [answer]}))(stand_in))


def _schema(column: Column) -> dict[str, Any]:
    kind = "string" if column.type in WRITTEN_AS else column.type
    text = column.description + WRITTEN_AS.get(column.type, "")
    limits = {
        "description": text.strip(),
        "minimum": column.min,
        "maximum": column.max,
        "enum": column.values,
        "minLength": column.min_length or None,
        "maxLength": column.max_length if column.type == "string" else None,
        "x-nullable": column.nullable or None,
    }
    return {"type": kind, **{key: value for key, value in limits.items() if value not in (None, "")}}


def _schema_of(value: Any) -> dict[str, Any]:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": kinds[type(value)]} if type(value) in kinds else {}


def read_table(path: Path) -> "pd.DataFrame":
    """A table from a .parquet, .csv or .jsonl file."""
    import pandas as pd

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".parquet": pd.read_parquet,
        ".csv": lambda file: pd.read_csv(file, encoding="utf-8"),
        ".jsonl": lambda file: pd.read_json(file, lines=True, convert_dates=False, encoding="utf-8"),
    }
    if path.suffix.lower() not in readers:
        raise Problem(f"{path}: files must end in {', '.join(readers)}.")
    if not path.is_file():
        raise Problem(f"{path} does not exist or is not a file.")
    try:
        return readers[path.suffix.lower()](path)
    except (ValueError, OSError) as error:  # what pandas and pyarrow raise for broken files
        raise Problem(f"{path} cannot be read as {path.suffix[1:]}: {_shorten(str(error))}") from None


def write_table(table: "pd.DataFrame", path: Path) -> None:
    """Write a table as .parquet, .csv or .jsonl, by the file's name: whole or not at all."""
    with replacing(path) as file:
        if path.suffix.lower() == ".parquet":
            table.to_parquet(file, index=False)
        elif path.suffix.lower() == ".csv":
            table.to_csv(file, index=False, encoding="utf-8", lineterminator="\n")
        else:
            table.to_json(file, orient="records", lines=True, date_format="iso", double_precision=15, force_ascii=False)


def score_files(
    paths: Iterable[str | Path], inputs: Contract, predict: "Callable[[pd.DataFrame], pd.DataFrame]"
) -> "pd.DataFrame":
    """The files' rows as they are, with the prediction columns joined; ContractError names all faults."""
    import pandas as pd

    results = []
    for path in map(Path, paths):
        table = read_table(path)
        predictions = predict(required(inputs, table.columns).validate_table(table, str(path)))
        taken = [name for name in predictions if name in table]
        if taken:
            raise Problem(f"{path} has a column {taken[0]!r} already, which is where the prediction goes: rename it.")
        results.append(pd.concat([table.reset_index(drop=True), predictions.reset_index(drop=True)], axis="columns"))
    return pd.concat(results, ignore_index=True)
