"""Step 3: measure the candidate on texts it has not seen, compare it with the champion, decide on its registration."""

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

from . import bias, data, metrics, model
from .metrics import Outcome
from .tables import TEXT, Table

Array = np.ndarray[Any, Any]
RESAMPLES = 200  # for confidence intervals
WORST = 15  # errors shown as text
HARD = "hard_"  # before the names of metrics of the hard texts


@dataclass(frozen=True)
class Evaluation:
    """All that is known about a candidate."""

    metrics: pd.DataFrame  # metric, value, low, high
    hard: pd.DataFrame  # the same of the hard texts
    outcome: Outcome
    breakdown: pd.DataFrame  # numbers for each class, type or kind of text
    cohorts: dict[str, pd.DataFrame]  # column → group, rows, compared, low, high, and every metric
    identity: pd.DataFrame  # what `bias.probe` found
    errors: pd.DataFrame  # the texts with the highest loss: text, true, answered, loss
    champion: str | None  # the version compared with
    improvement: tuple[float, float] | None  # mean and lower bound of champion's minus candidate's loss
    verdict: Verdict


def evaluate(
    candidate: model.Model,
    test: Table,
    hard: Table,
    settings: Shared,
    champion: tuple[str, model.Model] | None = None,
) -> tuple[Evaluation, pd.DataFrame]:
    """Measure the candidate; returns what was found and its predictions for the test rows."""
    prediction = candidate.predict(test.inputs)
    seen = metrics.outcome(test.targets, prediction)
    measured = measure(seen)
    measured_hard = measure(metrics.outcome(hard.targets, candidate.predict(hard.inputs)))
    cohorts = {
        column: compare_cohorts(_column(test, column), seen, settings.gates.cohorts)
        for column in settings.gates.cohorts.columns
    }
    gaps = {column: _gap(column, table, settings.gates.cohorts) for column, table in cohorts.items()}
    identity = bias.probe(candidate, test.frame)
    loss = metrics.loss(test.targets, prediction)
    improvement = None
    if champion is not None:
        theirs = metrics.loss(test.targets, predict_as_champion(*champion, candidate, test))
        improvement = paired_improvement(theirs, loss, confidence=settings.gates.champion.confidence)
    values = dict(zip(measured["metric"], measured["value"], strict=True))
    values |= {HARD + name: value for name, value in zip(measured_hard["metric"], measured_hard["value"], strict=True)}
    values["identity_gap"] = bias.gap(identity)
    found = Evaluation(
        metrics=measured,
        hard=measured_hard,
        outcome=seen,
        breakdown=metrics.breakdown(seen),
        cohorts=cohorts,
        identity=identity,
        errors=worst(test, prediction, loss),
        champion=champion[0] if champion else None,
        improvement=improvement,
        verdict=gates.check(settings.gates, values, improvement, gaps),
    )
    return found, prediction


def measure(found: Outcome) -> pd.DataFrame:
    """Every metric with its 95 % interval: metric, value, low, high."""
    rows = []
    for name, metric in metrics.METRICS.items():
        low, high = _interval(name, found, np.arange(found.rows))
        rows.append({"metric": name, "value": metric(found), "low": low, "high": high})
    return pd.DataFrame(rows)


def _interval(name: str, found: Outcome, rows: Array) -> tuple[float, float]:
    """The bootstrap interval of a metric over some of the rows."""
    return bootstrap_interval(lambda drawn: metrics.METRICS[name](found.take(drawn)), rows, resamples=RESAMPLES)


def compare_cohorts(column: "pd.Series[Any]", found: Outcome, gate: CohortGate) -> pd.DataFrame:
    """Every metric for every group of `column`, largest group first; only groups with enough rows are `compared`."""
    if gate.metric not in metrics.METRICS:
        known = ", ".join(metrics.METRICS)
        raise Problem(f"gates.cohorts.metric {gate.metric!r} does not exist: choose one of {known}.")
    groups = column.astype(str).to_numpy()
    tables = []
    for group, count in column.astype(str).value_counts().items():
        rows = np.flatnonzero(groups == group)
        compared = count >= gate.min_rows
        low, high = _interval(gate.metric, found, rows) if compared else (math.nan, math.nan)
        values = {name: metric(found.take(rows)) for name, metric in metrics.METRICS.items()}
        tables.append({"group": group, "rows": count, "compared": compared, **values, "low": low, "high": high})
    return pd.DataFrame(tables)


