"""Step 3: back-test the candidate on the test days, compare it with the champion, hold it against the gates."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime import evaluation, gates, tracking
from mlops_runtime.config import Shared, load_shared
from mlops_runtime.errors import Problem
from mlops_runtime.statistics import paired_improvement

from . import data, features, importance, metrics, model
from .boosting import GradientBoosting
from .data import AIRPORT, DATE, TARGET

SHUFFLES = 3  # of each feature, for its importance
LEVELS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]  # of coverage, for the calibration of the intervals
POINT_METRICS = ["mae", "rmse", "mape", "smape", "mase", "bias"]  # which need no interval
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@dataclass(frozen=True)
class Evaluation(evaluation.Evaluation):
    """What is known about a candidate besides."""

    rows: pd.DataFrame  # of `Model.roll`, with scale and weekday
    rivals: pd.DataFrame  # metric, candidate, seasonal naive and, if there is one, champion
    days_ahead: pd.DataFrame  # day_ahead, mae, naive, coverage
    calibration: pd.DataFrame  # intended, observed
    worst_days: pd.DataFrame  # date, weekday, departures, forecast, loss; the worst first
    weeks: pd.DataFrame  # week, increase (of the loss when the week is exchanged)
    importance: pd.DataFrame | None  # feature, increase (of the loss when it is shuffled); only of trees


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
    measured = evaluation.measure(metrics.METRICS, rows, len(rows), metrics.interval)
    cohorts = evaluation.compare_cohorts(rows, metrics.METRICS, rows, settings.gates.cohorts, metrics.interval)
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
        verdict=gates.check(
            settings.gates, values, improvement, evaluation.cohort_gaps(cohorts, settings.gates.cohorts)
        ),
    )


def back_test(
    fitted: model.Model, series: pd.DataFrame, cutoffs: Sequence[int], scale: "pd.Series[float]"
) -> pd.DataFrame:
    """The rows of `Model.roll` with what the metrics need besides: scale and weekday."""
    rows = fitted.roll(series, cutoffs)
    rows["scale"] = rows[AIRPORT].map(scale)
    rows["weekday"] = rows[DATE].dt.dayofweek.map(dict(enumerate(WEEKDAYS)))
    return rows


def compare_rivals(rivals: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The metrics of several forecasts of the same rows, side by side."""
    table = {name: [metrics.METRICS[metric](rows) for metric in POINT_METRICS] for name, rows in rivals.items()}
    return pd.DataFrame({"metric": POINT_METRICS, **table})


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


def facts(found: Evaluation, test: data.Table) -> dict[str, Any]:
    """What metrics.json has besides."""
    return {
        "data_version": test.version,
        "rows": len(found.rows),
        "rivals": found.rivals.set_index("metric").to_dict(orient="index"),
        "days_ahead": found.days_ahead.to_dict(orient="records"),
        "calibration": found.calibration.to_dict(orient="records"),
        "weeks": found.weeks.set_index("week")["increase"].to_dict(),
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

        champion = evaluation.load_champion(settings.project.name, args.champion, model.load)
        found = evaluate(candidate, train, test, settings, champion)
        found.write(args.evaluation, args.champion, facts(found, test), found.rows)
        report.write(args.evaluation / "report.html", found, candidate, train, test, settings)
        mlflow.log_artifacts(str(args.evaluation), "evaluation")
    print(found.verdict)


if __name__ == "__main__":
    main()
