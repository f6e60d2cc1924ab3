"""The Responsible AI report: one page, readable without a network, on what the model is and how far to trust it."""

from pathlib import Path

from mlops_runtime import evaluation
from mlops_runtime.config import Shared
from mlops_runtime.report import Report

from . import bias, metrics, model, pictures
from .card import CARD
from .evaluate import Evaluation
from .tables import Table


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

    evaluation.show_cohorts(page, found.cohorts, settings.gates.cohorts)

    page.section("Identity", bias.QUESTION)
    page.table(found.identity, "The group that fares worst comes first")

    page.section("Where it errs", "Read these: wrong labels, unclear texts, or something that the model should learn?")
    page.table(found.errors, "The test texts with the highest loss")
    page.write(path)
