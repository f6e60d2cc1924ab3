"""The Responsible AI report: one page, readable without a network, on what the model is and how far to trust it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mlops_runtime.config import Shared
from mlops_runtime.report import Report, shown

from . import data, metrics, model, pictures
from .evaluate import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

    gate = settings.gates.cohorts
    page.section("Cohorts", "Does the model serve all groups alike? It can be good on average and bad for some.")
    for column, table in found.cohorts.items():
        page.figure(
            _cohorts(column, table, gate.metric),
            f"{gate.metric} for each {column} with at least {gate.min_rows} images, with 95 % interval. "
            f"The gate allows {gate.max_gap:g} between the outermost dots.",
        )
        page.table(table.drop(columns=["compared", "low", "high"]), f"All metrics by {column}, smaller groups too")

    page.section("Where it errs", "The test images with the highest loss: what do they have in common?")
    page.figure(*pictures.worst(test, prediction, found.loss, candidate.facts.size))
    page.write(path)


def _cohorts(column: str, table: pd.DataFrame, metric: str) -> "Figure":
    from matplotlib import pyplot

    compared = table[table["compared"]].sort_values(metric)
    figure, axes = pyplot.subplots(figsize=(7, 0.8 + 0.3 * len(compared)))
    labels: list[str] = []
    for place, row in enumerate(compared.to_dict(orient="records")):
        axes.plot([row["low"], row["high"]], [place, place], color="#9bb4cc", linewidth=4, solid_capstyle="round")
        axes.plot(row[metric], place, "o", color="#1f4e79")
        labels.append(f"{row['group']} ({row['images']:,})")
    axes.set_yticks(range(len(labels)), labels)
    axes.margins(y=0.5 / max(len(labels), 2))
    axes.set(xlabel=metric, title=f"{metric} by {column} (images)")
    return figure
