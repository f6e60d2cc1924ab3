"""The model: which families there are, how one is fitted, what it predicts, how it is saved."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import loguniform, randint, uniform
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from mlops_runtime.errors import Problem

from . import boosting, metrics, storage
from .families import THREADS, Family, choose, for_trees, scaled, transform, with_products
from .features import Array, Columns


def lasso(C: float = 0.1) -> Any:
    """Logistic regression with an L1 penalty, one per class: far quicker than one for all classes by saga."""
    return OneVsRestClassifier(LogisticRegression(C=C, l1_ratio=1, solver="liblinear"))


newton = partial(LogisticRegression, solver="newton-cholesky", tol=1e-3)  # quick: many rows, few columns
FAMILIES = {
    "linear": Family(scaled, partial(newton, C=1e4)),  # all but no penalty: just enough to have one solution
    "polynomial": Family(with_products, partial(newton, C=0.01), {"C": loguniform(1e-4, 1)}),
    "ridge": Family(scaled, partial(newton, C=0.01), {"C": loguniform(1e-4, 10)}),
    "lasso": Family(scaled, lasso, {"C": loguniform(1e-2, 10)}),
    "gradient_boosting": Family(
        for_trees,
        partial(
            boosting.Classifier,
            n_estimators=150,
            learning_rate=0.05,
            num_leaves=15,
            min_child_samples=50,
            colsample_bytree=0.5,
            **boosting.REPRODUCIBLE,
        ),
        {
            "n_estimators": randint(80, 250),
            "learning_rate": loguniform(0.02, 0.1),
            "num_leaves": randint(5, 32),
            "min_child_samples": randint(20, 200),
            "colsample_bytree": uniform(0.3, 0.7),
            "reg_lambda": loguniform(1e-2, 100),
        },
    ),
}

# Estimators that are not scikit-learn's: a model file may hold no others.
ESTIMATORS = [f"{boosting.__name__}.Classifier"]


@dataclass(frozen=True)
class Model:
    """A fitted pipeline. The targets decide what it does:

    - one target with two values (binary): columns `prediction` and `probability_<the second value>`
    - one target with more values (multi-class): `prediction` and one `probability_<value>` each
    - several 0/1 targets (multi-label): `prediction_<target>` and `probability_<target>` for each
    """

    pipeline: Pipeline
    family: str
    parameters: dict[str, Any]  # hyper-parameters that differ from the family's defaults
    inputs: list[str]
    targets: list[str]
    classes: list[Any]  # the values of a single target; empty with several targets
    thresholds: list[float]  # from which probability on the answer is yes; empty for multi-class

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """(rows, at least the inputs) → (rows, predictions and probabilities)."""
        return pd.DataFrame(self.predict_columns(frame))

    def predict_columns(self, columns: Columns) -> dict[str, Array]:
        """The same from and to arrays (rows,) by column name, without pandas: one row takes half the time."""
        *preprocessing, estimator = (step for _, step in self.pipeline.steps)
        found = estimator.predict_proba(transform(preprocessing, columns))
        if not self.classes:
            probabilities = np.column_stack([one[:, 1] for one in found])
            decided = (probabilities >= self.thresholds).astype(int)
            answers = {f"prediction_{name}": decided[:, i] for i, name in enumerate(self.targets)}
            names = self.targets
        elif self.thresholds:
            probabilities = found[:, 1:]
            answers = {"prediction": np.array(self.classes)[(probabilities[:, 0] >= self.thresholds[0]).astype(int)]}
            names = self.classes[1:]
        else:
            probabilities = found
            answers = {"prediction": np.array(self.classes)[found.argmax(axis=1)]}
            names = self.classes
        return answers | {f"probability_{name}": probabilities[:, i] for i, name in enumerate(names)}

    def calibrated(self, truth: pd.DataFrame, prediction: pd.DataFrame) -> "Model":
        """The same model with decision thresholds from predictions for rows that it has not seen."""
        if not self.thresholds:
            return self
        return replace(self, thresholds=metrics.balanced_thresholds(truth, prediction))

    def save(self, folder: Path) -> None:
        """Write the model as files that `load` reads."""
        facts = {name: value for name, value in vars(self).items() if name != "pipeline"}
        storage.save(folder, self.pipeline, facts)


def fit(X: pd.DataFrame, y: pd.DataFrame, family: str, parameters: dict[str, Any], seed: int) -> Model:
    """Fit one family with these hyper-parameters to `X` (rows, inputs) and `y` (rows, targets)."""
    preprocessing, estimator = choose(FAMILIES, family).build(parameters, seed)
    classes = sorted(y.iloc[:, 0].unique().tolist()) if y.shape[1] == 1 else []
    for name in y:
        if y[name].nunique() < 2:
            raise Problem(
                f"target {name!r} has the same value in all {len(y)} training rows: there is nothing to learn."
            )
        if not classes and not set(y[name].unique()) <= {0, 1}:
            raise Problem(f"target {name!r} has other values than 0 and 1, which several targets must have.")
    pipeline = Pipeline([*preprocessing, ("model", estimator if classes else MultiOutputClassifier(estimator))])
    with threadpool_limits(THREADS):
        pipeline.fit(X, y.iloc[:, 0].to_numpy() if classes else y.to_numpy(dtype=int))
    thresholds = [0.5] * (0 if len(classes) > 2 else y.shape[1])
    return Model(pipeline, family, parameters, list(X.columns), list(y.columns), classes, thresholds)


def load(folder: Path) -> Model:
    """Read a model that `Model.save` wrote."""
    pipeline, facts = storage.load(folder, ESTIMATORS)
    return Model(pipeline, **facts)


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls to load the model."""
    return load(Path(path))
