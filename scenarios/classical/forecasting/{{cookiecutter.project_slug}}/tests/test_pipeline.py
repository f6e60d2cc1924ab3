"""From raw data to a verdict, and the questions that an evaluation answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_runtime.config import Shared, load_shared
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import data, evaluate, metrics, model, prepare, report, train
from {{ cookiecutter.package_name }}.data import AIRPORT, DATE, TARGET

ROOT = Path(__file__).parents[1]
HORIZON, COVERAGE = 14, 0.9


@pytest.fixture(scope="module")
def settings() -> Shared:
    return load_shared(ROOT / "config" / "shared.yml")


@pytest.fixture(scope="module")
def tables(contract: Contract) -> tuple[data.Table, data.Table]:
    return prepare.prepare(ROOT / "data" / "departures.parquet", contract, 0.2, HORIZON)


@pytest.fixture(scope="module")
def candidate(tables: tuple[data.Table, data.Table]) -> model.Model:
    return train.train(tables[0], "gradient_boosting", HORIZON, COVERAGE, trials=1)[0]


@pytest.fixture(scope="module")
def found(candidate: model.Model, tables: tuple[data.Table, data.Table], settings: Shared) -> evaluate.Evaluation:
    baseline = train.train(tables[0], "seasonal_naive", HORIZON, COVERAGE)[0]
    return evaluate.evaluate(candidate, *tables, settings, ("1", baseline))


def test_the_default_candidate_passes_its_gates(found: evaluate.Evaluation) -> None:
    assert found.verdict.passed, found.verdict.refusals


def test_it_beats_last_week(found: evaluate.Evaluation) -> None:
    skill = found.metrics.set_index("metric").loc["skill"]
    assert skill["low"] > 0
    assert found.improvement is not None
    assert found.improvement[1] > 0


def test_the_baseline_alone_is_refused(tables: tuple[data.Table, data.Table], settings: Shared) -> None:
    baseline = train.train(tables[0], "seasonal_naive", HORIZON, COVERAGE)[0]
    verdict = evaluate.evaluate(baseline, *tables, settings).verdict
    assert "skill" in [gate.name for gate in verdict.gates if not gate.passed]


def test_training_is_repeatable(candidate: model.Model, tables: tuple[data.Table, data.Table]) -> None:
    again = train.train(tables[0], "gradient_boosting", HORIZON, COVERAGE, trials=1)[0]
    np.testing.assert_array_equal(again.residuals, candidate.residuals)


def test_no_forecast_has_seen_its_day(candidate: model.Model, tables: tuple[data.Table, data.Table]) -> None:
    series = pd.concat([tables[0].series, tables[1].series])
    cutoff = len(tables[0].series)
    changed = series.copy()
    changed.iloc[cutoff:] = 0
    columns = [DATE, AIRPORT, "forecast", "lower", "upper"]
    one, other = (candidate.roll(frame, [cutoff])[columns] for frame in (series, changed))
    pd.testing.assert_frame_equal(one, other)


def test_every_day_ahead_airport_and_level_is_reported(found: evaluate.Evaluation) -> None:
    assert list(found.days_ahead["day_ahead"]) == list(range(1, HORIZON + 1))
    assert set(found.cohorts["origin"]["group"]) == set(found.rows[AIRPORT])
    assert found.calibration["observed"].is_monotonic_increasing
    assert list(found.rivals) == ["metric", "candidate", "seasonal naive", "champion"]
    assert found.importance is not None


def test_metrics_of_known_errors() -> None:
    days = pd.date_range("2013-01-01", periods=14)
    rows = pd.DataFrame({DATE: days, TARGET: 100.0, "forecast": 110.0, "naive": 80.0, "scale": 5.0})
    rows["lower"], rows["upper"] = 99.0, [101.0] * 7 + [99.5] * 7
    values = {name: metric(rows) for name, metric in metrics.METRICS.items()}
    expected = {"mae": 10, "rmse": 10, "mape": 0.1, "smape": 10 / 105, "mase": 2, "bias": 10, "skill": 0.5}
    assert values == pytest.approx({**expected, "coverage": 0.5, "width": 1.25})
    assert metrics.by_week(rows).tolist() == [2, 2]
    found = metrics.interval(metrics.coverage, rows, np.arange(len(rows)))
    assert found == (0, 1)  # resampled by weeks, of which one is covered


def test_a_champion_of_another_horizon_cannot_be_compared(
    candidate: model.Model, tables: tuple[data.Table, data.Table], settings: Shared
) -> None:
    other = train.train(tables[0], "seasonal_naive", 7, COVERAGE)[0]
    with pytest.raises(Problem, match="cannot be compared"):
        evaluate.evaluate(candidate, *tables, settings, ("1", other))


def test_too_few_days_are_refused(tables: tuple[data.Table, data.Table]) -> None:
    short = data.Table(tables[0].frame.head(3 * 100), tables[0].contract, "x")
    with pytest.raises(Problem, match="100 days are too few"):
        train.train(short, "gradient_boosting", HORIZON, COVERAGE)


def test_the_report_stands_alone(
    tmp_path: Path,
    found: evaluate.Evaluation,
    candidate: model.Model,
    tables: tuple[data.Table, data.Table],
    settings: Shared,
) -> None:
    report.write(tmp_path / "report.html", found, candidate, *tables, settings)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") >= 7
    assert "src=" not in html
    assert evaluate.facts(found, tables[1])["rows"] == len(found.rows)
