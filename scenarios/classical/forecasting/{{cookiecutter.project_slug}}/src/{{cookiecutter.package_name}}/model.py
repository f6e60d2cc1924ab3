"""The model: which families there are, how one is fitted, what it predicts, how it is saved."""

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mlops_runtime.errors import Problem

from . import backtest, data
from .data import AIRPORT, DATE, TARGET, WEEK, Array
from .forecaster import Forecaster


@dataclass(frozen=True)
class Family:
    """Where a kind of forecaster is, and what to search for its settings."""

    kind: str  # "module:class"; modules are imported when they are needed
    space: dict[str, list[Any]] = field(default_factory=dict)  # setting → values to try, the default first
    extra: str = ""  # the optional dependencies that it needs

    @property
    def defaults(self) -> dict[str, Any]:
        """The first value of each setting."""
        return {name: values[0] for name, values in self.space.items()}


FAMILIES = {
    "seasonal_naive": Family("forecaster:SeasonalNaive"),
    "gradient_boosting": Family(
        "boosting:GradientBoosting",
        {
            "trees": [100, 50, 150],
            "learning_rate": [0.05, 0.03, 0.1],
            "leaves": [7, 4, 12],
            "min_rows_in_leaf": [50, 20, 100, 200],
            "feature_share": [0.8, 0.6, 1.0],
        },
    ),
    "ses": Family("statistical:SimpleExponentialSmoothing", extra="statsmodels"),
    "ar": Family("statistical:Autoregression", {"lags": [14, 7, 2, 1]}, "statsmodels"),
    "arima": Family(
        "statistical:Arima", {"order": [[1, 1, 1], [0, 1, 1], [2, 1, 1], [2, 0, 1], [1, 0, 0]]}, "statsmodels"
    ),
    "sarima": Family(
        "statistical:Sarima",
        {"order": [[1, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]], "season": [[0, 1, 1], [1, 0, 1]]},
        "statsmodels",
    ),
    "var": Family("statistical:VectorAutoregression", {"lags": [1, 2, 3, 7]}, "statsmodels"),
    "lstm": Family(
        "neural:Lstm",
        {"units": [24, 48], "epochs": [40, 20, 80], "learning_rate": [0.003, 0.01], "dropout": [0.2, 0.0]},
        "lstm",
    ),
}


