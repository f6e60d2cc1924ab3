"""The same model behind FastAPI with nothing else: no data contract, no limits, no collected requests.

`benchmarks/serving.py` starts it with uvicorn; MODEL is the model's folder, PACKAGE the project's package.
"""

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from mlops_runtime.contract import Contract
from mlops_runtime.serving import DTYPES

folder = Path(os.environ["MODEL"])
model = importlib.import_module(f"{os.environ['PACKAGE']}.model").load(folder)
dtypes = {name: DTYPES[column.type] for name, column in Contract.load(folder / "inputs.yml").columns.items()}
app = FastAPI()


def score(body: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One answer per row."""
    rows = body["input_data"]
    columns = {name: np.array([row[name] for row in rows], dtype=dtypes.get(name, object)) for name in rows[0]}
    found = {name: np.asarray(values).tolist() for name, values in model.predict_columns(columns).items()}
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


app.post("/score")(score)
