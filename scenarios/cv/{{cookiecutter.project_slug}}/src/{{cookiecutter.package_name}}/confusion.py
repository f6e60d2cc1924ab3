"""A picture of what was taken for what."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]


def figure(counts: Array, rows: list[str], columns: list[str], form: str) -> "Figure":
    """`counts`, (true, predicted), written in the format `form`, and as a share of each row."""
    from matplotlib.figure import Figure

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    found = Figure(figsize=(1.5 + 0.8 * len(columns), 1.2 + 0.8 * len(rows)))
    axes = found.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        share, color = shares[row, column], "white" if shares[row, column] > 0.5 else "black"
        text = f"{counts[row, column]:{form}}\n{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel="predicted", ylabel="true")
    return found
