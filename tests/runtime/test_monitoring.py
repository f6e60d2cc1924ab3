"""From signals to an action, the report and what is brought together for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlops_runtime import collecting, config, drift, monitoring
from mlops_runtime.collecting import FileCollector
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem
from mlops_runtime.monitoring import Findings, Signal
from mlops_runtime.report import Report
from mlops_runtime.tracking import Version

from . import toy

CONTRACT = {
    "name": "toy",
    "columns": {
        "row": {"type": "integer", "role": "id"},
        "when": {"type": "datetime", "role": "time"},
        "x": {"type": "number", "role": "feature", "min": 0, "max": 10, "nullable": True},
        "kind": {"type": "string", "role": "feature"},
        "y": {"type": "integer", "role": "target"},
    },
}
LIMITS = {
    "drift": config.Signal(threshold=0.2, action="retrain"),
    "quality": config.Signal(threshold=0.1, action="investigate"),
    "other": config.Signal(threshold=0.1, action="none"),
}


class Doubler:
    """A model."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"doubled": frame["x"].to_numpy() * 2})


class Scenario:
    """What a scenario's monitor.py gives."""

    def measure(self, watched: monitoring.Watched) -> Findings:
        found = drift.compare_columns(watched.reference, watched.current, ["x", "kind"])
        details = {"inputs": [monitoring.summary(one) for one in found], "nothing": float("nan"), "rows": np.int64(3)}
        files = {"review.jsonl": watched.current.head(2)}
        return Findings([monitoring.drift_signal("data_drift", found)], details, {"data": found}, files)

    def illustrate(self, report: Report, findings: Findings) -> None:
        for one in findings.evidence["data"]:
            report.figure(monitoring.distribution_figure(one), monitoring.describe_drift(one))


