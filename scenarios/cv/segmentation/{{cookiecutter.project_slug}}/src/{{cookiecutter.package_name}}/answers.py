"""What the model answers about an image: which of its pixels belong to which class."""

from typing import Any

import numpy as np

from . import data, masks

Array = np.ndarray[Any, Any]
TARGET = data.REGIONS  # the column with the truth


def columns(classes: list[str]) -> list[str]:
    """The output columns.

    `prediction` is JSON text as in the column `annotations`: a list of objects with label, size and counts, the mask of
    each class that was found, run-length encoded as COCO does. The masks lie over the whole image in a grid of `size`,
    rows and columns; `masks.stretch` brings them to the image's own pixels. `confidence` is the IoU of prediction and
    truth that the model expects, `share_<class>` the share of the pixels that is of the class.
    """
    return ["prediction", "confidence", *_shares(classes)]


def watched(classes: list[str]) -> list[str]:
    """The output columns whose drift is monitored."""
    return ["confidence", *_shares(classes)]


def _shares(classes: list[str]) -> list[str]:
    return [f"share_{name}" for name in classes]


def as_truth(prediction: str, height: int, width: int) -> tuple[str | None, list[masks.Region] | None]:
    """A prediction for an image as a person would say it: the label of the whole image and the masks."""
    found = [masks.Region(one.label, masks.stretch(one.mask, height, width)) for one in masks.load(prediction)]
    return None, [one for one in found if one.mask.any()]


def read(probabilities: Array, classes: list[str]) -> dict[str, Array]:
    """The network's output, (images, 1 + classes, size, size), of which the first is that nothing is there.

    Returns one array (images,) per output column.
    """
    best = probabilities.argmax(axis=1)
    shares = [(best == number).mean(axis=(1, 2)) for number in range(1, len(classes) + 1)]
    return {
        "prediction": np.array([masks.dump(masks.regions(one, classes)) for one in best], dtype=object),
        "confidence": expected_iou(probabilities, best),
        **dict(zip(_shares(classes), shares, strict=True)),
    }


def expected_iou(probabilities: Array, best: Array) -> Array:
    """The IoU with the truth that the probabilities promise for their best answers, (images,).

    The expected number of pixels that are rightly said to be of a class, divided by that of all pixels that are or were
    said to be of one; where none was, the probability that there is nothing at the most doubtful pixel.
    """
    said = best > 0
    right = np.where(said, probabilities.max(axis=1), 0).sum(axis=(1, 2), dtype=float)
    either = np.where(said, 1, 1 - probabilities[:, 0]).sum(axis=(1, 2), dtype=float)
    nothing = probabilities[:, 0].min(axis=(1, 2)).astype(float)
    return np.asarray(np.where(said.any(axis=(1, 2)), right / np.maximum(either, 1e-9), nothing))
