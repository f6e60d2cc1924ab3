"""What may not be kept of requests is not kept, and nothing longer than config says."""

import http.server
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlops_runtime
import pandas as pd
import pytest
from azureml.ai import monitoring
from mlops_runtime import collecting
from mlops_runtime.collecting import DAYS, MASK, AzureCollector, FileCollector
from mlops_runtime.contract import Contract

COLUMNS = {"age": {"type": "integer", "role": "feature"}, "mail": {"type": "string", "role": "feature"}}
ROWS = [[30, "a@b.c"], [40, "d@e.f"]]
OUTPUTS = {"prediction": [1, 2]}


def kept(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def test_masked_columns_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FileCollector(tmp_path / "all").served("1", list(COLUMNS), ROWS, OUTPUTS)
    assert kept(tmp_path / "all")[0]["rows"] == ROWS
    monkeypatch.setenv(MASK, "mail,other,answer")
    answers = {**OUTPUTS, "answer": ["to a@b.c", "to d@e.f"]}
    collector = FileCollector(tmp_path / "masked")
    collector.served("1", list(COLUMNS), ROWS, answers)
    collector.refused("2", 422, ["row 0, column mail: 'a@b.c' is no address", "row 0, column age: -1 is below 0"])
    served, refused = kept(tmp_path / "masked")
    assert served["rows"] == [[30, None], [40, None]]
    assert served["outputs"] == {**OUTPUTS, "answer": [None, None]}
    assert refused["reasons"] == ["row 0, column mail", "row 0, column age: -1 is below 0"]
    assert (ROWS[0][1], answers["answer"][0]) == ("a@b.c", "to a@b.c"), "the answer still needs it"


def test_old_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{day}-1.jsonl" for day in ("2020-01-01", "2020-01-30", "2020-01-31", "2020-02-29", "2020-03-01")]
    for name in [*names, "notes.txt"]:
        (tmp_path / name).write_text("{}\n", encoding="utf-8")
    collecting.remove_old(tmp_path, "2020-03-01")
    assert len(list(tmp_path.iterdir())) == 6, "for ever, when nothing is said"
    monkeypatch.setenv(DAYS, "30")
    collecting.remove_old(tmp_path, "2020-03-01")
    assert sorted(os.listdir(tmp_path)) == [*names[2:], "notes.txt"]
    collector = FileCollector(tmp_path)
    collector.served("1", ["age"], [[1]], OUTPUTS)
    assert len(list(tmp_path.glob("*.jsonl"))) == 1, "whoever collects removes what is old"


class Collection:
    """Stands for Azure ML's collector."""

    made: dict[str, list[pd.DataFrame]]

    def __init__(self, name: str, on_error: Any) -> None:
        self.name = name
        self.made.setdefault(name, [])

    def collect(self, data: pd.DataFrame, context: Any) -> Any:
        self.made[self.name].append(data)
        return context


def test_azure_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    Collection.made = {}
    monkeypatch.setattr(monitoring, "Collector", Collection)
    monkeypatch.setenv(MASK, "mail")
    contract = Contract.model_validate({"name": "people", "columns": COLUMNS})
    collector = AzureCollector(contract)
    collector.served("1", list(COLUMNS), ROWS, {**OUTPUTS, "mail": ["to a@b.c"] * 2})
    collector.refused("2", 422, ["row 0, column mail: 'a@b.c' is no address"])
    inputs, outputs, refused = (Collection.made[name][0] for name in ("model_inputs", "model_outputs", "refused"))
    assert inputs["age"].tolist() == [30.0, 40.0]
    assert inputs["mail"].isna().all()
    assert outputs["prediction"].tolist() == [1, 2]
    assert outputs["mail"].isna().all()
    assert refused.to_dict("list") == {"status": [422]}, "the reasons quote the request"


class Sidecar(http.server.BaseHTTPRequestHandler):
    """Stands for what runs beside a deployment: writes what azureml-ai-monitoring posts as Azure ML documents it."""

    folder: Path

    def do_POST(self) -> None:
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        collection = self.headers["ce-type"].removeprefix("azureml.inference.")
        time = datetime.fromtimestamp(int(self.headers["ce-time"]), UTC).isoformat().replace("+00:00", "Z")
        event = {"specversion": "1.0", "id": self.headers["trace-id"], "type": self.headers["ce-type"], "time": time}
        event |= {"datacontenttype": "application/json", "data": data, "correlationid": self.headers["ce-x-request-id"]}
        file = self.folder / collection / time[:10].replace("-", "/") / "10" / "instance.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(event) + "\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


DEPLOYED = """
import os, sys, time
from mlops_runtime.collecting import AzureCollector
from mlops_runtime.contract import Contract
import azureml.ai.monitoring
contract = Contract.model_validate({"name": "people", "columns": COLUMNS})
collector = AzureCollector(contract)
collector.served("first", list(COLUMNS), [[30, "a"], [40, "b"]], {"prediction": [1, 2]})
collector.served("second", ["age"], [[50]], {"prediction": [3]})
collector.refused("third", 422, ["secret"])
time.sleep(2)  # it sends in the background
"""


def test_what_azure_collects_is_read(tmp_path: Path) -> None:
    """From the real collector to what monitors look at."""
    Sidecar.folder = tmp_path / "collected"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sidecar)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names = (collecting.INPUTS, collecting.OUTPUTS, collecting.REFUSED)
    (tmp_path / "mdc.json").write_text(json.dumps({"collections": {name: {"enabled": True} for name in names}}))
    settings = {"AZUREML_MDC_CONFIG_PATH": str(tmp_path / "mdc.json"), "AZUREML_MDC_PORT": str(server.server_port)}
    search = {"PYTHONPATH": str(Path(mlops_runtime.__file__).parents[1])}
    code = f"COLUMNS = {COLUMNS!r}\n{DEPLOYED}"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **settings, **search}, capture_output=True)
    server.shutdown()
    assert done.returncode == 0, done.stderr.decode()

    contract = Contract.model_validate({"name": "people", "columns": COLUMNS})
    found = collecting.load_deployed(tmp_path / "collected", 7, contract, "7")
    rows = found.requests.sort_values("age")[["request_id", "age", "mail", "prediction"]]
    assert rows.astype(object).where(rows.notna(), None).to_numpy().tolist() == [
        ["first", 30.0, "a", 1],
        ["first", 40.0, "b", 2],
        ["second", 50.0, None, 3],
    ]
    assert found.outputs == ["prediction"]
    assert [one["status"] for one in found.refused] == [422]
    assert found.unreadable == 0


