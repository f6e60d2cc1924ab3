"""Performance and cohorts: a signal only with evidence, and a section of the report that explains it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlops_runtime import config, signals
from mlops_runtime.contract import Contract
from mlops_runtime.monitoring import Watched
from mlops_runtime.report import Report
from mlops_runtime.tracking import Version

from . import toy
from .test_monitoring import CONTRACT

METRICS = {"score": lambda rows: float((rows["y"] == rows["prediction"]).mean()), "rows": lambda rows: float(len(rows))}


def table(rows: int, wrong: int) -> pd.DataFrame:
    """Rows of two groups and several sizes, of which every `wrong`-th is answered wrongly."""
    number = np.arange(rows)
    answers = {"y": 1.0, "prediction": np.where(number % wrong, 1.0, 0.0)}
    return pd.DataFrame({**answers, "group": np.where(number % 3, "a", "b"), "size": number % 50, "loss": 0.0})


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    toy.write(tmp_path)
    return config.load(root=tmp_path)


def watch(settings: config.Config, now: pd.DataFrame) -> Watched:
    model, contract = SimpleNamespace(targets=["y"]), Contract.model_validate(CONTRACT)
    return Watched(settings, Version("toy", "1", {}), model, contract, table(400, 10), now, ["prediction"], None, "now")


def performance(settings: config.Config, now: pd.DataFrame) -> tuple[float | None, str, pd.DataFrame]:
    signal, scores = signals.performance(watch(settings, now), METRICS, lambda known: known)
    return signal.value, signal.found, scores


def test_performance(settings: config.Config) -> None:
    value, found, scores = performance(settings, table(200, 2))
    assert value == pytest.approx(0.4 / 0.9)
    assert found == "score is 0.5, it was 0.9 (200 rows)"
    assert scores.to_dict(orient="list") == {"metric": ["score", "rows"], "before": [0.9, 400], "now": [0.5, 200]}
    assert performance(settings, table(200, 9))[0] == 0, "no more than chance"
    assert performance(settings, table(200, 100))[0] == 0, "better is not worse: gates.metrics has a minimum"


def test_performance_waits_for_the_truth(settings: config.Config) -> None:
    few = table(200, 2).assign(y=lambda frame: frame["y"].where(frame.index < 9))
    for now in (few, few.drop(columns="y")):
        value, found, scores = performance(settings, now)
        assert (value, found, len(scores)) == (None, "y must be known for 10 rows", 0)
        assert signals.labelled(watch(settings, now), now) is None


def test_a_metric_that_is_undefined_now(settings: config.Config) -> None:
    undefined = {"score": lambda rows: 0.5 if len(rows) > 300 else float("nan")}
    signal, _ = signals.performance(watch(settings, table(200, 2)), undefined, lambda known: known)
    assert (signal.value, signal.found) == (None, "score is undefined on these 200 rows")


def test_cohorts(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    before, now = (table(900, 10).assign(loss=generator.normal(1, 0.1, 900)) for _ in range(2))
    columns, measures = ["group", "size", "absent"], ["loss", "absent"]
    calm = signals.compare_cohorts(before, now, columns, measures, 50)
    assert set(calm["column"]) == {"group", "size"}
    assert len(calm) == 2 + 4, "numbers are cut at their quartiles"
    assert signals.cohort_bias(calm, 50).found == "no cohort moved apart from all others by more than chance"
    worse = now.assign(loss=now["loss"] + (now["group"] == "b"))
    moved = signals.compare_cohorts(before, worse, columns, measures, 50)
    signal = signals.cohort_bias(moved, 50)
    assert signal.value > 1
    assert signal.found == "loss of group b: 1.99, it was 0.989, unlike the others"
    none = signals.compare_cohorts(before, now, columns, measures, 10**6)
    assert signals.cohort_bias(none, 10**6).value is None

    page = Report("toy")
    for found in (moved, none):
        signals.show_cohorts(page, found, 50)
    for scores in (pd.DataFrame([{"metric": "score", "before": 0.25, "now": 0.75}]), pd.DataFrame()):
        signals.show_scores(page, scores)
    page.write(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    for said in ("group", "No cohort has 50 rows", "0.75", "The truth is not known yet"):
        assert said in html
