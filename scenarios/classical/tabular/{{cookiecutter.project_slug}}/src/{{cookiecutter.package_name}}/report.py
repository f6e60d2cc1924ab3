"""The Responsible AI report: one page, readable without a network, on what the model is and how far to trust it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mlops_runtime import evaluation
from mlops_runtime.config import Shared
from mlops_runtime.report import Report

from . import data, model, pictures
from .evaluate import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The part of the model card that no measurement can write: make it true for your model.
CARD = {
    "Intended use": "To show this project at work on public data: flights from New York City.",
    "Not intended for": "Decisions about people, and flights of other years or cities without training on them.",
    "Known limits": "Learnt from flights of 2013 that arrived; cancelled and diverted flights are not in the data. "
    "The weather is as observed in the hour of departure: before that hour a forecast must take its place.",
    "Who may be affected": "Passengers and carriers at airports where the model errs more: see the cohorts below.",
}


def write(
    path: Path,
    found: Evaluation,
    candidate: model.Model,
    train: data.Table,
    test: data.Table,
    prediction: pd.DataFrame,
    settings: Shared,
) -> None:
    """Write the page to `path`."""
    target = ", ".join(candidate.targets)
    page = Report(
        title=f"{settings.project.name}: {target}",
        subtitle="registered if it is new" if found.verdict.passed else "refused: see the gates",
        facts={
            "Family": candidate.family.replace("_", " "),
            "Hyper-parameters": ", ".join(f"{k} {v}" for k, v in candidate.parameters.items()) or "defaults",
            "Data version": test.version,
            "Training rows": f"{len(train.frame):,} ({train.period})",
            "Test rows": f"{len(test.frame):,} ({test.period})",
            "Compared with": f"champion version {found.champion}" if found.champion else "no champion",
        },
    )
    page.section("Gates", "What a candidate must pass to be registered; the limits are in config/shared.yml.")
    page.checks([(gate.name, gate.passed, gate.reason) for gate in found.verdict.gates])

    page.section("Model card", f"Predicts {target} from {', '.join(candidate.inputs)}.")
    page.table([{"": name, "what the team says": text} for name, text in CARD.items()])

    page.section(
        "How good it is",
        "On test rows that are all later than the training rows; intervals hold 95 % of the bootstrap resamples.",
    )
    page.table(found.metrics)
    for figure, caption in pictures.draw(test.targets, prediction):
        page.figure(figure, caption)

    evaluation.show_cohorts(page, found.cohorts, settings.gates.cohorts)

    page.section("What it looks at", "How much the loss grows when a column is shuffled among the test rows.")
    page.figure(
        _importance(found.importance), "Long bar: the model relies on this column. Near 0: it could do without."
    )

    page.section("Where it errs", "Groups found by a shallow decision tree on the loss: which input is missing here?")
    page.table(found.error_cohorts, "Mean loss of the test rows in each group, the worst first")
    page.write(path)


def _importance(table: pd.DataFrame) -> "Figure":
    from matplotlib import pyplot

    ordered = table.iloc[::-1]
    figure, axes = pyplot.subplots(figsize=(7, 0.8 + 0.25 * len(ordered)))
    axes.barh(ordered["column"], ordered["increase"], xerr=ordered["deviation"], color="#4878a8", ecolor="#333333")
    axes.set(xlabel="increase of the mean loss")
    return figure
