"""Step 3: measure the candidate on texts it has not seen, compare it with the champion, decide on its registration."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime import evaluation, gates, tracking
from mlops_runtime.config import Shared, load_shared
from mlops_runtime.errors import Problem
from mlops_runtime.statistics import paired_improvement

from . import bias, data, metrics, model
from .metrics import Outcome
from .tables import TEXT, Table

Array = np.ndarray[Any, Any]
WORST = 15  # errors shown as text
HARD = "hard_"  # before the names of metrics of the hard texts


@dataclass(frozen=True)
class Evaluation(evaluation.Evaluation):
    """What is known about a candidate besides."""

    hard: pd.DataFrame  # the same of the hard texts
    outcome: Outcome
    breakdown: pd.DataFrame  # numbers for each class, type or kind of text
    identity: pd.DataFrame  # what `bias.probe` found
    errors: pd.DataFrame  # the texts with the highest loss: text, true, answered, loss


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
    seen_hard = metrics.outcome(hard.targets, candidate.predict(hard.inputs))
    measured, measured_hard = (evaluation.measure(metrics.METRICS, one, one.rows) for one in (seen, seen_hard))
    cohorts = evaluation.compare_cohorts(test.frame, metrics.METRICS, seen, settings.gates.cohorts)
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
        verdict=gates.check(
            settings.gates, values, improvement, evaluation.cohort_gaps(cohorts, settings.gates.cohorts)
        ),
    )
    return found, prediction


def worst(test: Table, prediction: pd.DataFrame, loss: Array) -> pd.DataFrame:
    """The texts that the model is most wrong about: a wrong label, an unclear text, or something to learn."""
    rows = np.argsort(-loss, kind="stable")[:WORST]
    texts = test.frame[TEXT].iloc[rows].tolist()
    both = {"true": test.targets.iloc[rows, 0], "answered": prediction["prediction"].iloc[rows]}
    told = {name: data.readable(texts, answers.tolist()) for name, answers in both.items()}
    return pd.DataFrame({TEXT: texts, **told, "loss": loss[rows]})


def predict_as_champion(version: str, champion: model.Model, candidate: model.Model, test: Table) -> pd.DataFrame:
    """The champion's predictions for the test rows, if both models are about the same thing."""
    if champion.targets != candidate.targets:
        theirs, ours = ",".join(champion.targets), ",".join(candidate.targets)
        raise Problem(
            f"The champion, version {version}, predicts {theirs}, the candidate {ours}: they cannot be compared. "
            "Set training.champion to none once."
        )
    return champion.predict(test.inputs)


def facts(found: Evaluation, test: Table) -> dict[str, Any]:
    """What metrics.json has besides."""
    return {
        "data_version": test.version,
        "rows": len(test.frame),
        "hard": found.hard.set_index("metric").to_dict(orient="index"),
        "breakdown": found.breakdown.to_dict(orient="records"),
        "identity": found.identity.to_dict(orient="records"),
    }


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

        champion = evaluation.load_champion(settings.project.name, args.champion, model.load)
        found, prediction = evaluate(candidate, test, hard, settings, champion)
        reference = pd.concat([test.frame, prediction], axis=1)
        found.write(args.evaluation, args.champion, facts(found, test), reference)
        report.write(args.evaluation / "report.html", found, candidate, train, test, settings)
        values = zip(found.hard["metric"], found.hard["value"], strict=True)
        mlflow.log_metrics({HARD + name: value for name, value in values if math.isfinite(value)})
        mlflow.log_artifacts(str(args.evaluation), "evaluation")
    print(found.verdict)


if __name__ == "__main__":
    main()
