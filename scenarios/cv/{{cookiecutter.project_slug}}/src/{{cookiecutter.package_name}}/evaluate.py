"""Step 3: measure the candidate on the test images, compare it with the champion, decide whether it may register."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime import evaluation, gates, tracking
from mlops_runtime.config import Shared, load_shared
from mlops_runtime.errors import Problem
from mlops_runtime.statistics import paired_improvement

from . import corruptions, data, metrics, model

Array = np.ndarray[Any, Any]
HARD = "hard_"  # before the names of metrics on the images with the held-out condition


@dataclass(frozen=True)
class Evaluation(evaluation.Evaluation):
    """What is known about a candidate besides."""

    conditions: pd.DataFrame  # condition, and every metric: the test images, darker, blurred, noisier …
    loss: Array  # (images,) of the test images


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
    measured = evaluation.measure(metrics.METRICS, seen, len(test.frame))
    if len(hard.frame):
        found_hard = metrics.outcome(hard.frame, candidate.predict(hard.frame))
        measured_hard = evaluation.measure(metrics.METRICS, found_hard, len(hard.frame))
        measured = pd.concat([measured, measured_hard.assign(metric=HARD + measured_hard["metric"])])
    cohorts = evaluation.compare_cohorts(test.frame, metrics.METRICS, seen, settings.gates.cohorts)
    improvement = None
    if champion is not None:
        theirs = metrics.outcome(test.frame, predict_as_champion(*champion, candidate, test))
        losses = metrics.loss(theirs), metrics.loss(seen)
        improvement = paired_improvement(*losses, confidence=settings.gates.champion.confidence)
    verdict = gates.check(
        settings.gates,
        dict(zip(measured["metric"], measured["value"], strict=True)),
        improvement,
        evaluation.cohort_gaps(cohorts, settings.gates.cohorts),
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


def compare_conditions(candidate: model.Model, test: data.Table, pixels: Array) -> pd.DataFrame:
    """Every metric on the test images as they are and spoilt in ways that cameras know: condition, metrics."""
    rows = []
    for name, spoil in corruptions.CORRUPTIONS.items():
        prediction = pd.DataFrame(candidate.predict_pixels(spoil(pixels)))
        found = metrics.outcome(test.frame, prediction)
        rows.append({"condition": name, **{metric: measured(found) for metric, measured in metrics.METRICS.items()}})
    return pd.DataFrame(rows)


def predict_as_champion(version: str, champion: model.Model, candidate: model.Model, test: data.Table) -> pd.DataFrame:
    """The champion's predictions for the test images, if both models know the same classes."""
    if champion.facts.classes != candidate.facts.classes:
        theirs, ours = ", ".join(champion.facts.classes), ", ".join(candidate.facts.classes)
        raise Problem(
            f"The champion, version {version}, knows the classes {theirs}, the candidate {ours}: they cannot be "
            "compared. Set training.champion to none once."
        )
    return champion.predict(test.frame)


def facts(found: Evaluation, test: data.Table) -> dict[str, Any]:
    """What metrics.json has besides."""
    return {
        "data_version": test.version,
        "images": len(test.frame),
        "conditions": found.conditions.to_dict(orient="records"),
    }


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

        champion = evaluation.load_champion(settings.project.name, args.champion, model.load)
        found, prediction = evaluate(candidate, test, hard, settings, champion)
        reference = pd.concat([test.frame.drop(columns=data.IMAGE), prediction], axis=1)
        found.write(args.evaluation, args.champion, facts(found, test), reference)
        report.write(args.evaluation / "report.html", found, candidate, test, hard, prediction, settings)
        mlflow.log_artifacts(str(args.evaluation), "evaluation")
    print(found.verdict)


if __name__ == "__main__":
    main()
