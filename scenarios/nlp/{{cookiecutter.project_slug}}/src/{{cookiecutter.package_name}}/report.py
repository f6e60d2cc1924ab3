"""The Responsible AI report: one page, readable without a network, on what the model is and how far to trust it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mlops_runtime.config import Shared
from mlops_runtime.report import Report

from . import bias, metrics, model, pictures
from .card import CARD
from .evaluate import Evaluation
from .tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(path: Path, found: Evaluation, candidate: model.Model, train: Table, test: Table, settings: Shared) -> None:
    """Write the page to `path`."""
    target = ", ".join(candidate.targets)
    page = Report(
        title=f"{settings.project.name}: {target}",
        subtitle="registered if it is new" if found.verdict.passed else "refused: see the gates",
        facts={
            "Family": candidate.family.replace("_", " "),
            "Hyper-parameters": ", ".join(f"{k} {v}" for k, v in candidate.parameters.items()) or "defaults",
            "Data version": test.version,
            "Training texts": f"{len(train.frame):,} ({train.period})",
            "Test texts": f"{len(test.frame):,} ({test.period})",
            "Compared with": f"champion version {found.champion}" if found.champion else "no champion",
        },
    )
    page.section("Gates", "What a candidate must pass to be registered; the limits are in config/shared.yml.")
    page.checks([(gate.name, gate.passed, gate.reason) for gate in found.verdict.gates])

    page.section("Model card", f"Reads a text and answers: {target}.")
    page.table([{"": name, "what the team says": text} for name, text in CARD.items()])

    page.section(
        "How good it is",
        "On texts that are all later than the training texts and not among them; intervals hold 95 % of the bootstrap "
        "resamples.",
    )
    page.table(found.metrics, "Test texts")
    page.table(found.hard, "Hard texts: more typing errors and wrong labels, half of them in unseen wordings")
    for figure, caption in pictures.draw(found.outcome):
        page.figure(figure, caption)
    page.table(found.breakdown, metrics.BREAKDOWN)

    gate = settings.gates.cohorts
    page.section("Cohorts", "Does the model serve all groups alike? It can be good on average and bad for some.")
    for column, table in found.cohorts.items():
        page.figure(
            _cohorts(column, table, gate.metric),
            f"{gate.metric} for each {column} with at least {gate.min_rows} texts, with 95 % interval. "
            f"The gate allows {gate.max_gap:g} between the outermost dots.",
        )
        page.table(table.drop(columns=["compared", "low", "high"]), f"All metrics by {column}, smaller groups too")

    page.section("Identity", bias.QUESTION)
    page.table(found.identity, "The group that fares worst comes first")

    page.section("Where it errs", "Read these: wrong labels, unclear texts, or something that the model should learn?")
    page.table(found.errors, "The test texts with the highest loss")
    page.write(path)


def _cohorts(column: str, table: pd.DataFrame, metric: str) -> "Figure":
    from matplotlib import pyplot

    compared = table[table["compared"]].sort_values(metric)
    figure, axes = pyplot.subplots(figsize=(7, 0.8 + 0.3 * len(compared)))
    labels: list[str] = []
    for place, row in enumerate(compared.to_dict(orient="records")):
        axes.plot([row["low"], row["high"]], [place, place], color="#9bb4cc", linewidth=4, solid_capstyle="round")
        axes.plot(row[metric], place, "o", color="#1f4e79")
        labels.append(f"{row['group']} ({row['rows']:,})")
    axes.set_yticks(range(len(labels)), labels)
    axes.margins(y=0.5 / max(len(labels), 2))
    axes.set(xlabel=metric, title=f"{metric} by {column} (texts)")
    return figure
