"""Gradient boosting on lags and the calendar: one model for all airports and all days ahead."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from . import features
from .data import Array, names
from .forecaster import Forecaster

CATEGORIES = ["airport", "weekday"]
ROW_SHARE = 0.8  # of the examples, drawn anew for every tree


class GradientBoosting(Forecaster):
    """Trees learn how far a day will be from the typical one of its weekday, in shares of the airport's level.

    The absolute error is minimised, which a storm in the history moves less than its square. The horizon is a feature,
    so that no forecast is fed back as if it were known (direct strategy).
    """

    history_days = features.HISTORY_DAYS

    def __init__(
        self,
        horizon: int,
        seed: int,
        trees: int,
        learning_rate: float,
        leaves: int,
        min_rows_in_leaf: int,
        feature_share: float,
    ) -> None:
        super().__init__(horizon, seed)
        self.trees = trees
        self.parameters: dict[str, Any] = {
            "objective": "l1",
            "learning_rate": learning_rate,
            "num_leaves": leaves,
            "min_data_in_leaf": min_rows_in_leaf,
            "bagging_fraction": ROW_SHARE,
            "bagging_freq": 1,
            "feature_fraction": feature_share,
            "seed": seed,
            # One thread and row-wise histograms: the same model on every machine.
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
        self.booster: Any = None

    def fit(self, series: pd.DataFrame) -> None:
        """Learn from the forecasts that could have been made on every day of `series`."""
        self.airports = names(series)
        counts = series.to_numpy()
        cutoffs = range(self.history_days, len(series) - self.horizon + 1)
        rows = self.examples(series, cutoffs)
        actual = np.concatenate([counts[cutoff : cutoff + self.horizon].ravel() for cutoff in cutoffs])
        table = lightgbm.Dataset(
            rows.matrix,
            rows.relative(actual),
            feature_name=features.NAMES,
            categorical_feature=CATEGORIES,
            params=self.parameters,
        )
        self.booster = lightgbm.train(self.parameters, table, self.trees)

    def forecast(self, series: pd.DataFrame) -> Array:
        """All days ahead in one call."""
        return self.predict(self.examples(series, [len(series)])).reshape(self.horizon, series.shape[1])

    def examples(self, series: pd.DataFrame, cutoffs: Sequence[int]) -> features.Features:
        """What the trees see at these cutoffs."""
        return features.build(series, cutoffs, self.horizon, self.airports)

    def predict(self, rows: features.Features) -> Array:
        """Counts for rows of features: (rows,)."""
        return rows.absolute(self.booster.predict(rows.matrix, num_threads=1))

    def save(self, folder: Path) -> None:
        """Write LightGBM's own text format."""
        text = self.booster.model_to_string()
        (folder / "trees.txt").write_text(text, encoding="utf-8", newline="\n")

    def load(self, folder: Path) -> None:
        """Read the trees."""
        self.booster = lightgbm.Booster(model_str=(folder / "trees.txt").read_text(encoding="utf-8"))
