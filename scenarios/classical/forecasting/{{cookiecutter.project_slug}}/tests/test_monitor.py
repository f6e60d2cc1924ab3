"""Monitoring is silent where nothing changed and fires where something was planted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_runtime import config, monitoring
from mlops_runtime.contract import Contract
from mlops_runtime.monitoring import Watched, judge
from mlops_runtime.tracking import Version

from {{ cookiecutter.package_name }} import data, evaluate, metrics, model, monitor
from {{ cookiecutter.package_name }}.data import AIRPORT, DATE, TARGET, WEEK

ROOT = Path(__file__).parents[1]
OUTPUTS = ["forecast", "lower", "upper"]


def plain_series(days: int, seed: int = 0) -> pd.DataFrame:
    """Three airports with a weekly pattern and noise, and nothing else that could be learnt."""
    generator = np.random.default_rng(seed)
    week = np.array([340, 330, 335, 335, 330, 250, 300])
    level = np.resize(week, days)[:, None] * np.array([1.0, 0.9, 0.85])
    index = pd.date_range("2013-01-07", periods=days, name=DATE)
    return pd.DataFrame((level + generator.normal(0, 8, level.shape)).round(), index, ["EWR", "JFK", "LGA"])


@pytest.fixture(scope="module")
def settings() -> config.Config:
    return config.load(root=ROOT)


@pytest.fixture(scope="module")
def fitted() -> model.Model:
    settings = {**model.family("gradient_boosting").defaults, "trees": 30}
    return model.fit(plain_series(180), "gradient_boosting", settings, 14, 0.9)


def watch(fitted: model.Model, settings: config.Config, contract: Contract, new: pd.DataFrame) -> Watched:
    """The model, accepted on 49 days and met by `new` ones, (days, airports), after them."""
    series = plain_series(230)
    reference = evaluate.back_test(fitted, series, range(181, 217), metrics.scale(series.iloc[:180]))
    version = Version("test", "1", {})
    return Watched(settings, version, fitted, contract, reference, data.to_frame(new), OUTPUTS, DATE, "test")


def fired(watched: Watched) -> set[str]:
    judged = judge(monitor.measure(watched).signals, watched.settings.monitoring.signals)
    return {signal.name for signal in judged if signal.status == "fired"}


def new_days(seed: int = 0) -> pd.DataFrame:
    return plain_series(230 + 8 * WEEK, seed).iloc[230:]


@pytest.mark.parametrize("seed", range(3))
def test_silent_where_nothing_changed(
    fitted: model.Model, settings: config.Config, contract: Contract, seed: int
) -> None:
    assert fired(watch(fitted, settings, contract, new_days(seed))) == set()


def test_a_lower_level_is_found(fitted: model.Model, settings: config.Config, contract: Contract) -> None:
    found = fired(watch(fitted, settings, contract, new_days() * 0.8))
    assert {"data_drift", "prediction_drift"} <= found


def test_wilder_days_are_found(fitted: model.Model, settings: config.Config, contract: Contract) -> None:
    noise = np.random.default_rng(1).normal(0, 60, (8 * WEEK, 3))
    found = fired(watch(fitted, settings, contract, (new_days() + noise).clip(lower=0).round()))
    assert {"performance", "interval_coverage"} <= found


def test_one_airport_gone_wild_is_found(fitted: model.Model, settings: config.Config, contract: Contract) -> None:
    new = new_days()
    new["LGA"] += np.random.default_rng(1).normal(0, 80, len(new)).round()
    assert "cohort_bias" in fired(watch(fitted, settings, contract, new.clip(lower=0)))


def test_missing_days_are_found(fitted: model.Model, settings: config.Config, contract: Contract) -> None:
    new = data.to_frame(new_days())
    lost = (new[AIRPORT] == "JFK") & (new[DATE].dt.day % 7 == 0)
    watched = watch(fitted, settings, contract, new_days())
    holes = Watched(**{**vars(watched), "current": new[~lost]})
    assert "data_quality" in fired(holes)


def test_collected_requests_tell_the_truth_of_earlier_ones(
    fitted: model.Model, settings: config.Config, contract: Contract
) -> None:
    series = plain_series(230 + 8 * WEEK)
    parts = []
    for end in range(230, len(series)):
        known, answer = data.to_frame(series.iloc[end - 28 : end]), fitted.predict_series(series.iloc[:end])
        parts.append(pd.concat([known, answer], ignore_index=True).assign(request_id=f"r{end}"))
    current = pd.concat(parts, ignore_index=True).assign(request_time=pd.Timestamp("2014-01-01", tz="UTC"))
    watched = watch(fitted, settings, contract, new_days())
    asked = Watched(**{**vars(watched), "current": current})
    findings = monitor.measure(asked)
    told = findings.evidence["told"]
    assert told[TARGET].notna().all()
    assert told["day_ahead"].between(1, 14).all()
    performance = next(signal for signal in findings.signals if signal.name == "performance")
    assert performance.value == 0


def test_the_report_is_written(
    fitted: model.Model, settings: config.Config, contract: Contract, tmp_path: Path
) -> None:
    watched = watch(fitted, settings, contract, new_days())
    findings = monitor.measure(watched)
    judged = judge(findings.signals, settings.monitoring.signals)
    assert monitoring.write(tmp_path, watched, findings, judged, monitor) == "none"
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")
