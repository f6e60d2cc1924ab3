"""How good a classification is: numbers, and the loss of each image.

The truth is the column `label` of a frame, the prediction what `Model.predict` returned for the same images.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from . import calibration, data

Array = np.ndarray[Any, Any]
TINY = 1e-12  # keeps the logarithm of a certain but wrong prediction finite


class Outcome(NamedTuple):
    """What was true and what was predicted."""

    truth: Array  # (images,) number of the class; -1 for one that the model does not know
    answers: Array  # (images,)
    probabilities: Array  # (images, classes)
    names: list[str]

    def take(self, rows: Array) -> "Outcome":
        """Only these images."""
        return Outcome(self.truth[rows], self.answers[rows], self.probabilities[rows], self.names)


def outcome(frame: pd.DataFrame, prediction: pd.DataFrame) -> Outcome:
    """Line up the truth with the predictions for the same images."""
    names = [str(name).removeprefix("probability_") for name in prediction if str(name).startswith("probability_")]
    numbers = {name: number for number, name in enumerate(names)}
    return Outcome(
        truth=np.array([numbers.get(str(name), -1) for name in frame[data.LABEL]]),
        answers=np.array([numbers[name] for name in prediction["prediction"]], dtype=int),
        probabilities=prediction[[f"probability_{name}" for name in names]].to_numpy(float),
        names=names,
    )


def loss(found: Outcome) -> Array:
    """Log loss of each image, (images,): less is better; that of an unknown class is the highest there is."""
    rows = np.arange(len(found.truth))
    right = np.where(found.truth < 0, 0.0, found.probabilities[rows, found.truth])
    return np.asarray(-np.log(np.clip(right, TINY, 1)))


def right(found: Outcome) -> Array:
    """Whether each image is answered well, (images,) bool: here, whether its class was found."""
    return np.asarray(found.truth == found.answers)


def possible(found: Outcome) -> Array:
    """Whether the model could be right, (images,) bool: not about classes that it does not know."""
    return np.asarray(found.truth >= 0)


def confidence(found: Outcome) -> Array:
    """The probability of each answer, (images,)."""
    return np.asarray(found.probabilities[np.arange(len(found.truth)), found.answers])


def calibration_error(found: Outcome, bins: int = calibration.BINS) -> float:
    """Mean distance between confidence and how often it was right, over groups of equal size."""
    return calibration.error(confidence(found), right(found), bins)


def per_class(found: Outcome) -> pd.DataFrame:
    """class, images, precision, recall, f1; 0 / 0 is NaN."""
    rows = []
    for number, name in enumerate(found.names):
        is_it, said = found.truth == number, found.answers == number
        hits = int((is_it & said).sum())
        rows.append(
            {
                "class": name,
                "images": int(is_it.sum()),
                "precision": _ratio(hits, int(said.sum())),
                "recall": _ratio(hits, int(is_it.sum())),
                "f1": _ratio(2 * hits, int(is_it.sum() + said.sum())),
            }
        )
    return pd.DataFrame(rows)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _mean_of(column: str) -> Callable[[Outcome], float]:
    """The mean over the classes that occur."""

    def mean(found: Outcome) -> float:
        return float(per_class(found)[column].mean())

    return mean


METRICS: dict[str, Callable[[Outcome], float]] = {
    "accuracy": lambda found: float(right(found).mean()),
    "balanced_accuracy": _mean_of("recall"),
    "f1": _mean_of("f1"),
    "log_loss": lambda found: float(loss(found).mean()),
    "calibration_error": calibration_error,
}