def test_events_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    def write(collection: str, number: str, data: Any, day: int = 9) -> None:
        event = {"time": f"2024-01-{day:02}T10:00:00Z", "data": data, "correlationid": number}
        file = tmp_path / collection / f"{number}.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(event) + "\n")

    for number, day in (("old", 1), ("new", 9)):
        write(collecting.INPUTS, number, [{"age": 1}], day)
        write(collecting.OUTPUTS, number, [{"prediction": 1}], day)
    write(collecting.INPUTS, "large", "https://blob/large")
    write(collecting.INPUTS, "alone", [{"age": 1}])
    (tmp_path / collecting.INPUTS / "cut.jsonl").write_text("{cut\n")
    contract = Contract.model_validate({"name": "people", "columns": COLUMNS})
    found = collecting.load_deployed(tmp_path, 7, contract, "7")
    assert found.requests["request_id"].tolist() == ["new"]
    assert found.unreadable == 3
    assert len(collecting.load_deployed(tmp_path, 30, contract, "7").requests) == 2
    assert collecting.load_deployed(tmp_path / "nothing", 7, contract, "7").requests.empty


def test_what_batch_jobs_kept_is_read(tmp_path: Path) -> None:
    for job, age, version in (("a", 30, "7"), ("b", 40, "7"), ("c", 50, "6")):
        folder = tmp_path / job / "score" / collecting.TABLES / "2024-01-09"
        folder.mkdir(parents=True)
        rows = {"age": [age], "prediction": [1], "request_time": [datetime(2024, 1, 9, tzinfo=UTC)]}
        pd.DataFrame({**rows, "model_version": [version]}).to_parquet(folder / "x.parquet")
    contract = Contract.model_validate({"name": "people", "columns": COLUMNS})
    found = collecting.load_deployed(tmp_path, 7, contract, "7")
    assert found.requests["age"].tolist() == [30, 40]
    assert found.outputs == ["prediction"]
    assert found.others == {"6": 1}
