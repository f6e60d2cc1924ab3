"""Uncertainty of metrics and of differences between two models, by resampling."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def bootstrap_interval(
    metric: Callable[..., float], *arrays: Array, confidence: float = 0.95, resamples: int = 300, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of `metric(*arrays)` over rows (Efron & Tibshirani 1993, chapter 13).

    All arrays have the same first dimension, which is resampled jointly. Resamples on which the metric is
    undefined (for example only one class drawn) are left out; with none left the interval is (nan, nan).
    """
    rows = len(arrays[0])
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        index = generator.integers(0, rows, rows)
        try:
            values.append(metric(*(array[index] for array in arrays)))
        except ValueError:  # scikit-learn's way to say that the metric is undefined on this sample
            continue
    defined = np.asarray(values, dtype=float)
    defined = defined[np.isfinite(defined)]
    if not len(defined):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def paired_improvement(
    champion_loss: Array, candidate_loss: Array, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean of champion's minus candidate's loss over the same rows, and its one-sided lower confidence bound.

    Both arrays are (rows,); positive means that the candidate is better. Percentile bootstrap of the paired mean.
    """
    difference = np.asarray(champion_loss, dtype=float) - np.asarray(candidate_loss, dtype=float)
    generator = np.random.default_rng(seed)
    means = [difference[generator.integers(0, len(difference), len(difference))].mean() for _ in range(resamples)]
    return float(difference.mean()), float(np.quantile(means, 1 - confidence))
