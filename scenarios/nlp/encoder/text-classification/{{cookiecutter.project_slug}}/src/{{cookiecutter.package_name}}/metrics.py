"""How good a classification of texts is: numbers, the loss of each text, numbers for each class."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]
TINY = 1e-6  # the probability of a class that the model does not know
PREFIX = "probability_"
BREAKDOWN = "By class"  # what `breakdown` shows


class Outcome(NamedTuple):
    """What was true and what was predicted, as class numbers."""

    truth: Array  # (rows,); -1 for a class that the model does not know
    answers: Array  # (rows,)
    probabilities: Array  # (rows, classes)
    classes: list[str]

    @property
    def rows(self) -> int:
        """How many texts."""
        return len(self.truth)

    def take(self, rows: Array) -> "Outcome":
        """Only these rows."""
        return Outcome(self.truth[rows], self.answers[rows], self.probabilities[rows], self.classes)


def outcome(truth: pd.DataFrame, prediction: pd.DataFrame) -> Outcome:
    """Line up `truth` (rows, 1) with what `Model.predict` returned for the same rows."""
    classes = [name.removeprefix(PREFIX) for name in map(str, prediction) if name.startswith(PREFIX)]
    places = pd.Index(classes)
    probabilities = prediction[[PREFIX + name for name in classes]].to_numpy(dtype=float)
    answers = places.get_indexer(pd.Index(prediction["prediction"].astype(str)))
    true = places.get_indexer(pd.Index(truth.iloc[:, 0].astype(str)))
    return Outcome(true, answers, probabilities, classes)


def loss(truth: pd.DataFrame, prediction: pd.DataFrame) -> Array:
    """Log loss of each text, (rows,): less is better."""
    return _log_loss(outcome(truth, prediction))


def _log_loss(found: Outcome) -> Array:
    right = np.where(found.truth >= 0, found.probabilities[np.arange(len(found.truth)), found.truth], 0.0)
    return np.asarray(-np.log(right.clip(TINY, 1)))


def confidence(prediction: pd.DataFrame) -> Array:
    """How sure the model is of each answer, 0 to 1: (rows,)."""
    return np.asarray(prediction.filter(like=PREFIX).to_numpy(dtype=float).max(axis=1))


def summary(prediction: pd.DataFrame) -> pd.DataFrame:
    """What monitoring compares of the answers: prediction, confidence."""
    return pd.DataFrame({"prediction": prediction["prediction"], "confidence": confidence(prediction)})


def _counts(found: Outcome) -> tuple[Array, Array, Array]:
    """For each class how many rows are right, answered, true: (classes,) each."""
    classes = len(found.classes)
    right = np.bincount(found.truth[found.truth == found.answers], minlength=classes)
    answered = np.bincount(found.answers, minlength=classes)
    return right, answered, np.bincount(found.truth[found.truth >= 0], minlength=classes)


def _share(part: Array, whole: Array) -> Array:
    """part / whole, 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _macro_f1(found: Outcome) -> float:
    """Mean of the F1 of all classes that are true or answered; a class that the model does not know counts 0."""
    right, answered, true = _counts(found)
    seen = (answered + true) > 0
    f1 = _share(2 * right, answered + true)[seen]
    return float(f1.sum() / (len(f1) + (found.truth < 0).any()))


def _calibration_error(found: Outcome, bins: int = 10) -> float:
    """Mean distance between confidence and share of right answers over bins of equal size (Guo et al. 2017)."""
    sure = found.probabilities.max(axis=1)
    surplus = sure - (found.truth == found.answers)
    parts = np.array_split(np.argsort(sure, kind="stable"), bins)
    return float(sum(abs(surplus[part].sum()) for part in parts) / len(sure))


METRICS: dict[str, Callable[[Outcome], float]] = {
    "accuracy": lambda found: float((found.truth == found.answers).mean()),
    "macro_f1": _macro_f1,
    "log_loss": lambda found: float(_log_loss(found).mean()),
    "calibration_error": _calibration_error,
}


def breakdown(found: Outcome) -> pd.DataFrame:
    """class, rows, precision, recall, f1, and what it is most often taken for."""
    right, answered, true = _counts(found)
    taken_for = []
    for place in range(len(found.classes)):
        wrong = found.answers[(found.truth == place) & (found.answers != place)]
        most = np.bincount(wrong, minlength=len(found.classes)).argmax() if len(wrong) else None
        taken_for.append("–" if most is None else f"{found.classes[most]} ({(wrong == most).sum()})")
    return pd.DataFrame(
        {
            "class": found.classes,
            "rows": true,
            "precision": _share(right, answered),
            "recall": _share(right, true),
            "f1": _share(2 * right, answered + true),
            "taken for": taken_for,
        }
    )
