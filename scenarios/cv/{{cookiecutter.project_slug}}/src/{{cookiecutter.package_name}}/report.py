"""The Responsible AI report: one page, readable without a network, on what the model is and how far to trust it."""

from pathlib import Path

import pandas as pd

from mlops_runtime import evaluation
from mlops_runtime.config import Shared
from mlops_runtime.report import Report, shown

from . import data, metrics, model, pictures
from .evaluate import Evaluation

# The part of the model card that no measurement can write: make it true for your model.
CARD = {
    "Intended use": "To show this project at work on generated images of shapes.",
    "Not intended for": "Photographs, and decisions about people, without training and testing on such images.",
    "Known limits": "It answers with one of its classes whatever is on the image: watch confidence and drift.",
    "Who may be affected": "Whoever depends on images of a kind on which it errs more: see conditions and cohorts.",
}


def write(
    path: Path,
    found: Evaluation,
    candidate: model.Model,
    test: data.Table,
    hard: data.Table,
    prediction: pd.DataFrame,
    settings: Shared,
) -> None:
    """Write the page to `path`."""
    page = Report(
        title=f"{settings.project.name}: {', '.join(candidate.targets)}",
        subtitle="registered if it is new" if found.verdict.passed else "refused: see the gates",
        facts={
            "Classes": ", ".join(candidate.facts.classes),
            "Training": ", ".join(f"{name} {shown(value)}" for name, value in candidate.facts.settings.items()),
            "Data version": test.version,
            "Test images": len(test.frame),
            "Images with the held-out condition": len(hard.frame),
            "Compared with": f"champion version {found.champion}" if found.champion else "no champion",
        },
    )
    page.section("Gates", "What a candidate must pass to be registered; the limits are in config/shared.yml.")
    page.checks([(gate.name, gate.passed, gate.reason) for gate in found.verdict.gates])

    page.section("Model card", f"Looks at images, {candidate.facts.size} pixels both ways.")
    page.table([{"": name, "what the team says": text} for name, text in CARD.items()])

    page.section(
        "How good it is",
        "On test images that were not trained on; intervals hold 95 % of the bootstrap resamples. "
        "hard_: on images with the condition that training.hold_out keeps from training.",
    )
    page.table(found.metrics)
    outcome = metrics.outcome(test.frame, prediction)
    page.table(metrics.per_class(outcome), "For each class")
    for figure, caption in pictures.draw(outcome):
        page.figure(figure, caption)

    page.section("Conditions", "How much worse is it on the same test images, spoilt in ways that cameras know?")
    page.table(found.conditions)

    evaluation.show_cohorts(page, found.cohorts, settings.gates.cohorts)

    page.section("Where it errs", "The test images with the highest loss: what do they have in common?")
    page.figure(*pictures.worst(test, prediction, found.loss, candidate.facts.size))
    page.write(path)
