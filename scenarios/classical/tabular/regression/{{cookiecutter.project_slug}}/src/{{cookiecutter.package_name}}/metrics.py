"""How good a regression is: numbers, the loss of each row, the usual error."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]
COVERAGE = 0.9  # share of the rows that should fall into their interval


class Outcome(NamedTuple):
    """What was true and what was predicted: each (rows,), in the target's unit."""

    truth: Array
    predicted: Array
    lower: Array
    upper: Array

    @property
    def errors(self) -> Array:
        """Truth minus prediction."""
        return self.truth - self.predicted

    @property
    def inside(self) -> Array:
        """Whether the truth lies in its prediction interval."""
        return (self.lower <= self.truth) & (self.truth <= self.upper)

    def take(self, rows: Array) -> "Outcome":
        """Only these rows."""
        return Outcome(*(values[rows] for values in self))


def outcome(truth: pd.DataFrame, prediction: pd.DataFrame) -> Outcome:
    """Line up `truth` (rows, one target) with what `Model.predict` returned for the same rows."""
    predicted = (prediction[name].to_numpy(dtype=float) for name in ("prediction", "lower", "upper"))
    return Outcome(truth.iloc[:, 0].to_numpy(dtype=float), *predicted)


def loss(truth: pd.DataFrame, prediction: pd.DataFrame) -> Array:
    """Absolute error of each row in the target's unit, (rows,): less is better."""
    return np.abs(outcome(truth, prediction).errors)


def evaluate(truth: pd.DataFrame, prediction: pd.DataFrame) -> dict[str, float]:
    """All metrics by name, in the target's unit where they have one; NaN where one is undefined."""
    found = outcome(truth, prediction)
    return {name: metric(found) for name, metric in METRICS.items()}


def _relative_error(found: Outcome) -> float:
    whole = np.abs(found.truth).sum()
    return float(np.abs(found.errors).sum() / whole) if whole > 0 else float("nan")


def _r2(found: Outcome) -> float:
    spread = found.truth.var()
    return float(1 - (found.errors**2).mean() / spread) if spread > 0 else float("nan")


METRICS: dict[str, Callable[[Outcome], float]] = {
    "mae": lambda found: float(np.abs(found.errors).mean()),
    "rmse": lambda found: float(np.sqrt((found.errors**2).mean())),
    "median_absolute_error": lambda found: float(np.median(np.abs(found.errors))),
    "relative_error": _relative_error,
    "bias": lambda found: float(-found.errors.mean()),
    "r2": _r2,
    "interval_coverage": lambda found: float(found.inside.mean()),
}


class ErrorLevels(NamedTuple):
    """Usual errors (truth minus prediction) by level of the prediction: large values often have large errors."""

    starts: list[float]  # predictions at which the next level begins: one fewer than levels
    low: list[float]  # one per level
    high: list[float]

    def interval(self, predicted: Array) -> tuple[Array, Array]:
        """The ends of the prediction intervals, (rows,) each."""
        level = np.searchsorted(self.starts, predicted, side="right")
        return predicted + np.take(self.low, level), predicted + np.take(self.high, level)


NO_ERRORS = ErrorLevels([], [0.0], [0.0])


def error_levels(truth: pd.DataFrame, prediction: pd.DataFrame, levels: int = 5) -> ErrorLevels:
    """Between which errors the middle COVERAGE of the rows lie, for each fifth of the predictions."""
    found = outcome(truth, prediction)
    starts = np.unique(np.quantile(found.predicted, np.linspace(0, 1, levels + 1)[1:-1], method="higher"))
    starts = starts[starts > found.predicted.min()]  # so that no level is empty
    level = np.searchsorted(starts, found.predicted, side="right")
    tail = (1 - COVERAGE) / 2
    ends = [np.quantile(found.errors[level == i], [tail, 1 - tail]) for i in range(len(starts) + 1)]
    return ErrorLevels(starts.tolist(), [float(low) for low, _ in ends], [float(high) for _, high in ends])
