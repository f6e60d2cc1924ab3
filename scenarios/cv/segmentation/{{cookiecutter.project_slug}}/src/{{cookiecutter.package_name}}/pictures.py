"""Pictures of a segmentation for the reports."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from . import calibration, confusion, data, masks, metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]
WORST, ACROSS = 16, 4  # images shown, each with truth and prediction
COLORS = colormaps["tab10"].colors  # type: ignore[attr-defined]  # of the classes that are on an image


def draw(found: metrics.Outcome) -> list[tuple[Figure, str]]:
    """All pictures of the outcome, each with what it shows."""
    said = (
        "Calibration, in ten groups of equal size: images with a confidence of 90 % should reach an IoU of 0.9. "
        "Below the dashed line the model is too sure, above it not sure enough."
    )
    taken = "What was predicted (columns) for what was true (rows), in pixels of an average image, %."
    names, size = [metrics.NOTHING, *found.names], len(found.names) + 1
    pixels = confusion.figure(100 * found.pixels[:, :size].mean(axis=0), names, names, ".2f")
    return [(pixels, taken), (calibration.figure(found.confidence, metrics.image_iou(found), "IoU"), said)]


def show(axes: "Axes", pixels: Array, prediction: str | None) -> str:
    """Draw an image with what the model found coloured; returns the names of it."""
    regions = masks.load(prediction) if isinstance(prediction, str) else []
    axes.imshow(overlaid(pixels, regions))
    return ", ".join(region.label for region in regions) or metrics.NOTHING


def overlaid(pixels: Array, regions: list[masks.Region]) -> Array:
    """(size, size, 3) uint8, half covered with the colour of each region."""
    found = pixels.astype(float) / 255
    for region, color in zip(regions, COLORS, strict=False):
        found[masks.stretch(region.mask, *pixels.shape[:2])] *= 0.4
        found[masks.stretch(region.mask, *pixels.shape[:2])] += 0.6 * np.array(color)
    return found


def worst(table: data.Table, prediction: pd.DataFrame, loss: Array, size: int) -> tuple[Figure, str]:
    """The images with the highest loss: the image, the truth, the answer."""
    rows = np.argsort(-loss, kind="stable")[:WORST]
    chosen = data.Table(table.frame.iloc[rows], table.contract, table.version)
    figure = Figure(figsize=(11, 1.1 * -(-len(rows) // ACROSS)), layout="constrained")
    all_axes = figure.subplots(-(-len(rows) // ACROSS), 3 * ACROSS, squeeze=False)
    for axes in all_axes.flat:
        axes.axis("off")
    for axes, pixels, row in zip(all_axes.reshape(-1, 3), chosen.pixels(size), rows, strict=False):
        axes[0].imshow(pixels)
        axes[0].set_title(f"IoU {1 - loss[row]:.2f}", fontsize=7)
        for place, text in ((1, table.frame[data.REGIONS].iloc[row]), (2, prediction["prediction"].iloc[row])):
            axes[place].set_title(show(axes[place], pixels, text), fontsize=7)
    said = "Each image, what is on it, and what the model says. Wrong labels show up here too."
    return figure, said
