"""Whether confidence can be trusted: on average it should be what was reached."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
BINS = 10  # groups of equal size


def groups(confidence: Array, bins: int = BINS) -> list[Array]:
    """The rows in order of confidence, in groups of equal size."""
    return [rows for rows in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(rows)]


def error(confidence: Array, reached: Array, bins: int = BINS) -> float:
    """Mean distance between confidence and what was reached, both (images,), over the groups (Naeini et al. 2015)."""
    surplus = confidence - reached
    return float(sum(abs(surplus[rows].sum()) for rows in groups(confidence, bins)) / max(1, len(surplus)))


def figure(confidence: Array, reached: Array, name: str) -> "Figure":
    """What was reached, called `name`, for each group's confidence."""
    from matplotlib.figure import Figure

    found = Figure(figsize=(4.5, 4))
    axes = found.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    parts = groups(confidence)
    axes.plot([confidence[rows].mean() for rows in parts], [reached[rows].mean() for rows in parts], "o-")
    axes.set(xlabel="confidence", ylabel=name, xlim=(0, 1.02), ylim=(0, 1.02))
    return found
