"""Rolling-origin back-test: forecast from one day after another as if the days after it were not known yet.

A cutoff is the number of days that are known. In production a model is fitted once and then forecasts every day; so
here, too: a fold is fitted up to its first cutoff and forecasts from every cutoff until the next fold begins.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from mlops_runtime.errors import Problem

from .data import WEEK, Array
from .forecaster import Forecaster

FOLDS = 3
FOLD_DAYS = 4 * WEEK


def forecasts(forecaster: Forecaster, series: pd.DataFrame, cutoffs: Iterable[int]) -> Array:
    """What a fitted forecaster says at each cutoff, seeing no later day: (cutoffs, horizon, airports)."""
    return np.stack([forecaster.forecast(series.iloc[cutoff - forecaster.history_days : cutoff]) for cutoff in cutoffs])


def actuals(series: pd.DataFrame, cutoffs: Iterable[int], horizon: int) -> Array:
    """What happened in the `horizon` days after each cutoff: (cutoffs, horizon, airports)."""
    values = series.to_numpy()
    return np.stack([values[cutoff : cutoff + horizon] for cutoff in cutoffs])


def residuals(create: Callable[[], Forecaster], series: pd.DataFrame, horizon: int) -> Array:
    """Actual minus forecast over the last FOLDS * FOLD_DAYS cutoffs: (cutoffs, horizon, airports)."""
    end = len(series) - horizon + 1
    first = end - FOLDS * FOLD_DAYS
    # A fold needs some weeks to learn from besides the history and the horizon of its first example.
    needed = create().history_days + horizon + 2 * WEEK
    if first < needed:
        raise Problem(
            f"{len(series)} days are too few to train on: {needed} to learn from before the back-test and "
            f"{len(series) - first} for it make {needed + len(series) - first}."
        )
    parts = []
    for start in range(first, end, FOLD_DAYS):
        fold = create()
        fold.fit(series.iloc[:start])
        cutoffs = range(start, start + FOLD_DAYS)
        parts.append(actuals(series, cutoffs, horizon) - forecasts(fold, series, cutoffs))
    return np.concatenate(parts)
