"""Pictures of generated texts for the report."""

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from .metrics import Outcome

BINS = 10


def draw(found: Outcome) -> list[tuple[Figure, str]]:
    """All pictures, each with what it shows."""
    quality = "How many answers reach which ROUGE-L. On the left are those that went wrong: few, or a tail?"
    calibration = (
        "Calibration, in ten groups of equal size: answers with confidence 0.9 should have a mean ROUGE-L of 0.9. "
        "Below the dashed line the model is too sure of itself, above it too modest."
    )
    return [(_quality(found), quality), (_calibration(found), calibration)]


def _quality(found: Outcome) -> Figure:
    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    axes.hist(found.rouge, bins=2 * BINS, range=(0, 1), color="#4878a8")
    axes.set(xlabel="ROUGE-L", ylabel="texts", yscale="symlog")
    return figure


def _calibration(found: Outcome) -> Figure:
    parts = np.array_split(np.argsort(found.confidence, kind="stable"), BINS)
    figure, axes = pyplot.subplots(figsize=(5, 4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    sure, good = ([values[part].mean() for part in parts if len(part)] for values in (found.confidence, found.rouge))
    axes.plot(sure, good, "o-", color="#1f4e79")
    axes.set(xlabel="confidence", ylabel="ROUGE-L", xlim=(0, 1.02), ylim=(0, 1.02))
    return figure
