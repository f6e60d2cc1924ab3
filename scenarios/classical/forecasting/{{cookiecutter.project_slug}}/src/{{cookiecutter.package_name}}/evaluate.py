"""Step 3: back-test the candidate on the test days, compare it with the champion, hold it against the gates."""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime import gates, tracking
from mlops_runtime.config import CohortGate, Shared, load_shared
from mlops_runtime.errors import Problem
from mlops_runtime.gates import Verdict
from mlops_runtime.statistics import paired_improvement

from . import data, features, importance, metrics, model
from .boosting import GradientBoosting
from .data import AIRPORT, DATE, TARGET

SHUFFLES = 3  # of each feature, for its importance
LEVELS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]  # of coverage, for the calibration of the intervals
POINT_METRICS = ["mae", "rmse", "mape", "smape", "mase", "bias"]  # which need no interval
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@dataclass(frozen=True)
class Evaluation:
    """All that is known about a candidate."""

    rows: pd.DataFrame  # of `Model.roll`, with scale and weekday
    metrics: pd.DataFrame  # metric, value, low, high
    rivals: pd.DataFrame  # metric, candidate, seasonal naive and, if there is one, champion
    cohorts: dict[str, pd.DataFrame]  # column → group, rows, compared, low, high, and every metric
    days_ahead: pd.DataFrame  # day_ahead, mae, naive, coverage
    calibration: pd.DataFrame  # intended, observed
    worst_days: pd.DataFrame  # date, weekday, departures, forecast, loss; the worst first
    weeks: pd.DataFrame  # week, increase (of the loss when the week is exchanged)
    importance: pd.DataFrame | None  # feature, increase (of the loss when it is shuffled); only of trees
    champion: str | None  # the version compared with
    improvement: tuple[float, float] | None  # mean and lower bound of champion's minus candidate's loss
    verdict: Verdict


def evaluate(
    candidate: model.Model,
    train: data.Table,
    test: data.Table,
    settings: Shared,
    champion: tuple[str, model.Model] | None = None,
) -> Evaluation:
    """Forecast from every day of the test period on which the whole horizon is known by now, and measure."""
    known = train.series
    series = pd.concat([known, test.series])
    cutoffs = range(len(known), len(series) - candidate.horizon + 1)
    rows = back_test(candidate, series, cutoffs, metrics.scale(known))
    measured = measure(rows)
    gate = settings.gates.cohorts
    cohorts = {column: compare_cohorts(rows, column, gate) for column in gate.columns}
    gaps = {column: _gap(column, table, gate) for column, table in cohorts.items()}
    rivals = {"candidate": rows, "seasonal naive": rows.assign(forecast=rows["naive"])}
    improvement = None
    if champion is not None:
        theirs = roll_champion(*champion, candidate, series, cutoffs, rows)
        rivals["champion"] = theirs
        weekly = metrics.by_week(theirs), metrics.by_week(rows)
        improvement = paired_improvement(*weekly, confidence=settings.gates.champion.confidence)
    values = dict(zip(measured["metric"], measured["value"], strict=True))
    return Evaluation(
        rows=rows,
        metrics=measured,
        rivals=compare_rivals(rivals),
        cohorts=cohorts,
        days_ahead=by_day_ahead(rows),
        calibration=calibrate(candidate, rows),
        worst_days=find_worst_days(rows),
        weeks=week_importance(candidate, series, cutoffs, rows),
        importance=feature_importance(candidate, series, cutoffs, rows),
        champion=champion[0] if champion else None,
        improvement=improvement,
        verdict=gates.check(settings.gates, values, improvement, gaps),
    )


def back_test(
    fitted: model.Model, series: pd.DataFrame, cutoffs: Sequence[int], scale: "pd.Series[float]"
) -> pd.DataFrame:
    """The rows of `Model.roll` with what the metrics need besides: scale and weekday."""
    rows = fitted.roll(series, cutoffs)
    rows["scale"] = rows[AIRPORT].map(scale)
    rows["weekday"] = rows[DATE].dt.dayofweek.map(dict(enumerate(WEEKDAYS)))
    return rows


def measure(rows: pd.DataFrame) -> pd.DataFrame:
    """Every metric with its 95 % interval: metric, value, low, high."""
    table = []
    for name, metric in metrics.METRICS.items():
        low, high = metrics.interval(metric, rows)
        table.append({"metric": name, "value": metric(rows), "low": low, "high": high})
    return pd.DataFrame(table)


