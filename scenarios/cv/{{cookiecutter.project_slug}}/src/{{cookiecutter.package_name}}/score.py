"""The scoring script of every deployment: `mlops serve`, `mlops score`, online and batch endpoints run this file.

A request is the bytes of one JPEG or PNG file, or JSON with base64 text: `{"input_data": [{"image": "…"}, …]}`.
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

# by its full name: the server runs this file outside its package
from {{ cookiecutter.package_name }} import data, embeddings, images, model, review

MAX_IMAGES = 64  # in one request
MAX_BYTES = 24 * 2**20
KINDS = ("image/jpeg", "image/jpg", "image/png", *serving.JSON, "application/octet-stream")
REVIEW_BYTES = 2**20  # larger images are not kept

fitted: model.Model
service: "Pictures"


def init() -> None:
    """Load the model: called once, when the server or the batch worker starts."""
    global fitted, service
    folder = serving.model_folder()
    fitted = model.load(folder)
    service = Pictures(Contract.load(folder / "inputs.yml"), predict, MAX_IMAGES, MAX_BYTES)
    serving.describe(run, service, folder)


@rawhttp  # type: ignore[untyped-decorator]  # the inference server carries no types
def run(request: Any) -> Any:
    """Answer an HTTP request; a batch endpoint gives a list of files instead and gets a row for each image in them."""
    if isinstance(request, list):
        scored = [score_file(Path(file)) for file in request]
        service.scored(pd.concat([kept for _, kept in scored], ignore_index=True))
        return pd.concat([answers for answers, _ in scored], ignore_index=True)
    return service.respond(request)


def score_file(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The predictions for an image file or for a table of images, with the table's other columns; what may be kept.

    Of the images, only those are kept that a person should look at.
    """
    if path.suffix.lower() in images.SUFFIXES:
        frame = pd.DataFrame({data.ID: [path.name], data.IMAGE: [path.read_bytes()]})
    else:
        frame = serving.read_table(path)
        serving.required(service.inputs, frame.columns).validate_table(frame, str(path))
    found = fitted.predict(frame)
    predictions = found[fitted.answers]
    bad = np.flatnonzero(predictions["prediction"].isna())
    if len(bad):
        names = frame[data.ID] if data.ID in frame else pd.Series(frame.index)
        raise Problem(f"{path}: {len(bad)} image(s) cannot be read, the first is {names.iloc[bad[0]]!r}.")
    taken = [name for name in predictions if name in frame]
    if taken:
        raise Problem(f"{path} has a column {taken[0]!r} already, which is where the prediction goes: rename it.")
    frame = frame.reset_index(drop=True)
    shown = [
        content if look and len(content) <= REVIEW_BYTES else None
        for content, look in zip(frame[data.IMAGE], unsure(found), strict=True)
    ]
    rest = frame.drop(columns=data.IMAGE)
    kept = pd.concat([rest, pd.Series(shown, name=data.IMAGE, dtype=object), found], axis="columns")
    return pd.concat([rest, predictions], axis="columns"), kept


def unsure(found: Any) -> Any:
    """Which of the images that these were found for a person should look at."""
    return (found["confidence"] < review.UNSURE) | (found[embeddings.NOVELTY] > 1)


def predict(columns: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """What whoever asks gets for the images of one request: one array (images,) per column, in and out."""
    found = fitted.predict_columns(columns)
    return {name: found[name] for name in fitted.answers}


class Pictures(serving.Service):
    """Requests that are images; what monitoring needs is collected in place of them."""

    # What is done with what was found in files: batch workers keep it.
    scored: Callable[[pd.DataFrame], object] = staticmethod(lambda _: None)

    def respond(self, request: Any) -> Any:
        """The answer to one HTTP request."""
        from flask import g

        number = str(g.get("request_id") or uuid4())
        try:
            if request.method != "POST":
                raise serving.Rejected(405, f"use POST, not {request.method}")
            body = serving.read_body(request, self.max_bytes, KINDS)
            columns, rows = self.read(serving.media_type(request), body)
            found = self.look(columns, rows)
        except serving.Rejected as refusal:
            self.collector.refused(number, refusal.status, refusal.reasons)
            return refusal.response()
        self.collect(number, columns, rows, found)
        outputs = {name: found[name].tolist() for name in fitted.answers}
        answers = zip(*outputs.values(), strict=True)
        return {"predictions": [dict(zip(outputs, values, strict=True)) for values in answers]}

    def read(self, kind: str, body: bytes) -> tuple[list[str], serving.Rows]:
        """The columns and rows of a request; a body that is an image becomes one row."""
        if kind.startswith("image/") or body[:8].startswith((b"\x89PNG", b"\xff\xd8\xff")):
            return [data.IMAGE], [[images.pack(body)]]
        columns, rows = serving.read_columns(serving.parse(body), self.max_rows)
        self.check(columns, rows)
        return columns, rows

    def look(self, columns: list[str], rows: serving.Rows) -> dict[str, np.ndarray[Any, Any]]:
        """What the model finds; Rejected names every image that cannot be read."""
        place = columns.index(data.IMAGE)
        pixels, faults = [], []
        for number, row in enumerate(rows):
            try:
                pixels.append(images.to_array(images.unpack(row[place]), fitted.facts.size))
            except images.BadImage as fault:
                faults.append(f"row {number}, column {data.IMAGE}: {fault}")
        if faults:
            raise serving.Rejected(422, *faults)
        return fitted.predict_pixels(np.stack(pixels))

    def collect(
        self, number: str, columns: list[str], rows: serving.Rows, found: dict[str, np.ndarray[Any, Any]]
    ) -> None:
        """Keep what the model found, and of the images those that a person should look at."""
        place = columns.index(data.IMAGE)
        kept = [
            [*row[:place], row[place] if look and len(row[place]) <= REVIEW_BYTES else None, *row[place + 1 :]]
            for row, look in zip(rows, unsure(found), strict=True)
        ]
        if data.ID not in columns:  # labels that come later are joined by it
            columns = [data.ID, *columns]
            kept = [[f"{number}-{place}", *row] for place, row in enumerate(kept)]
        self.collector.served(number, columns, kept, {name: values.tolist() for name, values in found.items()})
