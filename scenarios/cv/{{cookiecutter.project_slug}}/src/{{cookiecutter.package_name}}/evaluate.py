"""Step 3: measure the candidate on the test images, compare it with the champion, decide whether it may register."""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime import gates, tracking
from mlops_runtime.config import CohortGate, Shared, load_shared
from mlops_runtime.errors import Problem
from mlops_runtime.gates import Verdict
from mlops_runtime.statistics import bootstrap_interval, paired_improvement

from . import corruptions, data, metrics, model

Array = np.ndarray[Any, Any]
RESAMPLES = 200  # for confidence intervals
HARD = "hard_"  # before the names of metrics on the images with the held-out condition


@dataclass(frozen=True)
class Evaluation:
    """All that is known about a candidate."""

    metrics: pd.DataFrame  # metric, value, low, high; those on the held-out condition begin with hard_
    cohorts: dict[str, pd.DataFrame]  # column → group, images, compared, low, high, and every metric
    conditions: pd.DataFrame  # condition, and every metric: the test images, darker, blurred, noisier …
    loss: Array  # (images,) of the test images
    champion: str | None  # the version compared with
    improvement: tuple[float, float] | None  # mean and lower bound of champion's minus candidate's loss
    verdict: Verdict


def evaluate(
    candidate: model.Model,
    test: data.Table,
    hard: data.Table,
    settings: Shared,
    champion: tuple[str, model.Model] | None = None,
) -> tuple[Evaluation, pd.DataFrame]:
    """Measure the candidate; returns what was found and the predictions for the test images."""
    pixels = test.pixels(candidate.facts.size)
    prediction = pd.DataFrame(candidate.predict_pixels(pixels))
    seen = metrics.outcome(test.frame, prediction)
    measured = measure(seen)
    if len(hard.frame):
        measured = pd.concat([measured, measure(metrics.outcome(hard.frame, candidate.predict(hard.frame)), HARD)])
    gate = settings.gates.cohorts
    cohorts = {column: compare_cohorts(_column(test, column), seen, gate) for column in gate.columns}
    improvement = None
    if champion is not None:
        theirs = metrics.outcome(test.frame, predict_as_champion(*champion, candidate, test))
        losses = metrics.loss(theirs), metrics.loss(seen)
        improvement = paired_improvement(*losses, confidence=settings.gates.champion.confidence)
    verdict = gates.check(
        settings.gates,
        dict(zip(measured["metric"], measured["value"], strict=True)),
        improvement,
        {column: _gap(column, table, gate) for column, table in cohorts.items()},
    )
    found = Evaluation(
        metrics=measured.reset_index(drop=True),
        cohorts=cohorts,
        conditions=compare_conditions(candidate, test, pixels),
        loss=metrics.loss(seen),
        champion=champion[0] if champion else None,
        improvement=improvement,
        verdict=verdict,
    )
    return found, prediction


def measure(found: metrics.Outcome, prefix: str = "") -> pd.DataFrame:
    """Every metric with its 95 % interval: metric, value, low, high."""
    rows, everything = [], np.arange(len(metrics.loss(found)))
    for name, metric in metrics.METRICS.items():
        low, high = _interval(name, found, everything)
        rows.append({"metric": prefix + name, "value": metric(found), "low": low, "high": high})
    return pd.DataFrame(rows)


def _interval(name: str, found: metrics.Outcome, rows: Array) -> tuple[float, float]:
    """The bootstrap interval of a metric over some of the images."""
    return bootstrap_interval(lambda drawn: metrics.METRICS[name](found.take(drawn)), rows, resamples=RESAMPLES)


def compare_cohorts(column: "pd.Series[Any]", found: metrics.Outcome, gate: CohortGate) -> pd.DataFrame:
    """Every metric for every group of `column`, largest group first; only groups with enough images are `compared`."""
    if gate.metric not in metrics.METRICS:
        known = ", ".join(metrics.METRICS)
        raise Problem(f"gates.cohorts.metric {gate.metric!r} does not exist: choose one of {known}.")
    groups = column.astype(str).to_numpy()
    tables = []
    for group in sorted(set(groups)):
        rows = np.flatnonzero(groups == group)
        compared = len(rows) >= gate.min_rows
        low, high = _interval(gate.metric, found, rows) if compared else (math.nan, math.nan)
        values = {name: metric(found.take(rows)) for name, metric in metrics.METRICS.items()}
        tables.append({"group": group, "images": len(rows), "compared": compared, **values, "low": low, "high": high})
    return pd.DataFrame(tables).sort_values("images", ascending=False, kind="stable", ignore_index=True)


