"""Step 3: measure the candidate on the test rows, compare it with the champion, decide whether it may be registered."""

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from sklearn.inspection import permutation_importance
from sklearn.tree import DecisionTreeRegressor

from mlops_runtime import gates, tracking
from mlops_runtime.config import CohortGate, Shared, load_shared
from mlops_runtime.errors import Problem
from mlops_runtime.gates import Verdict
from mlops_runtime.statistics import bootstrap_interval, paired_improvement

from . import data, metrics, model
from .features import Features

Array = np.ndarray[Any, Any]
RESAMPLES = 200  # for confidence intervals
SHUFFLES = 3  # of each column, for its importance
MOST_ROWS = 5000  # random test rows that importances are measured on
QUARTERS = 4  # a numeric column becomes this many cohorts


@dataclass(frozen=True)
class Evaluation:
    """All that is known about a candidate."""

    metrics: pd.DataFrame  # metric, value, low, high
    cohorts: dict[str, pd.DataFrame]  # column → group, rows, compared, low, high, and every metric
    importance: pd.DataFrame  # column, increase (of the loss when the column is shuffled), deviation
    error_cohorts: pd.DataFrame  # where, rows, loss; the worst first
    champion: str | None  # the version compared with
    improvement: tuple[float, float] | None  # mean and lower bound of champion's minus candidate's loss
    verdict: Verdict


def evaluate(
    candidate: model.Model, test: data.Table, settings: Shared, champion: tuple[str, model.Model] | None = None
) -> tuple[Evaluation, pd.DataFrame]:
    """Measure the candidate on the test rows; returns what was found and the predictions, (rows, predictions)."""
    truth, prediction = test.targets, candidate.predict(test.inputs)
    seen = metrics.outcome(truth, prediction)
    measured = measure(seen)
    cohorts = {
        column: compare_cohorts(_column(test, column), seen, settings.gates.cohorts)
        for column in settings.gates.cohorts.columns
    }
    gaps = {column: _gap(column, table, settings.gates.cohorts) for column, table in cohorts.items()}
    improvement = None
    if champion is not None:
        losses = metrics.loss(truth, predict_as_champion(*champion, candidate, test)), metrics.loss(truth, prediction)
        improvement = paired_improvement(*losses, confidence=settings.gates.champion.confidence)
    verdict = gates.check(
        settings.gates, dict(zip(measured["metric"], measured["value"], strict=True)), improvement, gaps
    )
    found = Evaluation(
        metrics=measured,
        cohorts=cohorts,
        importance=importance(candidate, test),
        error_cohorts=find_error_cohorts(test.inputs, metrics.loss(truth, prediction)),
        champion=champion[0] if champion else None,
        improvement=improvement,
        verdict=verdict,
    )
    return found, prediction


def measure(found: metrics.Outcome) -> pd.DataFrame:
    """Every metric with its 95 % interval: metric, value, low, high."""
    rows = []
    for name, metric in metrics.METRICS.items():
        low, high = _interval(name, found, np.arange(len(found[0])))
        rows.append({"metric": name, "value": metric(found), "low": low, "high": high})
    return pd.DataFrame(rows)


def _interval(name: str, found: metrics.Outcome, rows: Array) -> tuple[float, float]:
    """The bootstrap interval of a metric over some of the rows."""
    return bootstrap_interval(lambda drawn: metrics.METRICS[name](found.take(drawn)), rows, resamples=RESAMPLES)


def compare_cohorts(column: "pd.Series[Any]", found: metrics.Outcome, gate: CohortGate) -> pd.DataFrame:
    """Every metric for every group of `column`, largest group first; only groups with enough rows are `compared`."""
    if gate.metric not in metrics.METRICS:
        known = ", ".join(metrics.METRICS)
        raise Problem(f"gates.cohorts.metric {gate.metric!r} does not exist: choose one of {known}.")
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > QUARTERS:
        column = pd.qcut(column, QUARTERS, duplicates="drop")
    groups = column.astype(str).rename("group").reset_index(drop=True)
    rows = np.arange(len(groups))
    # MetricFrame hands a metric one value per row: let it be the row's number, to look up truth and prediction.
    table: pd.DataFrame = MetricFrame(
        metrics={name: _of_rows(metric, found) for name, metric in metrics.METRICS.items()},
        y_true=rows,
        y_pred=rows,
        sensitive_features=groups,
    ).by_group
    table.insert(0, "rows", groups.value_counts())
    table.insert(1, "compared", table["rows"] >= gate.min_rows)
    intervals = {
        group: _interval(gate.metric, found, rows[groups == group]) for group in table.index[table["compared"]]
    }
    table["low"], table["high"] = (table.index.map({g: ends[i] for g, ends in intervals.items()}) for i in (0, 1))
    return table.sort_values("rows", ascending=False, kind="stable").reset_index()


