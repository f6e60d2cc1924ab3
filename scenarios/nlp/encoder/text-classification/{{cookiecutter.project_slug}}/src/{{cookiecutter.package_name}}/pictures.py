"""Pictures of a classification for the report."""

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from .metrics import Outcome

BINS = 10


def draw(found: Outcome) -> list[tuple[Figure, str]]:
    """All pictures, each with what it shows."""
    confusion = "What was answered (columns) for what was true (rows), in texts; colour: share of the true class."
    calibration = (
        "Calibration, in ten groups of equal size: of the answers given with 90 % confidence, 90 % should be right. "
        "Below the dashed line the model is too sure of itself, above it too modest."
    )
    return [(_confusion(found), confusion), (_calibration(found), calibration)]


def _confusion(found: Outcome) -> Figure:
    size = len(found.classes)
    known = found.truth >= 0
    counts = np.bincount(found.truth[known] * size + found.answers[known], minlength=size * size).reshape(size, size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = pyplot.subplots(figsize=(2 + 0.7 * size, 1.5 + 0.6 * size))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(size, size):
        if counts[row, column]:
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=color)
    axes.set_xticks(range(size), found.classes, rotation=35, ha="right")
    axes.set_yticks(range(size), found.classes)
    axes.set(xlabel="answered", ylabel="true")
    return figure


def _calibration(found: Outcome) -> Figure:
    sure, right = found.probabilities.max(axis=1), found.truth == found.answers
    parts = np.array_split(np.argsort(sure, kind="stable"), BINS)
    figure, axes = pyplot.subplots(figsize=(5, 4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    axes.plot([sure[part].mean() for part in parts], [right[part].mean() for part in parts], "o-", color="#1f4e79")
    axes.set(xlabel="confidence", ylabel="share of right answers", xlim=(0, 1.02), ylim=(0, 1.02))
    return figure
