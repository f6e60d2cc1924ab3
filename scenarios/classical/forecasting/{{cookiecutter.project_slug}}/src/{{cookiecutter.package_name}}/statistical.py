"""Exponential smoothing and autoregressive families, estimated by statsmodels (the extra `statsmodels`).

Parameters are estimated once, in `fit`. To forecast, they are applied to the history that is given: the state follows
the data of every day, the parameters stay what was evaluated.
"""

import json
import warnings
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.tools.sm_exceptions import ConvergenceWarning
from statsmodels.tsa.api import VAR, AutoReg, SimpleExpSmoothing
from statsmodels.tsa.statespace.sarimax import SARIMAX

from .data import WEEK, Array, names
from .forecaster import Forecaster


class Statistical(Forecaster):
    """A family that knows no weekdays gets them from outside: the median effect of each is taken out and put back."""

    history_days = 8 * WEEK
    adjusts_weekdays = True

    def __init__(self, horizon: int, seed: int) -> None:
        super().__init__(horizon, seed)
        self.effects = np.empty((WEEK, 0))  # (weekdays, airports)
        self.parameters: dict[str, Any] = {}

    def fit(self, series: pd.DataFrame) -> None:
        """Estimate the weekday effects, then the parameters of what is left."""
        self.airports = names(series)
        self.effects = np.zeros((WEEK, series.shape[1]))
        if self.adjusts_weekdays:
            weekdays = pd.DatetimeIndex(series.index).dayofweek
            self.effects = (series - series.mean()).groupby(weekdays).median().to_numpy()
        with warnings.catch_warnings():
            # Starting values that statsmodels replaces by better ones, and estimates that are good enough to be
            # tested: the back-test decides, not the optimiser's tolerance.
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.parameters = self.estimate(self._adjusted(series))

    def forecast(self, series: pd.DataFrame) -> Array:
        """Extend what is left without the weekday effects, and add those of the days ahead."""
        ahead = pd.date_range(series.index[-1], periods=self.horizon + 1)[1:]
        extended = self.extend(self._adjusted(series), names(series))
        return extended + self._effects(ahead, names(series))

    @abstractmethod
    def estimate(self, values: Array) -> dict[str, Any]:
        """The parameters, as JSON values, of `values` (days, all airports)."""

    @abstractmethod
    def extend(self, values: Array, airports: list[str]) -> Array:
        """Apply the parameters to `values` (days, airports): the days ahead, (horizon, airports)."""

    def save(self, folder: Path) -> None:
        """Write weekday effects and parameters as JSON."""
        record = {"effects": self.effects.tolist(), "parameters": self.parameters}
        text = json.dumps(record, indent=2, ensure_ascii=False)
        (folder / "parameters.json").write_text(text + "\n", encoding="utf-8", newline="\n")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        record = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))
        self.effects, self.parameters = np.array(record["effects"]), record["parameters"]

    def _effects(self, days: pd.Index, airports: list[str]) -> Array:
        columns = [self.airports.index(name) for name in airports]
        effects: Array = self.effects[pd.DatetimeIndex(days).dayofweek][:, columns]
        return effects

    def _adjusted(self, series: pd.DataFrame) -> Array:
        adjusted: Array = series.to_numpy() - self._effects(series.index, names(series))
        return adjusted


class PerAirport(Statistical):
    """One set of parameters for each airport."""

    def estimate(self, values: Array) -> dict[str, Any]:
        """Airport by airport."""
        return {name: self.estimate_one(values[:, place]) for place, name in enumerate(self.airports)}

    def extend(self, values: Array, airports: list[str]) -> Array:
        """Airport by airport."""
        columns = [self.extend_one(values[:, place], self.parameters[name]) for place, name in enumerate(airports)]
        return np.column_stack(columns)

    @abstractmethod
    def estimate_one(self, values: Array) -> list[float]:
        """The parameters of one airport's `values` (days,)."""

    @abstractmethod
    def extend_one(self, values: Array, parameters: list[float]) -> Array:
        """The days ahead of one airport: (horizon,)."""


class SimpleExponentialSmoothing(PerAirport):
    """The level, a weighted mean in which each day counts less than the next by a constant factor."""

    def estimate_one(self, values: Array) -> list[float]:
        """The smoothing constant."""
        fitted = SimpleExpSmoothing(values, initialization_method="heuristic").fit()
        return [float(fitted.params["smoothing_level"])]

    def extend_one(self, values: Array, parameters: list[float]) -> Array:
        """The last level, for every day ahead."""
        smoothing = SimpleExpSmoothing(values, initialization_method="heuristic")
        return np.asarray(smoothing.fit(smoothing_level=parameters[0], optimized=False).forecast(self.horizon))


class Autoregression(PerAirport):
    """AR(p): a linear function of the last p days."""

    def __init__(self, horizon: int, seed: int, lags: int) -> None:
        super().__init__(horizon, seed)
        self.lags = lags

    def estimate_one(self, values: Array) -> list[float]:
        """A constant and `lags` coefficients."""
        return [float(value) for value in AutoReg(values, self.lags).fit().params]

    def extend_one(self, values: Array, parameters: list[float]) -> Array:
        """Day by day, each from those before."""
        end = len(values) + self.horizon - 1
        return np.asarray(AutoReg(values, self.lags).predict(np.array(parameters), start=len(values), end=end))


class Arima(PerAirport):
    """ARIMA(p, d, q)."""

    def __init__(self, horizon: int, seed: int, order: list[int]) -> None:
        super().__init__(horizon, seed)
        self.order = order
        self.season = [0, 0, 0, 0]

    def estimate_one(self, values: Array) -> list[float]:
        """Coefficients and variance by maximum likelihood."""
        return [float(value) for value in self._model(values).fit(disp=False).params]

    def extend_one(self, values: Array, parameters: list[float]) -> Array:
        """Run the Kalman filter over the history with the known parameters, then on."""
        return np.asarray(self._model(values).filter(parameters).forecast(self.horizon))

    def _model(self, values: Array) -> Any:
        return SARIMAX(values, order=self.order, seasonal_order=self.season)


class Sarima(Arima):
    """SARIMA(p, d, q)(P, D, Q) with a period of a week: the weekdays are part of the model."""

    adjusts_weekdays = False

    def __init__(self, horizon: int, seed: int, order: list[int], season: list[int]) -> None:
        super().__init__(horizon, seed, order)
        self.season = [*season, WEEK]


class VectorAutoregression(Statistical):
    """VAR(p): all airports together, each from the last p days of all."""

    needs_all = True

    def __init__(self, horizon: int, seed: int, lags: int) -> None:
        super().__init__(horizon, seed)
        self.lags = lags

    def estimate(self, values: Array) -> dict[str, Any]:
        """The constants (airports,) and the coefficients (lags, airports, airports)."""
        fitted = VAR(values).fit(self.lags)
        return {"constants": fitted.intercept.tolist(), "coefficients": fitted.coefs.tolist()}

    def extend(self, values: Array, airports: list[str]) -> Array:
        """Day by day: y(t) = c + A₁ y(t-1) + … + Aₚ y(t-p) (Lütkepohl 2005, section 2.2)."""
        places = [airports.index(name) for name in self.airports]
        known = list(values[-self.lags :, places])
        constants, coefficients = (np.array(self.parameters[name]) for name in ("constants", "coefficients"))
        for _ in range(self.horizon):
            known.append(constants + sum(matrix @ known[-lag] for lag, matrix in enumerate(coefficients, 1)))
        return np.array(known[self.lags :])[:, [self.airports.index(name) for name in airports]]
