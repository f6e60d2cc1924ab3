"""The Responsible AI report: one page, readable without a network, on what the model is and how far to trust it."""

from pathlib import Path

import pandas as pd

from mlops_runtime import evaluation
from mlops_runtime.config import Shared
from mlops_runtime.report import Report

from . import data, metrics, model, pictures
from .data import AIRPORT, TARGET
from .evaluate import Evaluation

# The part of the model card that no measurement can write: make it true for your model.
CARD = {
    "Intended use": "To show this project at work on public data: departures from the airports of New York City.",
    "Not intended for": "Other airports or years without training on them; single flights; days beyond the horizon.",
    "Known limits": "Learnt from less than a year, so that no season was seen twice. It knows public holidays but no "
    "weather, strikes or new timetables: a storm is a surprise, a new timetable takes weeks to be believed.",
    "Who may be affected": "Whoever plans staff by it, at the airport where it errs more: see the cohorts below.",
}
EXPLAINED = {
    "mae": "mean absolute error, departures per day",
    "rmse": "root mean squared error; storms weigh more",
    "mape": "absolute error as a share of the truth",
    "smape": "the same, symmetric",
    "mase": "absolute error in units of last week's repetition on the training days; below 1 is better than that",
    "bias": "mean of forecast minus truth",
    "skill": "share of the seasonal naive forecast's error that is saved on the same days",
    "coverage": "share of days within the prediction interval",
    "width": "mean width of the interval",
}


def write(
    path: Path,
    found: Evaluation,
    candidate: model.Model,
    train: data.Table,
    test: data.Table,
    settings: Shared,
) -> None:
    """Write the page to `path`."""
    rows = found.rows
    cutoffs = rows["known_until"].nunique()
    page = Report(
        title=f"{settings.project.name}: {TARGET}, {candidate.horizon} days ahead",
        subtitle="registered if it is new" if found.verdict.passed else "refused: see the gates",
        facts={
            "Family": candidate.family.replace("_", " "),
            "Settings": ", ".join(f"{name} {value}" for name, value in candidate.settings.items()) or "none",
            "Data version": test.version,
            "Training days": f"{len(train.series):,} ({train.period})",
            "Test days": f"{len(test.series):,} ({test.period})",
            "Forecasts": f"{cutoffs} × {candidate.horizon} days × {len(candidate.airports)} airports",
            "Compared with": f"champion version {found.champion}" if found.champion else "no champion",
        },
    )
    page.section("Gates", "What a candidate must pass to be registered; the limits are in config/shared.yml.")
    page.checks([(gate.name, gate.passed, gate.reason) for gate in found.verdict.gates])

    page.section(
        "Model card",
        f"Forecasts the daily {TARGET} of {', '.join(candidate.airports)} from the last {candidate.history_days} days.",
    )
    page.table([{"": name, "what the team says": text} for name, text in CARD.items()])

    page.section(
        "How good it is",
        "As in production: fitted once, then a forecast from every day of the test period, knowing nothing later.",
    )
    page.table(
        found.metrics.assign(meaning=found.metrics["metric"].map(EXPLAINED)),
        "With 95 % intervals from resampled weeks: a storm spoils all forecasts for its day at once, so single rows "
        "are no independent evidence.",
    )
    page.table(found.rivals, "The same forecasts by others")
    page.figure(*pictures.forecasts(rows, candidate.horizon, candidate.coverage))
    page.figure(*pictures.days_ahead(found.days_ahead))

    page.section(
        "Prediction intervals",
        "From the errors of the back-test on the training days (split-conformal): right as long as errors stay alike.",
    )
    page.figure(*pictures.calibration(found.calibration, found.days_ahead, candidate.coverage))

    evaluation.show_cohorts(page, found.cohorts, settings.gates.cohorts)

    page.section("What it looks at", "How much the error grows when a part of what the model sees is made worthless.")
    page.figure(
        pictures.bars(found.weeks["week"], found.weeks["increase"]),
        "A week of what the forecast knows is exchanged for the same weekdays of another week of the test period.",
    )
    if found.importance is not None:
        page.figure(
            pictures.bars(found.importance["feature"], found.importance["increase"]),
            "A feature of the trees is shuffled among all forecasts. Near 0: the model could do without.",
        )

    page.section("Where it errs", "Single days make most of the error: what was special about them?")
    page.figure(*pictures.days(rows, pd.Series(metrics.loss(rows), rows.index)))
    page.table(found.worst_days, f"The worst days of an {AIRPORT}: means over all forecasts for them")
    page.write(path)
