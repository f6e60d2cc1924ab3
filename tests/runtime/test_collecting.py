"""What may not be kept of requests is not kept, and nothing longer than config says."""

import json
import os
from pathlib import Path
from typing import Any

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
    monkeypatch.setenv(MASK, "mail,other")
    FileCollector(tmp_path / "masked").served("1", list(COLUMNS), ROWS, OUTPUTS)
    assert kept(tmp_path / "masked")[0]["rows"] == [[30, None], [40, None]]
    assert ROWS[0][1] == "a@b.c", "the answer still needs it"


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
    collector.served("1", list(COLUMNS), ROWS, OUTPUTS)
    collector.refused("2", 422, ["row 0, column mail: 'a@b.c' is no address"])
    inputs, outputs, refused = (Collection.made[name][0] for name in ("model_inputs", "model_outputs", "refused"))
    assert inputs["age"].tolist() == [30.0, 40.0]
    assert inputs["mail"].isna().all()
    assert outputs["prediction"].tolist() == [1, 2]
    assert refused.to_dict("list") == {"status": [422]}, "the reasons quote the request"
