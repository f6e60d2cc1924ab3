"""What the model answers about an image: its class."""

from typing import Any

import numpy as np

from . import data, masks

Array = np.ndarray[Any, Any]
TARGET = data.LABEL  # the column with the truth


def columns(classes: list[str]) -> list[str]:
    """The output columns: `prediction`, `confidence` (the probability of it) and `probability_<class>` each."""
    return ["prediction", "confidence", *(f"probability_{name}" for name in classes)]


def watched(classes: list[str]) -> list[str]:
    """The output columns whose drift is monitored."""
    return ["prediction", "confidence"]


def as_truth(prediction: str, height: int, width: int) -> tuple[str | None, list[masks.Region] | None]:
    """A prediction for an image as a person would say it: the label of the whole image and the masks."""
    return prediction, None


def read(probabilities: Array, classes: list[str]) -> dict[str, Array]:
    """The network's output, (images, classes) → one array (images,) per output column."""
    found = probabilities.astype(float)
    best = found.argmax(axis=1)
    return {
        "prediction": np.array(classes, dtype=object)[best],
        "confidence": found[np.arange(len(best)), best],
        **{f"probability_{name}": found[:, number] for number, name in enumerate(classes)},
    }
