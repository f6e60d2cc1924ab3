"""A model that takes no time to load, with its scoring script, laid out as `mlops serve` and Azure ML find it."""

import json
from pathlib import Path

CONTRACT = {
    "name": "toy",
    "columns": {
        "row": {"type": "integer", "role": "id"},
        "when": {"type": "datetime", "role": "time"},
        "x": {"type": "number", "role": "feature", "min": -10, "max": 1000, "nullable": True},
        "count": {"type": "integer", "role": "feature", "min": 0},
        "kind": {"type": "string", "role": "feature", "values": ["a", "b"]},
        "note": {"type": "string", "role": "feature", "max_length": 20, "nullable": True},
        "member": {"type": "boolean", "role": "feature"},
        "free": {"type": "number", "role": "feature"},
    },
}
ROW = {"when": "2024-05-01T06:30:00", "x": 1.5, "count": 2, "kind": "a", "note": "hé", "member": True, "free": 0}

MODEL = """\
import numpy as np

def predict(columns):
    return {
        "doubled": np.nan_to_num(columns["x"]) * 2,
        "hour": columns["when"].astype("datetime64[h]").astype(int) % 24,
        "label": np.where(columns["member"] == True, columns["kind"], "none"),
    }
"""

SCORE = """\
from mlops_runtime import serving
from mlops_runtime.contract import Contract
from azureml_inference_server_http.api.aml_request import rawhttp
from toymodel import model

def init():
    global service
    folder = serving.model_folder()
    service = serving.Service(Contract.load(folder / "inputs.yml"), model.predict, max_rows=100, max_bytes=100_000)
    serving.describe(run, service, folder)

@rawhttp
def run(request):
    if isinstance(request, list):
        import pandas as pd
        frame = lambda rows: pd.DataFrame(model.predict({name: rows[name].to_numpy() for name in rows}))
        return serving.score_files(request, service.inputs, frame)
    return service.respond(request)
"""


def write(root: Path) -> Path:
    """Lay package and model out under `root`; returns the MLflow model's folder."""
    files = {
        "src/toymodel/__init__.py": "",
        "src/toymodel/model.py": MODEL,
        "src/toymodel/score.py": SCORE,
        "model/MLmodel": "",
        "model/input_example.json": json.dumps({"columns": list(ROW), "data": [list(ROW.values())]}),
        "model/data/model/inputs.yml": json.dumps(CONTRACT),
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root / "model"
