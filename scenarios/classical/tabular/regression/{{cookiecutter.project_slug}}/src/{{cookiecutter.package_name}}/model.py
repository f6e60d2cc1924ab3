"""The model: which families there are, how one is fitted, what it predicts, how it is saved."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import loguniform, randint, uniform
from sklearn.linear_model import BayesianRidge, Lasso, LinearRegression, Ridge
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from mlops_runtime.errors import Problem

from . import boosting, metrics, quantile, storage
from .families import THREADS, Family, choose, for_trees, scaled, transform, with_products
from .features import Array, Columns

FAMILIES = {
    "linear": Family(scaled, LinearRegression),
    "polynomial": Family(with_products, Ridge, {"alpha": loguniform(1e-2, 1e3)}),
    "ridge": Family(scaled, Ridge, {"alpha": loguniform(1e-2, 1e3)}),
    "lasso": Family(scaled, partial(Lasso, alpha=0.05), {"alpha": loguniform(1e-3, 1)}),
    "quantile": Family(scaled, quantile.QuantileRegression, {"alpha": loguniform(1e-6, 1e-2)}),  # of the median
    "bayesian_ridge": Family(
        scaled, BayesianRidge, {"alpha_1": loguniform(1e-7, 1e-3), "lambda_1": loguniform(1e-7, 1e-3)}
    ),
    "gradient_boosting": Family(
        for_trees,
        partial(
            boosting.Regressor,
            n_estimators=200,
            learning_rate=0.1,
            num_leaves=15,
            **boosting.REPRODUCIBLE,
        ),
        {
            "n_estimators": randint(100, 400),
            "learning_rate": loguniform(0.03, 0.2),
            "num_leaves": randint(7, 40),
            "min_child_samples": randint(5, 50),
            "colsample_bytree": uniform(0.6, 0.4),
            "reg_lambda": loguniform(1e-2, 100),
        },
    ),
}

# Estimators that are not scikit-learn's: a model file may hold no others.
ESTIMATORS = [f"{boosting.__name__}.Regressor", f"{quantile.__name__}.QuantileRegression"]


@dataclass(frozen=True)
class Model:
    """A fitted pipeline with how far off it usually is."""

    pipeline: Pipeline
    family: str
    parameters: dict[str, Any]  # hyper-parameters that differ from the family's defaults
    inputs: list[str]
    targets: list[str]  # one
    errors: metrics.ErrorLevels = metrics.NO_ERRORS

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """(rows, at least the inputs) → (rows, 3): `prediction`, `lower` and `upper`, in the target's unit.

        The truth lies between `lower` and `upper` in about 90 % of the rows.
        """
        return pd.DataFrame(self.predict_columns(frame))

    def predict_columns(self, columns: Columns) -> dict[str, Array]:
        """The same from and to arrays (rows,) by column name, without pandas: one row takes half the time."""
        *preprocessing, estimator = (step for _, step in self.pipeline.steps)
        predicted = estimator.predict(transform(preprocessing, columns))
        lower, upper = self.errors.interval(predicted)
        return {"prediction": predicted, "lower": lower, "upper": upper}

    def calibrated(self, truth: pd.DataFrame, prediction: pd.DataFrame) -> "Model":
        """The same model with intervals from errors on rows that it has not seen (Mondrian conformal prediction)."""
        return replace(self, errors=metrics.error_levels(truth, prediction))

    def save(self, folder: Path) -> None:
        """Write the model as files that `load` reads."""
        facts = {name: value for name, value in vars(self).items() if name not in ("pipeline", "errors")}
        facts["errors"] = self.errors._asdict()
        storage.save(folder, self.pipeline, facts)


def fit(X: pd.DataFrame, y: pd.DataFrame, family: str, parameters: dict[str, Any], seed: int) -> Model:
    """Fit one family with these hyper-parameters to `X` (rows, inputs) and `y` (rows, one target)."""
    if y.shape[1] > 1:
        raise Problem(f"target {','.join(y.columns)!r} names {y.shape[1]} columns: regression predicts one.")
    if not pd.api.types.is_numeric_dtype(y.iloc[:, 0]):
        raise Problem(f"target {y.columns[0]!r} is no number in the contract: regression needs integer or number.")
    preprocessing, estimator = choose(FAMILIES, family).build(parameters, seed)
    pipeline = Pipeline([*preprocessing, ("model", estimator)])
    with threadpool_limits(THREADS):
        pipeline.fit(X, y.iloc[:, 0].to_numpy(dtype=float))
    return Model(pipeline, family, parameters, list(X.columns), list(y.columns))


def load(folder: Path) -> Model:
    """Read a model that `Model.save` wrote."""
    pipeline, facts = storage.load(folder, ESTIMATORS)
    return Model(pipeline, **{**facts, "errors": metrics.ErrorLevels(**facts["errors"])})


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls to load the model."""
    return load(Path(path))