def _of_rows(metric: Callable[[metrics.Outcome], float], found: metrics.Outcome) -> Callable[[Array, Array], float]:
    return lambda rows, _: metric(found.take(rows))


def _column(test: data.Table, name: str) -> "pd.Series[Any]":
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


def importance(candidate: model.Model, test: data.Table) -> pd.DataFrame:
    """How much the loss grows when a column is shuffled, the most important first: column, increase, deviation."""
    sample = test.frame.sample(min(len(test.frame), MOST_ROWS), random_state=0)

    def score(_: object, X: pd.DataFrame, y: pd.DataFrame) -> float:
        return -float(metrics.loss(y, candidate.predict(X)).mean())

    found = permutation_importance(
        candidate.pipeline,
        sample[candidate.inputs],
        sample[candidate.targets],
        scoring=score,
        n_repeats=SHUFFLES,
        random_state=0,
    )
    table = {"column": candidate.inputs, "increase": found.importances_mean, "deviation": found.importances_std}
    return pd.DataFrame(table).sort_values("increase", ascending=False, ignore_index=True)


def find_error_cohorts(inputs: pd.DataFrame, loss: Array, depth: int = 3) -> pd.DataFrame:
    """Groups of rows with unlike loss, found by a shallow tree on the inputs: where, rows, loss; the worst first."""
    encoder = Features(scaled=False).fit(inputs)
    matrix, names = encoder.transform(inputs), encoder.get_feature_names_out()
    smallest = max(50, len(inputs) // 50)
    tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=smallest, random_state=0).fit(matrix, loss)
    leaves = tree.apply(matrix)
    where = _describe_leaves(tree.tree_, list(names))
    rows = [
        {"where": where[leaf], "rows": int((leaves == leaf).sum()), "loss": float(loss[leaves == leaf].mean())}
        for leaf in np.unique(leaves)
    ]
    return pd.DataFrame(rows).sort_values("loss", ascending=False, ignore_index=True)


def _describe_leaves(tree: Any, names: list[str]) -> dict[int, str]:
    """Leaf → the conditions that lead to it, in words; a missing value goes where the tree sends it."""
    found: dict[int, str] = {}

    def follow(node: int, conditions: list[str]) -> None:
        if tree.children_left[node] < 0:
            found[node] = " and ".join(conditions) or "everywhere"
            return
        name, threshold = names[tree.feature[node]], tree.threshold[node]
        if "=" in name:
            no, yes = name.replace("=", " is not "), name.replace("=", " is ")
        else:
            no, yes = f"{name} ≤ {threshold:.4g}", f"{name} > {threshold:.4g}"
        follow(tree.children_left[node], [*conditions, no])
        follow(tree.children_right[node], [*conditions, yes])

    follow(0, [])
    return found


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
    """The champion's predictions for the test rows, if both models are about the same thing."""
    if champion.targets != candidate.targets:
        theirs, ours = ",".join(champion.targets), ",".join(candidate.targets)
        raise Problem(
            f"The champion, version {version}, predicts {theirs}, the candidate {ours}: they cannot be compared. "
            "Set training.champion to none once."
        )
    missing = [name for name in champion.inputs if name not in test.frame]
    if missing:
        raise Problem(
            f"The champion, version {version}, needs the column {missing[0]}, which the test data lack. "
            "Set training.champion to none once."
        )
    return champion.predict(test.frame)


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
        "rows": len(test.frame),
        "metrics": {row.pop("metric"): row for row in records(found.metrics)},
        "champion": found.champion,
        "improvement": dict(zip(("mean", "low"), found.improvement, strict=True)) if found.improvement else None,
        "cohorts": {column: records(table) for column, table in found.cohorts.items()},
        "importance": {row["column"]: row["increase"] for row in records(found.importance)},
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

        found, prediction = evaluate(candidate, test, settings, load_champion(settings.project.name, args.champion))
        args.evaluation.mkdir(parents=True, exist_ok=True)
        facts = {**as_json(found, test), "champion_asked_for": args.champion}
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        (args.evaluation / "metrics.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        found.verdict.write(args.evaluation / "verdict.json")
        pd.concat([test.frame, prediction], axis=1).to_parquet(args.evaluation / "reference.parquet", index=False)
        report.write(args.evaluation / "report.html", found, candidate, train, test, prediction, settings)
        mlflow.log_params({"data_version": test.version, "champion": found.champion or "none"})
        values = zip(found.metrics["metric"], found.metrics["value"], strict=True)
        mlflow.log_metrics({name: value for name, value in values if math.isfinite(value)})
        mlflow.log_artifacts(str(args.evaluation), "evaluation")
    for gate in found.verdict.gates:
        print(f"{'passed ' if gate.passed else 'REFUSED'}  {gate.reason}")


if __name__ == "__main__":
    main()
