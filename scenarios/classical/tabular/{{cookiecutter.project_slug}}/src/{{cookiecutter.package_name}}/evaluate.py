"""Step 3: measure the candidate on the test rows, compare it with the champion, decide whether it may be registered."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from sklearn.inspection import permutation_importance
from sklearn.tree import DecisionTreeRegressor

from mlops_runtime import evaluation, gates, tracking
from mlops_runtime.config import CohortGate, Shared, load_shared
from mlops_runtime.errors import Problem
from mlops_runtime.statistics import paired_improvement

from . import data, metrics, model
from .features import Features

Array = np.ndarray[Any, Any]
SHUFFLES = 3  # of each column, for its importance
MOST_ROWS = 5000  # random test rows that importances are measured on
QUARTERS = 4  # a numeric column becomes this many cohorts


@dataclass(frozen=True)
class Evaluation(evaluation.Evaluation):
    """What is known about a candidate besides."""

    importance: pd.DataFrame  # column, increase (of the loss when the column is shuffled), deviation
    error_cohorts: pd.DataFrame  # where, rows, loss; the worst first


def evaluate(
    candidate: model.Model, test: data.Table, settings: Shared, champion: tuple[str, model.Model] | None = None
) -> tuple[Evaluation, pd.DataFrame]:
    """Measure the candidate on the test rows; returns what was found and the predictions, (rows, predictions)."""
    truth, prediction = test.targets, candidate.predict(test.inputs)
    seen = metrics.outcome(truth, prediction)
    measured = evaluation.measure(metrics.METRICS, seen, len(test.frame))
    gate = settings.gates.cohorts
    columns = evaluation.cohort_columns(test.frame, gate, metrics.METRICS)
    cohorts = {name: compare_cohorts(column, seen, gate) for name, column in columns.items()}
    improvement = None
    if champion is not None:
        losses = metrics.loss(truth, predict_as_champion(*champion, candidate, test)), metrics.loss(truth, prediction)
        improvement = paired_improvement(*losses, confidence=settings.gates.champion.confidence)
    verdict = gates.check(
        settings.gates,
        dict(zip(measured["metric"], measured["value"], strict=True)),
        improvement,
        evaluation.cohort_gaps(cohorts, gate),
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


def compare_cohorts(column: "pd.Series[Any]", found: metrics.Outcome, gate: CohortGate) -> pd.DataFrame:
    """Every metric for every group of `column`, largest group first; only groups with enough rows are `compared`."""
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
        group: evaluation.interval(metrics.METRICS[gate.metric], found, rows[groups == group])
        for group in table.index[table["compared"]]
    }
    table["low"], table["high"] = (table.index.map({g: ends[i] for g, ends in intervals.items()}) for i in (0, 1))
    return table.sort_values("rows", ascending=False, kind="stable").reset_index()


def _of_rows(metric: Callable[[metrics.Outcome], float], found: metrics.Outcome) -> Callable[[Array, Array], float]:
    return lambda rows, _: metric(found.take(rows))


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


def facts(found: Evaluation, test: data.Table) -> dict[str, Any]:
    """What metrics.json has besides."""
    return {
        "data_version": test.version,
        "rows": len(test.frame),
        "importance": found.importance.set_index("column")["increase"].to_dict(),
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
        found, prediction = evaluate(candidate, test, settings, champion)
        reference = pd.concat([test.frame, prediction], axis=1)
        found.write(args.evaluation, args.champion, facts(found, test), reference)
        report.write(args.evaluation / "report.html", found, candidate, train, test, prediction, settings)
        mlflow.log_artifacts(str(args.evaluation), "evaluation")
    print(found.verdict)


if __name__ == "__main__":
    main()
