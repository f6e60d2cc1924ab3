"""What evaluations share: intervals, cohorts, the champion, and the files that `register` and people read."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlops_runtime import evaluation, register, tracking
from mlops_runtime.config import CohortGate
from mlops_runtime.errors import Problem
from mlops_runtime.files import write_json
from mlops_runtime.gates import Gate, Verdict
from mlops_runtime.report import Report

from .test_register import candidate

GATE = CohortGate(columns=["city"], metric="accuracy", max_gap=0.1, min_rows=10)
METRICS = {"accuracy": lambda rows: float(rows["right"].mean()), "rows_seen": lambda rows: float(len(rows))}


@pytest.fixture
def frame() -> pd.DataFrame:
    """Right four times of five in Rome, always in Oslo, and one row of Bern."""
    return pd.DataFrame(
        {"city": ["Oslo"] * 20 + ["Rome"] * 30 + ["Bern"], "right": [1] * 20 + [1, 1, 1, 1, 0] * 6 + [0]}
    )


def test_every_metric_has_an_interval(frame: pd.DataFrame) -> None:
    found = evaluation.measure(METRICS, frame, len(frame)).set_index("metric")
    assert found.loc["accuracy", "value"] == pytest.approx(44 / 51)
    assert 0.7 < found.loc["accuracy", "low"] < 44 / 51 < found.loc["accuracy", "high"] < 0.97
    assert found.loc["rows_seen"].tolist() == [51, 51, 51]


def test_cohorts(frame: pd.DataFrame) -> None:
    cohorts = evaluation.compare_cohorts(frame, METRICS, frame, GATE)
    table = cohorts["city"].set_index("group")
    assert table.index.tolist() == ["Rome", "Oslo", "Bern"], "the largest first"
    assert table["compared"].tolist() == [True, True, False]
    assert table["accuracy"].tolist() == pytest.approx([0.8, 1, 0])
    assert table["low"]["Rome"] < 0.8 < table["high"]["Rome"]
    assert math.isnan(table["low"]["Bern"])
    assert evaluation.cohort_gaps(cohorts, GATE) == {"city": pytest.approx(0.2)}, "small groups do not count"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ["gate"]}, "'gate' is no column of the test data, which has city, right"),
        ({"metric": "luck"}, "'luck' does not exist: choose one of accuracy, rows_seen"),
        ({"min_rows": 25}, "city has no two groups with 25 test rows"),
    ],
)
def test_senseless_cohorts_are_refused(frame: pd.DataFrame, change: dict[str, object], message: str) -> None:
    gate = GATE.model_copy(update=change)
    with pytest.raises(Problem, match=message):
        evaluation.cohort_gaps(evaluation.compare_cohorts(frame, METRICS, frame, gate), gate)


def test_the_report_shows_cohorts(frame: pd.DataFrame, tmp_path: Path) -> None:
    page = Report("toy")
    evaluation.show_cohorts(page, evaluation.compare_cohorts(frame, METRICS, frame, GATE), GATE)
    page.write(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 1
    assert "The gate allows 0.1 between" in html
    assert "Bern" in html


@pytest.mark.full
def test_what_was_found_is_written_for_register(
    project: Path,
    frame: pd.DataFrame,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = evaluation.Evaluation(
        metrics=evaluation.measure({**METRICS, "undefined": lambda rows: math.nan}, frame, len(frame)),
        cohorts=evaluation.compare_cohorts(frame, METRICS, frame, GATE),
        champion=None,
        improvement=(0.2, 0.1),
        verdict=Verdict([Gate("accuracy", True, 0.86, 0.5, "it is high"), Gate("luck", False, None, 1, "it is not")]),
    )
    model, folder = candidate(project, 2.0)
    with tracking.start_step("evaluate") as run:
        found.write(folder, "latest", {"data_version": "abc", "extra": np.float64("inf")}, frame)
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert record["metrics"]["rows_seen"]["value"] == 51
    assert record["metrics"]["undefined"]["value"] is None
    assert (record["extra"], record["champion_asked_for"], record["improvement"]["low"]) == (None, "latest", 0.1)
    assert [row["group"] for row in record["cohorts"]["city"]] == ["Rome", "Oslo", "Bern"]
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "reference.parquet"), frame)
    assert Verdict.read(folder / "verdict.json") == found.verdict
    assert str(found.verdict) == "passed   it is high\nREFUSED  it is not"
    logged = tracking.connect().MlflowClient().get_run(run.info.run_id).data
    assert logged.metrics == {"accuracy": pytest.approx(44 / 51), "rows_seen": 51}
    assert logged.params == {"data_version": "abc", "champion": "none"}
    assert register.register(model, folder, "toy")["version"] == "1"


@pytest.mark.full
def test_the_champion_to_beat(project: Path) -> None:
    def load(folder: Path) -> float:
        return float(json.loads((folder / "factor.json").read_text()))

    assert evaluation.load_champion("toy", "latest", load) is None
    register.register(*candidate(project, 2.0), "toy")
    register.register(*candidate(project, 3.0, champion="1"), "toy")
    assert evaluation.load_champion("toy", "latest", load) == ("2", 3.0)
    assert evaluation.load_champion("toy", "1", load) == ("1", 2.0)
    assert evaluation.load_champion("toy", "none", load) is None
    with pytest.raises(Problem, match="toy has no version 99; registered are: 2, 1"):
        evaluation.load_champion("toy", "99", load)


def test_json_has_only_what_json_knows(tmp_path: Path) -> None:
    content = {"a": [np.int64(3), np.nan, (1.5, -math.inf)], 2: {"é": np.bool_(True)}}
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [3, None, [1.5, None]], "2": {"é": True}}
    assert "é" in text
    assert text.endswith("}\n")
