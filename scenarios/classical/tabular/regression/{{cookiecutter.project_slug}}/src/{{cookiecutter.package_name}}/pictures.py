"""Pictures of a regression for the report."""

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure

from .metrics import COVERAGE, Outcome, outcome

DASHED = {"color": "grey", "linewidth": 1, "linestyle": "--"}


def draw(truth: pd.DataFrame, prediction: pd.DataFrame) -> list[tuple[Figure, str]]:
    """All pictures, each with what it shows."""
    found = outcome(truth, prediction)
    against_truth = (
        "Left: true against predicted; on the dashed line the prediction is right. Right: the residual (truth minus "
        "prediction); a slope or a funnel means something that the model has not learnt."
    )
    residuals = (
        "Left: how the residuals are spread; the dashed lines are the ends of the middle interval. Right: the "
        "share of rows inside their interval, in ten groups by predicted value; all should be near the dashed line."
    )
    return [(_against_truth(found, truth.columns[0]), against_truth), (_residuals(found), residuals)]


def _against_truth(found: Outcome, target: str) -> Figure:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4))
    ends = [min(found.truth.min(), found.predicted.min()), max(found.truth.max(), found.predicted.max())]
    # One hexagon for many rows: a point for each would make the page megabytes.
    left.hexbin(found.predicted, found.truth, gridsize=45, bins="log", mincnt=1, cmap="Blues")
    left.plot(ends, ends, **DASHED)
    left.set(xlabel="predicted", ylabel="true", title=target)
    right.hexbin(found.predicted, found.errors, gridsize=45, bins="log", mincnt=1, cmap="Blues")
    right.axhline(0, **DASHED)
    right.set(xlabel="predicted", ylabel="residual", title="Residuals")
    figure.tight_layout()
    return figure


def _residuals(found: Outcome, bins: int = 10) -> Figure:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4))
    reach = float(np.quantile(np.abs(found.errors), 0.995)) or 1.0
    left.hist(found.errors.clip(-reach, reach), bins=50, color="#4878a8")
    for end in (found.lower, found.upper):
        left.axvline(float(np.median(end - found.predicted)), **DASHED)
    left.set(xlabel="residual (the outermost bars hold all beyond)", ylabel="rows")
    order = np.argsort(found.predicted, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    right.plot([found.predicted[part].mean() for part in parts], [found.inside[part].mean() for part in parts], "o-")
    right.axhline(COVERAGE, **DASHED)
    right.set(xlabel="predicted", ylabel="share inside the interval", ylim=(0, 1.02))
    figure.tight_layout()
    return figure