def _column(test: Table, name: str) -> "pd.Series[Any]":
    if name not in test.frame:
        known = ", ".join(test.frame.columns)
        raise Problem(f"gates.cohorts.columns: {name!r} is no column of the test data, which has {known}.")
    return test.frame[name]


def _gap(column: str, table: pd.DataFrame, gate: CohortGate) -> float:
    """The largest difference of the gate's metric between two groups with enough rows."""
    values = table.loc[table["compared"], gate.metric].dropna()
    if len(values) < 2:
        raise Problem(
            f"gates.cohorts: {column} has no two groups with {gate.min_rows} test rows to compare: "
            "lower min_rows or take the column out of columns."
        )
    return float(values.max() - values.min())


def worst(test: Table, prediction: pd.DataFrame, loss: Array) -> pd.DataFrame:
    """The texts that the model is most wrong about: a wrong label, an unclear text, or something to learn."""
    rows = np.argsort(-loss, kind="stable")[:WORST]
    texts = test.frame[TEXT].iloc[rows].tolist()
    both = {"true": test.targets.iloc[rows, 0], "answered": prediction["prediction"].iloc[rows]}
    told = {name: data.readable(texts, answers.tolist()) for name, answers in both.items()}
    return pd.DataFrame({TEXT: texts, **told, "loss": loss[rows]})


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


def predict_as_champion(version: str, champion: model.Model, candidate: model.Model, test: Table) -> pd.DataFrame:
    """The champion's predictions for the test rows, if both models are about the same thing."""
    if champion.targets != candidate.targets:
        theirs, ours = ",".join(champion.targets), ",".join(candidate.targets)
        raise Problem(
            f"The champion, version {version}, predicts {theirs}, the candidate {ours}: they cannot be compared. "
            "Set training.champion to none once."
        )
    return champion.predict(test.inputs)


def as_json(found: Evaluation, test: Table) -> dict[str, Any]:
    """The content of metrics.json; what is not a number is null."""

    def records(table: pd.DataFrame) -> list[dict[str, Any]]:
        return [{str(key): _plain(value) for key, value in row.items()} for row in table.to_dict(orient="records")]

    return {
        "data_version": test.version,
        "rows": len(test.frame),
        "metrics": {row.pop("metric"): row for row in records(found.metrics)},
        "hard": {row.pop("metric"): row for row in records(found.hard)},
        "champion": found.champion,
        "improvement": dict(zip(("mean", "low"), found.improvement, strict=True)) if found.improvement else None,
        "breakdown": records(found.breakdown),
        "cohorts": {column: records(table) for column, table in found.cohorts.items()},
        "identity": records(found.identity),
    }


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("train", "test", "hard"):
        parser.add_argument(f"--{name}-table", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--model", type=Path, required=True, help="MLflow model that the train step wrote")
    parser.add_argument("--config", type=Path, required=True, help="config/shared.yml, for the gates")
    parser.add_argument("--champion", required=True, help="version to beat: latest, none or a number")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder to write")
    args = parser.parse_args()

    from . import report

    settings = load_shared(args.config)
    train, test, hard = (Table.load(folder) for folder in (args.train_table, args.test_table, args.hard_table))
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
        pd.concat([test.frame, prediction], axis=1).to_parquet(args.evaluation / "reference.parquet", index=False)
        report.write(args.evaluation / "report.html", found, candidate, train, test, settings)
        mlflow.log_params({"data_version": test.version, "champion": found.champion or "none"})
        for prefix, table in (("", found.metrics), (HARD, found.hard)):
            values = zip(table["metric"], table["value"], strict=True)
            mlflow.log_metrics({prefix + name: value for name, value in values if math.isfinite(value)})
        mlflow.log_artifacts(str(args.evaluation), "evaluation")
    for gate in found.verdict.gates:
        print(f"{'passed ' if gate.passed else 'REFUSED'}  {gate.reason}")


if __name__ == "__main__":
    main()
