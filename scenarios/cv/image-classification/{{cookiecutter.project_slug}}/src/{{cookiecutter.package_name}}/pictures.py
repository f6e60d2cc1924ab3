"""Pictures of a classification for the report."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure

from . import data, metrics

Array = np.ndarray[Any, Any]
WORST, ACROSS = 24, 8  # images shown


def draw(found: metrics.Outcome) -> list[tuple[Figure, str]]:
    """All pictures of the outcome, each with what it shows."""
    calibration = (
        "Calibration, in ten groups of equal size: of the images with a confidence of 90 %, 90 % should be right. "
        "Below the dashed line the model is too sure, above it not sure enough."
    )
    confusion = "What was predicted (columns) for what was true (rows), in images and as a share of each true class."
    return [(_confusion(found), confusion), (_calibration(found), calibration)]


def _confusion(found: metrics.Outcome) -> Figure:
    size = len(found.names)
    counts = np.zeros((size, size))
    known = found.truth >= 0
    np.add.at(counts, (found.truth[known], found.answers[known]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = pyplot.subplots(figsize=(1.5 + 0.8 * size, 1.2 + 0.8 * size))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(size, size):
        share, color = shares[row, column], "white" if shares[row, column] > 0.5 else "black"
        text = f"{counts[row, column]:,.0f}\n{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(size), found.names, rotation=35, ha="right")
    axes.set_yticks(range(size), found.names)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def _calibration(found: metrics.Outcome) -> Figure:
    confidence = found.probabilities[np.arange(len(found.truth)), found.answers]
    parts = [part for part in np.array_split(np.argsort(confidence, kind="stable"), 10) if len(part)]
    correct = metrics.right(found)
    figure, axes = pyplot.subplots(figsize=(4.5, 4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    axes.plot([confidence[part].mean() for part in parts], [correct[part].mean() for part in parts], "o-")
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.02))
    return figure


def worst(table: data.Table, prediction: pd.DataFrame, loss: Array, size: int) -> Figure:
    """The images with the highest loss, each with the truth and the answer."""
    rows = np.argsort(-loss, kind="stable")[:WORST]
    chosen = data.Table(table.frame.iloc[rows], table.contract, table.version)
    figure, all_axes = pyplot.subplots(-(-len(rows) // ACROSS), ACROSS, figsize=(10, 4.6), squeeze=False)
    for axes in all_axes.flat:
        axes.axis("off")
    for axes, pixels, row in zip(all_axes.flat, chosen.pixels(size), rows, strict=False):
        axes.imshow(pixels)
        truth, answer = table.frame[data.LABEL].iloc[row], prediction["prediction"].iloc[row]
        title = f"{truth}\n→ {answer} {prediction['confidence'].iloc[row]:.0%}"
        axes.set_title(title, fontsize=7, color="black" if truth == answer else "#b42318")
    return figure
