"""Pictures of a classification for the report."""

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from .metrics import Outcome, calibration_bins, outcome


def draw(truth: pd.DataFrame, prediction: pd.DataFrame) -> list[tuple[Figure, str]]:
    """All pictures, each with what it shows."""
    found = outcome(truth, prediction)
    calibration = (
        "Calibration, in ten groups of equal size: of the rows with a predicted 30 %, 30 % should have come true. "
        "Below the dashed line the prediction is too high, above it too low."
    )
    curves = (
        "Left: the share of the positives that is found, at the price of which share of false alarms. "
        "Right: the share of the alarms that is right. The dot is the decision that the model takes."
    )
    confusion = "What was predicted (columns) for what was true (rows), in rows and as a share of each true value."
    return [
        (_calibration(found), calibration),
        (_curves(found), curves),
        (_confusion(truth, prediction, found), confusion),
    ]


def _calibration(found: Outcome) -> Figure:
    figure, axes = pyplot.subplots(figsize=(5, 4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    for i, (name, parts) in enumerate(zip(found.names, calibration_bins(found), strict=True)):
        predicted = [found.probabilities[part, i].mean() for part in parts]
        observed = [found.hits[part, i].mean() for part in parts]
        axes.plot(predicted, observed, marker="o", label=name)
    axes.set(xlabel="predicted probability", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
    axes.legend(title="probability of")
    return figure


def _curves(found: Outcome) -> Figure:
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4))
    left.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    for i, name in enumerate(found.names):
        hits, answers = found.hits[:, i], found.answers[:, i]
        if np.ptp(hits) == 0:
            continue
        false_alarms, found_share, _ = roc_curve(hits, found.probabilities[:, i])
        (line,) = left.plot(false_alarms, found_share, label=name)
        precision, recall, _ = precision_recall_curve(hits, found.probabilities[:, i])
        right.plot(recall, precision, color=line.get_color(), label=name)
        hit_rate = answers[hits == 1].mean()
        left.plot(answers[hits == 0].mean(), hit_rate, "o", color=line.get_color())
        if answers.any():
            right.plot(hit_rate, hits[answers == 1].mean(), "o", color=line.get_color())
    left.set(xlabel="false alarms (share of the negatives)", ylabel="found (share of the positives)", title="ROC curve")
    right.set(xlabel="recall", ylabel="precision", title="Precision and recall", ylim=(0, 1.02))
    left.legend()
    figure.tight_layout()
    return figure


def _confusion(truth: pd.DataFrame, prediction: pd.DataFrame, found: Outcome) -> Figure:
    if truth.shape[1] > 1:
        tables = [pd.crosstab(found.hits[:, i], found.answers[:, i]) for i in range(len(found.names))]
    else:
        tables = [pd.crosstab(truth.iloc[:, 0].to_numpy(), prediction["prediction"].to_numpy())]
    figure, all_axes = pyplot.subplots(1, len(tables), figsize=(4.5 * len(tables), 4), squeeze=False)
    for axes, name, table in zip(all_axes[0], truth, tables, strict=True):
        counts = table.to_numpy(dtype=float)
        shares = counts / counts.sum(axis=1, keepdims=True)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(*counts.shape):
            share, color = shares[row, column], "white" if shares[row, column] > 0.5 else "black"
            text = f"{counts[row, column]:,.0f}\n{share:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=color)
        axes.set_xticks(range(table.shape[1]), table.columns)
        axes.set_yticks(range(table.shape[0]), table.index)
        axes.set(xlabel="predicted", ylabel="true", title=name)
    figure.tight_layout()
    return figure