def table(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    x = generator.normal(5 + shift, 1, rows)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows), "h")
    return pd.DataFrame({"row": range(rows), "when": when, "x": x, "kind": ["a", "b"] * (rows // 2), "y": 1})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    toy.write(tmp_path)
    (tmp_path / "data/contract.yml").write_text(json.dumps(CONTRACT))
    model = tmp_path / "model"
    (model / "data/model").mkdir(parents=True)
    Contract.model_validate(CONTRACT).only(["row", "when", "x", "kind"]).save(model / "data/model/inputs.yml")
    (model / "evaluation").mkdir()
    reference = table(1000, 0)
    reference.assign(doubled=reference["x"] * 2).to_parquet(model / "evaluation/reference.parquet")
    return tmp_path


def watch(project: Path, data: pd.DataFrame | None = None, labels: pd.DataFrame | None = None) -> monitoring.Watched:
    files = {"data": data, "labels": labels}
    paths = {name: project / f"{name}.csv" for name, frame in files.items() if frame is not None}
    for name, path in paths.items():
        files[name].to_csv(path, index=False)
    settings, version = config.load(root=project), Version("toy", "3", {})
    source = paths.get("data") or collecting.load_collected(project / ".mlops/collected", version.version)
    contract = Contract.load(project / "data/contract.yml")
    return monitoring.watch(settings, contract, version, project / "model", Doubler(), source, paths.get("labels"))


def test_the_worst_action_of_what_fired() -> None:
    def decide(**values: float | None) -> str:
        signals = [Signal(name, values.get(name, 0.0), "", "do it") for name in ("drift", "quality", "other", "unused")]
        return monitoring.decide(monitoring.judge(signals, LIMITS))

    assert decide() == "none"
    assert decide(drift=0.2) == "none", "at the threshold is not above it"
    assert decide(drift=0.21) == "retrain"
    assert decide(drift=9.0, quality=0.2) == "investigate", "a person looks before anything learns from broken data"
    assert decide(other=9.0) == "none"
    assert decide(drift=None) == "none"


def test_a_misspelled_signal_is_said() -> None:
    with pytest.raises(Problem, match=r"monitoring\.signals\.other: unknown signal; choose from drift, quality"):
        monitoring.judge([Signal("drift", 0.0, ""), Signal("quality", 0.0, "")], LIMITS)


def test_signals_in_words() -> None:
    signals = [
        Signal("drift", 0.5, "x moved", "Look."),
        Signal("quality", None, "no rows"),
        Signal("other", 0.0, "fine"),
    ]
    said = [monitoring.describe(one) for one in monitoring.judge(signals, LIMITS)]
    assert said == [
        "0.5, above the threshold 0.2 → retrain: x moved. Look.",
        "not measured: no rows",
        "0, within the threshold 0.1: fine",
    ]


@pytest.mark.parametrize(("shift", "action"), [(0.0, "none"), (1.0, "investigate")])
def test_report_and_metrics(project: Path, shift: float, action: str) -> None:
    watched = watch(project, table(300, 1, shift))
    scenario = Scenario()
    findings = scenario.measure(watched)
    judged = monitoring.judge(findings.signals, watched.settings.monitoring.signals)
    assert monitoring.write(project / "out", watched, findings, judged, scenario) == action
    record = json.loads((project / "out/metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert {name: record[name] for name in ("model", "version", "data", "rows", "action")} == {
        "model": "toy", "version": "3", "data": "data.csv", "rows": 300, "action": action,
    }  # fmt: skip
    assert (record["from"], record["until"]) == ("2024-01-01 00:00", "2024-01-13 11:00")
    assert record["signals"]["data_drift"]["status"] == ("ok" if action == "none" else "fired")
    assert (record["details"]["nothing"], record["details"]["rows"]) == (None, 3)
    html = (project / "out/report.html").read_text(encoding="utf-8")
    assert monitoring.ADVICE[judged[0].action if action != "none" else "none"] in html
    assert html.count("<svg") == 2
    assert len((project / "out/review.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_rows_may_come_without_their_time(project: Path) -> None:
    inputs = project / "model/data/model/inputs.yml"
    Contract.load(inputs).only(["row", "x", "kind"]).save(inputs)
    watched = watch(project, table(300, 1).drop(columns="when"))
    assert watched.time is None
    assert "from" not in watched.facts


def test_a_file_gets_its_predictions_and_types(project: Path) -> None:
    broken = table(20, 1).astype({"x": object})
    broken.loc[0, "x"] = "much"
    watched = watch(project, broken.assign(doubled=0).drop(columns="y"))
    assert watched.outputs == ["doubled"]
    assert watched.time == "when"
    assert watched.current["x"].isna().tolist() == [True, *[False] * 19]
    assert watched.current["doubled"][1:].tolist() == (watched.current["x"][1:] * 2).tolist()
    assert watched.threshold("data_drift") == 0.2
    assert watched.threshold("unknown") == float("inf")


def test_collected_requests_and_labels(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_MODEL_VERSION", "3")
    collector = FileCollector(project / ".mlops/collected")
    for number in range(12):
        row = [number, "2024-05-01T10:00:00", 5.0, "a"]
        collector.served(f"id{number}", ["row", "when", "x", "kind"], [row], {"doubled": [10.0]})
    collector.refused("bad", 422, ["no"])
    labels = pd.DataFrame({"row": [0, 1, 99], "y": [1, 0, 1]})
    watched = watch(project, labels=labels)
    assert (len(watched.current), watched.refused, watched.time) == (12, 1, "request_time")
    assert watched.current["y"].tolist()[:2] == [1, 0]
    assert watched.current["y"].isna().sum() == 10
    assert watched.current["when"].dt.year.tolist() == [2024] * 12


def test_what_cannot_be_watched(project: Path) -> None:
    with pytest.raises(Problem, match=r"collected requests: 0 rows of toy version 3; monitoring needs 10 \("):
        watch(project)
    with pytest.raises(Problem, match="lacks the column kind"):
        watch(project, table(20, 0).drop(columns="kind"))
    with pytest.raises(Problem, match=r"by the contract's id columns \(row\)"):
        watch(project, table(20, 0).drop(columns="row"), table(20, 0))
    with pytest.raises(Problem, match="none of the target columns y"):
        watch(project, table(20, 0), table(20, 0).drop(columns="y"))
    with pytest.raises(Problem, match="several rows for the same row"):
        watch(project, table(20, 0), table(20, 0).assign(row=1))


def test_quality_finds_each_kind_of_fault() -> None:
    contract = Contract.model_validate(CONTRACT)
    before = table(1000, 0)
    now: dict[str, Any] = {
        "missing": before.assign(x=before["x"].mask(before.index % 4 == 0)),
        "out of range": before.assign(x=before["x"].mask(before.index % 4 == 0, 99.0)),
        "unknown value": before.assign(kind=before["kind"].mask(before.index % 4 == 0, "c")),
    }
    for fault, frame in now.items():
        worst = monitoring.quality(before, frame, contract, ["x", "kind"]).iloc[0]
        assert (worst["fault"], worst["value"]) == (fault, 0.25)
    assert monitoring.quality(before, before, contract, ["x", "kind"])["value"].max() == 0


def test_since_when() -> None:
    before, now = table(1000, 0), table(800, 1)
    now.loc[now.index >= 400, "x"] += 2
    (found,) = drift.compare_columns(before, now, ["x"])
    windows = monitoring.over_time(found, now["x"], now["when"])
    assert len(windows) == monitoring.WINDOWS
    assert monitoring.since(windows, 0.5) == str(now["when"][400])[:16]
    assert monitoring.since(windows[:4], 0.5) == ""
    assert monitoring.since(windows[4:].reset_index(drop=True), 0.5) == str(now["when"][400])[:16]
    figure = monitoring.time_figure({"x": windows}, 0.5)
    assert len(figure.axes[0].lines) == 2
    assert len(monitoring.time_figure({"x": windows}, float("inf")).axes[0].lines) == 1
