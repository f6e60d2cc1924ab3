"""Pictures of a classification for the reports."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from . import calibration, confusion, data, metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]
WORST, ACROSS = 24, 8  # images shown


def draw(found: metrics.Outcome) -> list[tuple[Figure, str]]:
    """All pictures of the outcome, each with what it shows."""
    said = (
        "Calibration, in ten groups of equal size: of the images with a confidence of 90 %, 90 % should be right. "
        "Below the dashed line the model is too sure, above it not sure enough."
    )
    taken = "What was predicted (columns) for what was true (rows), in images and as a share of each true class."
    counts = np.zeros((len(found.names), len(found.names)))
    known = found.truth >= 0
    np.add.at(counts, (found.truth[known], found.answers[known]), 1)
    reached = calibration.figure(metrics.confidence(found), metrics.right(found), "share that is right")
    return [(confusion.figure(counts, found.names, found.names, ",.0f"), taken), (reached, said)]


def show(axes: "Axes", pixels: Array, prediction: str) -> str:
    """Draw an image; returns what the model says it is."""
    axes.imshow(pixels)
    return prediction


def worst(table: data.Table, prediction: pd.DataFrame, loss: Array, size: int) -> tuple[Figure, str]:
    """The images with the highest loss, each with the truth and the answer."""
    rows = np.argsort(-loss, kind="stable")[:WORST]
    chosen = data.Table(table.frame.iloc[rows], table.contract, table.version)
    figure = Figure(figsize=(10, 4.6))
    all_axes = figure.subplots(-(-len(rows) // ACROSS), ACROSS, squeeze=False)
    for axes in all_axes.flat:
        axes.axis("off")
    for axes, pixels, row in zip(all_axes.flat, chosen.pixels(size), rows, strict=False):
        answer, truth = show(axes, pixels, prediction["prediction"].iloc[row]), table.frame[data.LABEL].iloc[row]
        title = f"{truth}\n→ {answer} {prediction['confidence'].iloc[row]:.0%}"
        axes.set_title(title, fontsize=7, color="black" if truth == answer else "#b42318")
    said = "Above each image what it is and what the model says, with its confidence. Wrong labels show up here too."
    return figure, said
