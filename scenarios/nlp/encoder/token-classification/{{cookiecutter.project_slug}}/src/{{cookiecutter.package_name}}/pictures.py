"""Pictures of labelled spans for the report."""

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from .metrics import FATES, Outcome

COLORS = ("#1f4e79", "#7fa6c9", "#e0a458", "#c2410c")


def draw(found: Outcome) -> list[tuple[Figure, str]]:
    """All pictures, each with what it shows."""
    fates = "What became of the true spans of each label. Cut: another start or end was found. Confused: another label."
    calibration = (
        "Calibration: of the spans found with 90 % confidence, 90 % should be right. The larger the dot, the more "
        "spans. Below the dashed line the model is too sure of itself, above it too modest."
    )
    return [(_fates(found), fates), (_calibration(found), calibration)]


def _fates(found: Outcome) -> Figure:
    counts = found.fates.sum(axis=0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = pyplot.subplots(figsize=(7, 1.2 + 0.32 * len(found.labels)))
    left = np.zeros(len(found.labels))
    for place, name in enumerate(FATES):
        axes.barh(range(len(found.labels)), shares[:, place], left=left, color=COLORS[place], label=name)
        left += shares[:, place]
    axes.set_yticks(range(len(found.labels)), found.labels)
    axes.invert_yaxis()
    axes.set(xlabel="share of the true spans", xlim=(0, 1))
    axes.legend(ncols=len(FATES), loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return figure


def _calibration(found: Outcome) -> Figure:
    sizes = found.sizes.sum(axis=0)
    filled = sizes > 0
    sure, right = (counts.sum(axis=0)[filled] / sizes[filled] for counts in (found.confidence, found.right))
    figure, axes = pyplot.subplots(figsize=(5, 4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    axes.plot(sure, right, color="#1f4e79")
    axes.scatter(sure, right, s=20 + 180 * sizes[filled] / max(sizes.sum(), 1), color="#1f4e79")
    axes.set(xlabel="confidence", ylabel="share of right spans", xlim=(0, 1.02), ylim=(0, 1.02))
    return figure