def compare_rivals(rivals: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The metrics of several forecasts of the same rows, side by side."""
    table = {name: [metrics.METRICS[metric](rows) for metric in POINT_METRICS] for name, rows in rivals.items()}
    return pd.DataFrame({"metric": POINT_METRICS, **table})


def compare_cohorts(rows: pd.DataFrame, column: str, gate: CohortGate) -> pd.DataFrame:
    """Every metric for every group of `column`; only groups with enough rows are `compared`.

    Plain groups rather than fairlearn's MetricFrame: a metric here needs the whole row, not one truth and one answer.
    """
    if gate.metric not in metrics.METRICS:
        known = ", ".join(metrics.METRICS)
        raise Problem(f"gates.cohorts.metric {gate.metric!r} does not exist: choose one of {known}.")
    if column not in rows:
        known = ", ".join(rows.columns)
        raise Problem(f"gates.cohorts.columns: {column!r} is no column of the back-test, which has {known}.")
    table = []
    for group, part in rows.groupby(column, sort=False):
        compared = len(part) >= gate.min_rows
        low, high = metrics.interval(metrics.METRICS[gate.metric], part) if compared else (math.nan, math.nan)
        measured = {name: metric(part) for name, metric in metrics.METRICS.items()}
        table.append(
            {"group": str(group), "rows": len(part), "compared": compared, "low": low, "high": high, **measured}
        )
    return pd.DataFrame(table)


def _gap(column: str, table: pd.DataFrame, gate: CohortGate) -> float:
    """The largest difference of the gate's metric between two groups with enough rows."""
    values = table.loc[table["compared"], gate.metric].dropna()
    if len(values) < 2:
        raise Problem(
            f"gates.cohorts: {column} has no two groups with {gate.min_rows} rows to compare: "
            "lower min_rows or take the column out of columns."
        )
    return float(values.max() - values.min())


def by_day_ahead(rows: pd.DataFrame) -> pd.DataFrame:
    """How errors and coverage depend on how far ahead a day is: day_ahead, mae, naive, coverage."""
    table = []
    for day, part in rows.groupby("day_ahead"):
        naive = metrics.mae(part.assign(forecast=part["naive"]))
        table.append({"day_ahead": day, "mae": metrics.mae(part), "naive": naive, "coverage": metrics.coverage(part)})
    return pd.DataFrame(table)


def calibrate(fitted: model.Model, rows: pd.DataFrame) -> pd.DataFrame:
    """Which share of days falls within intervals made for other coverages: intended, observed."""
    days, places = rows["day_ahead"].to_numpy() - 1, rows[AIRPORT].map(fitted.airports.index).to_numpy()
    error = (rows[TARGET] - rows["forecast"]).to_numpy()
    table = []
    for level in LEVELS:
        lower, upper = fitted.bounds(level)
        inside = (lower[days, places] <= error) & (error <= upper[days, places])
        table.append({"intended": level, "observed": float(inside.mean())})
    return pd.DataFrame(table)


def find_worst_days(rows: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """The days and airports that were forecast worst, from wherever: means over all forecasts for them."""
    table = rows.assign(loss=metrics.loss(rows)).groupby([DATE, AIRPORT, "weekday"], as_index=False)
    found = table[[TARGET, "forecast", "loss"]].mean().nlargest(count, "loss")
    near = features.days_from_holiday(pd.DatetimeIndex(rows[DATE].sort_values().unique()))
    holiday = dict(zip(rows[DATE].sort_values().unique(), near, strict=True))
    found["days_from_holiday"] = [
        str(holiday[day]) if holiday[day] != features.NO_HOLIDAY else "–" for day in found[DATE]
    ]
    return found.assign(**{DATE: found[DATE].dt.strftime("%Y-%m-%d")})


def week_importance(
    fitted: model.Model, series: pd.DataFrame, cutoffs: Sequence[int], rows: pd.DataFrame
) -> pd.DataFrame:
    """How much the loss grows when a week of the history is exchanged, for any family: week, increase."""
    usual = metrics.loss(rows).mean()
    table = []
    for number, name in enumerate(importance.week_names(fitted), 1):
        changed = importance.exchanged(fitted, series, cutoffs, number).ravel()
        loss = metrics.loss(rows.assign(forecast=changed)).mean()
        table.append({"week": name, "increase": float(loss - usual)})
    return pd.DataFrame(table)


def feature_importance(
    fitted: model.Model, series: pd.DataFrame, cutoffs: Sequence[int], rows: pd.DataFrame
) -> pd.DataFrame | None:
    """How much the loss of trees grows when a feature is shuffled (permutation importance): feature, increase."""
    trees = fitted.forecaster
    if not isinstance(trees, GradientBoosting):
        return None
    examples = trees.examples(series, cutoffs)
    usual = metrics.loss(rows).mean()
    generator = np.random.default_rng(0)
    table = []
    for place, name in enumerate(features.NAMES):
        losses = []
        for _ in range(SHUFFLES):
            matrix = examples.matrix.copy()
            matrix[:, place] = generator.permutation(matrix[:, place])
            forecast = trees.predict(features.Features(matrix, examples.typical, examples.level))
            losses.append(metrics.loss(rows.assign(forecast=forecast)).mean())
        table.append({"feature": name, "increase": float(np.mean(losses) - usual)})
    return pd.DataFrame(table).sort_values("increase", ascending=False, ignore_index=True)


def load_champion(name: str, chosen: str) -> tuple[str, model.Model] | None:
    """The champion's version and model: `chosen` is "latest", "none" or a version number; None if there is none."""
    if chosen == "none":
        return None
    if chosen == "latest":
        found = tracking.champion(name)
    else:
        found = next((version for version in tracking.versions(name) if version.version == chosen), None)
        if found is None:
            raise Problem(f"champion {chosen!r}: {name} has no such version; give latest, none or a version's number.")
    return (found.version, model.load(tracking.model_data(tracking.fetch(found)))) if found else None


def roll_champion(
    version: str,
    champion: model.Model,
    candidate: model.Model,
    series: pd.DataFrame,
    cutoffs: Sequence[int],
    rows: pd.DataFrame,
) -> pd.DataFrame:
    """The champion's forecasts of the same rows, if both models are about the same thing."""
    same = champion.horizon == candidate.horizon and champion.airports == candidate.airports
    if not same or cutoffs[0] < champion.history_days:
        theirs = f"{champion.horizon} days of {', '.join(champion.airports)} from {champion.history_days} days"
        ours = f"{candidate.horizon} days of {', '.join(candidate.airports)}, knowing {cutoffs[0]} days at first"
        raise Problem(
            f"The champion, version {version}, forecasts {theirs}, the candidate {ours}: they cannot be compared. "
            "Set training.champion to none once."
        )
    theirs_rows = champion.roll(series, cutoffs)
    return theirs_rows.assign(scale=rows["scale"], weekday=rows["weekday"])


def as_json(found: Evaluation, test: data.Table) -> dict[str, Any]:
    """The content of metrics.json; what is not a number is null."""

    def number(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    def records(table: pd.DataFrame) -> list[dict[str, Any]]:
        return [
            {str(key): number(value) if isinstance(value, float) else value for key, value in row.items()}
            for row in table.to_dict(orient="records")
        ]

    return {
        "data_version": test.version,
        "rows": len(found.rows),
        "metrics": {row.pop("metric"): row for row in records(found.metrics)},
        "rivals": {row.pop("metric"): row for row in records(found.rivals)},
        "champion": found.champion,
        "improvement": dict(zip(("mean", "low"), found.improvement, strict=True)) if found.improvement else None,
        "cohorts": {column: records(table) for column, table in found.cohorts.items()},
        "days_ahead": records(found.days_ahead),
        "calibration": records(found.calibration),
        "weeks": {row["week"]: row["increase"] for row in records(found.weeks)},
        "importance": {} if found.importance is None else dict(found.importance.to_numpy().tolist()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--test-data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--model", type=Path, required=True, help="MLflow model that the train step wrote")
    parser.add_argument("--config", type=Path, required=True, help="config/shared.yml, for the gates")
    parser.add_argument("--champion", required=True, help="version to beat: latest, none or a number")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder to write")
    args = parser.parse_args()

    from . import report

    settings = load_shared(args.config)
    train, test = data.Table.load(args.train_data), data.Table.load(args.test_data)
    candidate = model.load(tracking.model_data(args.model))
    with tracking.start_step("evaluate"):
        import mlflow

        found = evaluate(candidate, train, test, settings, load_champion(settings.project.name, args.champion))
        args.evaluation.mkdir(parents=True, exist_ok=True)
        facts = {**as_json(found, test), "champion_asked_for": args.champion}
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        (args.evaluation / "metrics.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        found.verdict.write(args.evaluation / "verdict.json")
        found.rows.to_parquet(args.evaluation / "reference.parquet", index=False)
        report.write(args.evaluation / "report.html", found, candidate, train, test, settings)
        mlflow.log_params({"data_version": test.version, "champion": found.champion or "none"})
        values = zip(found.metrics["metric"], found.metrics["value"], strict=True)
        mlflow.log_metrics({name: value for name, value in values if math.isfinite(value)})
        mlflow.log_artifacts(str(args.evaluation), "evaluation")
    for gate in found.verdict.gates:
        print(f"{'passed ' if gate.passed else 'REFUSED'}  {gate.reason}")


if __name__ == "__main__":
    main()
