"""From the table's columns to the numbers that a model sees: calendar, imputation, scaling, encoding."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype
from sklearn.base import BaseEstimator, TransformerMixin

Array = np.ndarray[Any, Any]
Columns = pd.DataFrame | Mapping[str, Array]  # a table, or its columns by name: (rows,) each

HOURS, DAYS = 24, 7
MONDAY = 3  # 1970-01-01, day 0 of the computer's calendar, was a Thursday


class Features(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A table as one matrix of numbers, by the types that its columns have when it is fitted.

    - A number stays one number. A timestamp becomes the hour of the day and its weekday: no date and no month, because
      they take values in production that training has never seen.
    - Any other column becomes one 0/1 column for each value seen at least `min_count` times; an unknown, rare or
      missing value is 0 in all of them.
    - With `scaled` (for linear models) a missing number becomes the median and a 0/1 column says so, numbers get mean 0
      and variance 1, and the hour is also given as a point on a circle, so that 23:59 is near 00:00. Without it (for
      trees) NaN stays NaN.

    It works on whole columns as arrays: one row takes 0.2 ms here and 7 ms in a ColumnTransformer.
    """

    def __init__(self, scaled: bool = True, min_count: int = 20) -> None:
        self.scaled = scaled
        self.min_count = min_count

    def fit(self, X: pd.DataFrame, y: object = None) -> "Features":
        """Learn the columns of `X` (rows, inputs): their levels, medians, means and deviations."""
        names = [str(name) for name in X]
        self.times_ = [name for name in names if is_datetime64_any_dtype(X[name])]
        self.numbers_ = [name for name in names if is_numeric_dtype(X[name])]
        self.levels_ = {
            name: {str(level): i for i, level in enumerate(sorted(_frequent(X[name], self.min_count)))}
            for name in names
            if name not in self.times_ and name not in self.numbers_
        }
        numbers = self._numbers(X)
        missing = np.isnan(numbers)
        known = ~missing.all(axis=0)  # a column without any number stays 0
        self.medians_ = np.zeros(numbers.shape[1])
        self.medians_[known] = np.nanmedian(numbers[:, known], axis=0)
        self.gaps_ = np.flatnonzero(missing.any(axis=0))
        filled = np.where(missing, self.medians_, numbers)
        self.means_ = filled.mean(axis=0)
        deviations = filled.std(axis=0)
        self.deviations_ = np.where(deviations > 0, deviations, 1.0)
        return self

    def transform(self, X: Columns) -> Array:
        """Columns of (rows,) → (rows, features), float64, in the order of `get_feature_names_out`."""
        numbers = self._numbers(X)
        if self.scaled:
            missing = np.isnan(numbers)
            filled = (np.where(missing, self.medians_, numbers) - self.means_) / self.deviations_
            numbers = np.hstack([filled, missing[:, self.gaps_]])
        width = numbers.shape[1] + DAYS * len(self.times_) + sum(map(len, self.levels_.values()))
        rows = np.arange(len(numbers))
        matrix = np.zeros((len(rows), width))
        matrix[:, : numbers.shape[1]] = numbers
        start = numbers.shape[1]
        for name in self.times_:
            days = _minutes(X[name]) // (60 * HOURS)
            known = ~np.isnan(days)
            matrix[rows[known], start + ((days[known] + MONDAY) % DAYS).astype(int)] = 1
            start += DAYS
        for name, levels in self.levels_.items():
            positions = np.array([levels.get(value, -1) for value in np.asarray(X[name])], dtype=np.int64)
            known = positions >= 0
            matrix[rows[known], start + positions[known]] = 1
            start += len(levels)
        return matrix

    def get_feature_names_out(self, input_features: object = None) -> Array:
        """The columns of `transform`: "distance", "scheduled_departure:hour", "carrier=UA"…"""
        names = list(self.numbers_)
        for time in self.times_:
            names += [f"{time}:{part}" for part in ("hour", "sine", "cosine")[: 3 if self.scaled else 1]]
        if self.scaled:
            names += [f"{names[gap]}=missing" for gap in self.gaps_]
        for time in self.times_:
            names += [f"{time}={day}" for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")]
        return np.array(names + [f"{name}={level}" for name, levels in self.levels_.items() for level in levels])

    def _numbers(self, X: Columns) -> Array:
        """The numeric columns and the times' hours: (rows, numbers), NaN where missing."""
        columns = [np.asarray(X[name], dtype=float) for name in self.numbers_]
        for name in self.times_:
            hours = _minutes(X[name]) % (60 * HOURS) / 60
            columns.append(hours)
            if self.scaled:
                angle = 2 * np.pi * hours / HOURS
                columns += [np.sin(angle), np.cos(angle)]
        return np.column_stack(columns) if columns else np.empty((len(np.asarray(X[next(iter(self.levels_))])), 0))


class Products(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Adds the squares and products of the numeric columns, those that are not just 0 and 1."""

    def fit(self, X: Array, y: object = None) -> "Products":
        """Find the numeric columns of `X` (rows, features): those with more than two values."""
        numeric = [i for i in range(X.shape[1]) if len(np.unique(X[:, i])) > 2]
        left, right = np.triu_indices(len(numeric))
        self.left_, self.right_ = np.array(numeric, dtype=int)[left], np.array(numeric, dtype=int)[right]
        return self

    def transform(self, X: Array) -> Array:
        """(rows, features) → (rows, features + products)."""
        return np.hstack([X, X[:, self.left_] * X[:, self.right_]])


def _frequent(column: "pd.Series[Any]", min_count: int) -> list[Any]:
    counts = column.value_counts()
    return list(counts.index[counts >= min_count])


def _minutes(column: "pd.Series[Any] | Array") -> Array:
    """Minutes since 1970 as float64, NaN where the time is missing; ISO 8601 text is read too."""
    times = np.asarray(column).astype("datetime64[m]")
    return np.where(np.isnat(times), np.nan, times.astype("int64"))
