"""What all families have in common, and the simplest one, which the others have to beat."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from .data import WEEK, Array, names


class Forecaster(ABC):
    """One way to forecast. What `fit` learns is kept; what is known when forecasting is given each time anew."""

    history_days: ClassVar[int]  # the last known days that a forecast looks at, all of which it needs
    needs_all: ClassVar[bool] = False  # whether it forecasts an airport from all the others too

    def __init__(self, horizon: int, seed: int) -> None:
        self.horizon = horizon
        self.seed = seed
        self.airports: list[str] = []

    @abstractmethod
    def fit(self, series: pd.DataFrame) -> None:
        """Learn from `series` (days, airports)."""

    @abstractmethod
    def forecast(self, series: pd.DataFrame) -> Array:
        """The days after the end of `series` (history_days, fitted airports): (horizon, airports)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was learnt, so that `load` of an object with the same settings restores it."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read what `save` wrote; `airports` are set already."""


class SeasonalNaive(Forecaster):
    """The same weekday of last week, for every week ahead."""

    history_days = WEEK

    def fit(self, series: pd.DataFrame) -> None:
        """There is nothing to learn."""
        self.airports = names(series)

    def forecast(self, series: pd.DataFrame) -> Array:
        """Repeat the last week."""
        return np.resize(series.to_numpy()[-WEEK:], (self.horizon, series.shape[1]))

    def save(self, folder: Path) -> None:
        """There is nothing to keep."""

    def load(self, folder: Path) -> None:
        """There is nothing to read."""
