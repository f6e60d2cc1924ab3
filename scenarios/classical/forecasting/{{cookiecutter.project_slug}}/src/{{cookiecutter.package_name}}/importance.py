"""What a forecast depends on, for any family: exchange one week of the history and see what changes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .data import WEEK, Array
from .model import Model


def week_names(model: Model) -> list[str]:
    """The weeks of the history, the last one first."""
    return ["last week", *(f"{weeks} weeks ago" for weeks in range(2, model.history_days // WEEK + 1))]


def exchanged(model: Model, series: pd.DataFrame, cutoffs: Sequence[int], week: int, seed: int = 0) -> Array:
    """Forecasts at each cutoff whose `week`-th last known week is that of another cutoff: (cutoffs, horizon, airports).

    The other cutoff falls on the same weekday, so that weekdays stay what they are. Where there is no other one, the
    forecast is the usual one.
    """
    generator = np.random.default_rng(seed)
    found = []
    for cutoff in cutoffs:
        window = series.iloc[cutoff - model.history_days : cutoff].copy()
        others = [other for other in cutoffs if other != cutoff and (other - cutoff) % WEEK == 0]
        if others:
            end = generator.choice(others) - WEEK * (week - 1)
            place = model.history_days - WEEK * week
            window.iloc[place : place + WEEK] = series.iloc[end - WEEK : end].to_numpy()
        found.append(np.maximum(model.forecaster.forecast(window), 0))
    return np.stack(found)