def _column(test: data.Table, name: str) -> "pd.Series[Any]":
    if name not in test.frame:
        known = ", ".join(test.frame.columns)
        raise Problem(f"gates.cohorts.columns: {name!r} is no column of the test data, which has {known}.")
    return test.frame[name]


def _gap(column: str, table: pd.DataFrame, gate: CohortGate) -> float:
    """The largest difference of the gate's metric between two groups with enough images."""
    values = table.loc[table["compared"], gate.metric].dropna()
    if len(values) < 2:
        raise Problem(
            f"gates.cohorts: {column} has no two groups with {gate.min_rows} test images to compare: "
            "lower min_rows or take the column out of columns."
        )
    return float(values.max() - values.min())


def compare_conditions(candidate: model.Model, test: data.Table, pixels: Array) -> pd.DataFrame:
    """Every metric on the test images as they are and spoilt in ways that cameras know: condition, metrics."""
    rows = []
    for name, spoil in corruptions.CORRUPTIONS.items():
        prediction = pd.DataFrame(candidate.predict_pixels(spoil(pixels)))
        found = metrics.outcome(test.frame, prediction)
        rows.append({"condition": name, **{metric: measured(found) for metric, measured in metrics.METRICS.items()}})
    return pd.DataFrame(rows)


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


def predict_as_champion(version: str, champion: model.Model, candidate: model.Model, test: data.Table) -> pd.DataFrame:
    """The champion's predictions for the test images, if both models know the same classes."""
    if champion.facts.classes != candidate.facts.classes:
        theirs, ours = ", ".join(champion.facts.classes), ", ".join(candidate.facts.classes)
        raise Problem(
            f"The champion, version {version}, knows the classes {theirs}, the candidate {ours}: they cannot be "
            "compared. Set training.champion to none once."
        )
    return champion.predict(test.frame)


def as_json(found: Evaluation, test: data.Table) -> dict[str, Any]:
    """The content of metrics.json; what is not a number is null."""

    def records(table: pd.DataFrame) -> list[dict[str, Any]]:
        return [{str(key): _plain(value) for key, value in row.items()} for row in table.to_dict(orient="records")]

    return {
        "data_version": test.version,
        "images": len(test.frame),
        "metrics": {row.pop("metric"): row for row in records(found.metrics)},
        "champion": found.champion,
        "improvement": dict(zip(("mean", "low"), found.improvement, strict=True)) if found.improvement else None,
        "cohorts": {column: records(table) for column, table in found.cohorts.items()},
        "conditions": records(found.conditions),
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--test-data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--model", type=Path, required=True, help="MLflow model that the train step wrote")
    parser.add_argument("--config", type=Path, required=True, help="config/shared.yml, for the gates")
    parser.add_argument("--champion", required=True, help="version to beat: latest, none or a number")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder to write")
    args = parser.parse_args()

    from . import report

    settings = load_shared(args.config)
    test, hard = data.Table.load(args.test_data), data.Table.load(args.test_data / "hard")
    candidate = model.load(tracking.model_data(args.model))
    with tracking.start_step("evaluate"):
        import mlflow

        champion = load_champion(settings.project.name, args.champion)
        found, prediction = evaluate(candidate, test, hard, settings, champion)
        args.evaluation.mkdir(parents=True, exist_ok=True)
        facts = {**as_json(found, test), "champion_asked_for": args.champion}
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        (args.evaluation / "metrics.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        found.verdict.write(args.evaluation / "verdict.json")
        reference = pd.concat([test.frame.drop(columns=data.IMAGE), prediction], axis=1)
        reference.to_parquet(args.evaluation / "reference.parquet", index=False)
        report.write(args.evaluation / "report.html", found, candidate, test, hard, prediction, settings)
        mlflow.log_params({"data_version": test.version, "champion": found.champion or "none"})
        values = zip(found.metrics["metric"], found.metrics["value"], strict=True)
        mlflow.log_metrics({name: value for name, value in values if math.isfinite(value)})
        mlflow.log_artifacts(str(args.evaluation), "evaluation")
    for gate in found.verdict.gates:
        print(f"{'passed ' if gate.passed else 'REFUSED'}  {gate.reason}")


if __name__ == "__main__":
    main()
