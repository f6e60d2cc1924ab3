"""Linear models on TF-IDF: learnt in a second, hard to beat, served without the training stack."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from threadpoolctl import threadpool_limits

from .features import Features

Array = np.ndarray[Any, Any]
DEFAULTS: dict[str, Any] = {"C": 10.0}


class Linear:
    """One weight for each term and class."""

    def __init__(self, features: Features, weights: Array, constants: Array) -> None:
        """`weights` is (terms, classes), `constants` (classes,)."""
        self.features = features
        self.weights = weights
        self.constants = constants

    @classmethod
    def fit(
        cls, features: Features, texts: Sequence[str], labels: Array, classes: int, parameters: dict[str, Any]
    ) -> "Linear":
        """Logistic regression; `labels` (texts,) are class numbers from 0."""
        estimator = LogisticRegression(max_iter=500, tol=1e-3, **{**DEFAULTS, **parameters})
        with threadpool_limits(1):  # more threads give other last digits on another machine
            estimator.fit(features.transform(texts), labels)
        weights, constants = estimator.coef_.T, estimator.intercept_
        if classes == 2:  # scikit-learn keeps the second class alone
            weights, constants = np.hstack([-weights, weights]) / 2, np.array([-constants[0], constants[0]]) / 2
        return cls(features, weights.astype(np.float32), constants.astype(np.float32))

    @classmethod
    def count(cls, features: Features, texts: Sequence[str], labels: Array) -> "Linear":
        """Naive Bayes, which only counts: the baseline that anything learnt should beat."""
        estimator = MultinomialNB(alpha=0.1).fit(features.transform(texts), labels)
        weights, constants = estimator.feature_log_prob_.T, estimator.class_log_prior_
        return cls(features, weights.astype(np.float32), constants.astype(np.float32))

    def scores(self, texts: Sequence[str]) -> Array:
        """Logits: (texts, classes)."""
        return np.asarray(self.features.transform(texts) @ self.weights) + self.constants

    def embed(self, texts: Sequence[str]) -> Array:
        """(texts, dimensions), each of length 1."""
        return self.features.embed(texts)

    def save(self, folder: Path) -> None:
        """Write linear.npz; the features are stored by the model."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "linear.npz", weights=self.weights, constants=self.constants)

    @classmethod
    def load(cls, folder: Path, features: Features) -> "Linear":
        """Read what `save` wrote."""
        with np.load(folder / "linear.npz", allow_pickle=False) as arrays:
            return cls(features, arrays["weights"], arrays["constants"])