def family(name: str) -> Family:
    """The family of this name; a Problem that lists the families if there is none."""
    if name not in FAMILIES:
        raise Problem(f"family {name!r} does not exist: choose one of {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def create(family_name: str, settings: dict[str, Any], horizon: int, seed: int) -> Forecaster:
    """A forecaster that is not fitted yet; a Problem that names the extra if its package is not installed."""
    chosen = family(family_name)
    module, _, kind = chosen.kind.partition(":")
    try:
        build = getattr(importlib.import_module(f".{module}", __package__), kind)
    except ModuleNotFoundError as error:
        raise Problem(
            f"family {family_name!r} needs {error.name}, which is not installed: run `uv sync --extra {chosen.extra}`, "
            f"or add it to the dependencies in pyproject.toml to use it everywhere."
        ) from None
    forecaster: Forecaster = build(horizon, seed, **settings)
    return forecaster


@dataclass(frozen=True)
class Model:
    """A fitted forecaster, and the errors it made in the back-test, from which its prediction intervals come."""

    forecaster: Forecaster
    residuals: Array  # (cutoffs, horizon, airports) actual minus forecast, none of which it was fitted on
    family: str
    settings: dict[str, Any]
    seed: int
    horizon: int  # days, at most
    coverage: float  # share of days that should fall within the interval
    airports: list[str]
    fitted_until: str  # the last day that it has learnt from

    row_wise: ClassVar[bool] = False  # one row in is not one prediction out

    @property
    def history_days(self) -> int:
        """How many days `predict` needs to know; it looks at no more."""
        return self.forecaster.history_days

    def predict(self, history: pd.DataFrame, horizon: int | None = None) -> pd.DataFrame:
        """Forecast the days after `history` (one row per day and airport, see the contract).

        Returns date, origin, forecast, lower and upper: `horizon` days (default: all that the model can) of each
        airport in `history`. A Problem if there is too little history, an unknown airport or too long a horizon.
        """
        return self.predict_series(data.to_series(history, "the history"), horizon)

    def predict_series(self, series: pd.DataFrame, horizon: int | None = None) -> pd.DataFrame:
        """The same for a series (days, airports)."""
        horizon = self.horizon if horizon is None else horizon
        if not 1 <= horizon <= self.horizon:
            raise Problem(f"horizon is {horizon}: this model forecasts 1 to {self.horizon} days.")
        unknown = [name for name in series if name not in self.airports]
        if unknown:
            raise Problem(f"{AIRPORT} {unknown[0]!r} is unknown to this model, which knows {', '.join(self.airports)}.")
        absent = [name for name in self.airports if name not in series]
        if absent and self.forecaster.needs_all:
            raise Problem(f"{AIRPORT} {absent[0]!r} is missing: this model forecasts all airports from all.")
        if len(series) < self.history_days:
            raise Problem(f"the history has {len(series)} days: give the last {self.history_days} at least.")
        forecast = self.forecaster.forecast(series.iloc[-self.history_days :])[:horizon]
        places = [self.airports.index(name) for name in data.names(series)]
        lower, upper = (bound[:horizon, places] for bound in self.bounds(self.coverage))
        days = pd.date_range(series.index[-1], periods=horizon + 1)[1:]
        return pd.DataFrame(
            {
                DATE: np.repeat(days.to_numpy(), series.shape[1]),
                AIRPORT: np.tile(series.columns.to_numpy(), horizon),
                "forecast": np.maximum(forecast, 0).ravel(),
                "lower": np.maximum(forecast + lower, 0).ravel(),
                "upper": np.maximum(forecast + upper, 0).ravel(),
            }
        )

    def roll(self, series: pd.DataFrame, cutoffs: Iterable[int]) -> pd.DataFrame:
        """Forecast the full horizon from each cutoff (number of days known), seeing no later day.

        Returns one row per cutoff, day ahead and airport: the columns of `predict`, the last known day (known_until),
        day_ahead (1 is the first unknown one), the truth (missing after the end of `series`) and what the seasonal
        naive forecast says (naive).
        """
        parts = []
        days, width = np.arange(1, self.horizon + 1), series.shape[1]
        for cutoff in cutoffs:
            known, after = series.iloc[:cutoff], series.to_numpy()[cutoff : cutoff + self.horizon]
            rows = self.predict_series(known)
            rows["known_until"] = known.index[-1]
            rows["day_ahead"] = np.repeat(days, width)
            rows[TARGET] = np.append(after.ravel(), np.full((self.horizon - len(after)) * width, np.nan))
            rows["naive"] = np.resize(known.to_numpy()[-WEEK:], (self.horizon, width)).ravel()
            parts.append(rows)
        return pd.concat(parts, ignore_index=True)

    def bounds(self, coverage: float) -> tuple[Array, Array]:
        """How far below and above the forecast the interval reaches: two (horizon, airports).

        Split-conformal prediction: empirical quantiles of the back-test's errors, for each day ahead and airport apart,
        with the ranks that hold the coverage for any distribution (Lei et al. 2018), as long as the errors to come are
        like those of the back-test. They are not when the world changes, so coverage is evaluated and monitored.
        """
        count = len(self.residuals)
        ordered = np.sort(self.residuals, axis=0)
        tail = (1 - coverage) / 2
        low = max(int(np.floor((count + 1) * tail)), 1)
        high = min(int(np.ceil((count + 1) * (1 - tail))), count)
        return ordered[low - 1], ordered[high - 1]

    def save(self, folder: Path) -> None:
        """Write model.json, residuals.npz and the forecaster's own file."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {name: value for name, value in vars(self).items() if name not in ("forecaster", "residuals")}
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        (folder / "model.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        np.savez(folder / "residuals.npz", residuals=self.residuals)
        self.forecaster.save(folder)


def fit(
    series: pd.DataFrame,
    family_name: str,
    settings: dict[str, Any],
    horizon: int,
    coverage: float,
    seed: int = 0,
    residuals: Array | None = None,
) -> Model:
    """Fit a family with these settings to `series` (days, airports); without `residuals` they are back-tested first."""
    if not 1 <= horizon <= WEEK * 8:
        raise Problem(f"horizon is {horizon}: give 1 to {WEEK * 8} days.")
    if not 0.5 <= coverage < 1:
        raise Problem(f"coverage is {coverage}: give at least 0.5 and less than 1, for example 0.9.")
    if residuals is None:
        residuals = backtest.residuals(lambda: create(family_name, settings, horizon, seed), series, horizon)
    forecaster = create(family_name, settings, horizon, seed)
    forecaster.fit(series)
    return Model(
        forecaster=forecaster,
        residuals=residuals,
        family=family_name,
        settings=settings,
        seed=seed,
        horizon=horizon,
        coverage=coverage,
        airports=data.names(series),
        fitted_until=f"{series.index[-1]:%Y-%m-%d}",
    )


def load(folder: Path) -> Model:
    """Read a model that `Model.save` wrote."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    forecaster = create(facts["family"], facts["settings"], facts["horizon"], facts["seed"])
    forecaster.airports = facts["airports"]
    forecaster.load(folder)
    with np.load(folder / "residuals.npz", allow_pickle=False) as arrays:
        return Model(forecaster, arrays["residuals"], **facts)


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls to load the model."""
    return load(Path(path))
