"""How good a segmentation is: numbers, and the loss of each image.

The truth is the column `annotations` of a frame, the prediction what `Model.predict` returned for the same images. They
are compared pixel by pixel of the truth; every image counts the same, however many pixels it has.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mlops_runtime.errors import Problem

from . import calibration, data, masks

Array = np.ndarray[Any, Any]
NOTHING = "nothing"  # what a pixel is that belongs to no class
TINY = 1e-9  # sums of shares are not exact
GOOD = 0.75  # IoU from which an image is answered well


class Outcome(NamedTuple):
    """What was true and what was predicted."""

    pixels: Array  # (images, true, predicted) shares of an image's pixels; 0 is nothing, the last true one is unknown
    confidence: Array  # (images,)
    names: list[str]  # of the classes: 1 …

    def take(self, rows: Array) -> "Outcome":
        """Only these images."""
        return Outcome(self.pixels[rows], self.confidence[rows], self.names)


def outcome(frame: pd.DataFrame, prediction: pd.DataFrame) -> Outcome:
    """Line up the truth with the predictions for the same images; Problem for a truth that cannot be read."""
    names = [str(name).removeprefix("share_") for name in prediction if str(name).startswith("share_")]
    numbers = {name: number for number, name in enumerate(names, 1)}
    pixels = np.zeros((len(frame), len(names) + 2, len(names) + 1))
    for row, (truth, answer) in enumerate(zip(frame[data.REGIONS], prediction["prediction"], strict=True)):
        try:
            there = masks.load(truth) if isinstance(truth, str) else []
        except ValueError as error:
            raise Problem(f"{data.REGIONS} of image number {row} cannot be read: {error}") from None
        said = masks.load(answer)
        shape = next((region.mask.shape for region in [*there, *said]), (1, 1))
        true, predicted = (masks.paint(regions, numbers, *shape) for regions in (there, said))
        np.add.at(pixels[row], (true, predicted), 1 / true.size)
    return Outcome(pixels, prediction["confidence"].to_numpy(float), names)


def image_iou(found: Outcome) -> Array:
    """Intersection over union of each image, (images,), 0 to 1.

    The pixels that are rightly said to be of a class, divided by those that are or were said to be of one; 1 where
    there is nothing and nothing was said.
    """
    right = np.trace(found.pixels[:, 1:, 1:], axis1=1, axis2=2)
    either = found.pixels.sum(axis=(1, 2)) - found.pixels[:, 0, 0]
    return np.asarray(np.where(either > TINY, right / np.maximum(either, TINY), 1.0))


def loss(found: Outcome) -> Array:
    """1 - IoU of each image, (images,): less is better."""
    return np.asarray(1 - image_iou(found))


def right(found: Outcome) -> Array:
    """Whether each image is answered well, (images,) bool."""
    return np.asarray(image_iou(found) >= GOOD)


def possible(found: Outcome) -> Array:
    """Whether the model could be right, (images,) bool: not about classes that it does not know."""
    return np.asarray(found.pixels[:, -1].sum(axis=1) == 0)


def per_class(found: Outcome) -> pd.DataFrame:
    """class, images, iou, precision and recall of pixels, dice; 0 / 0 is NaN. The first class is nothing."""
    total = found.pixels.sum(axis=0)
    rows = []
    for number, name in enumerate([NOTHING, *found.names]):
        both, true, said = total[number, number], total[number].sum(), total[:, number].sum()
        rows.append(
            {
                "class": name,
                "images": int((found.pixels[:, number].sum(axis=1) > TINY).sum()),
                "iou": _ratio(both, true + said - both),
                "precision": _ratio(both, said),
                "recall": _ratio(both, true),
                "dice": _ratio(2 * both, true + said),
            }
        )
    return pd.DataFrame(rows)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > TINY else float("nan")


def mean_iou(found: Outcome) -> float:
    """The mean IoU over the classes that occur and nothing, each over all images (Everingham et al., VOC, 2010)."""
    return float(per_class(found)["iou"].mean())


def lowest_iou(found: Outcome) -> float:
    """The IoU of the class that is found worst."""
    return float(per_class(found)["iou"].min())


def calibration_error(found: Outcome) -> float:
    """Mean distance between confidence and the IoU that was reached, over groups of equal size."""
    return calibration.error(found.confidence, image_iou(found))


METRICS: dict[str, Callable[[Outcome], float]] = {
    "mean_iou": mean_iou,
    "lowest_iou": lowest_iou,
    "image_iou": lambda found: float(image_iou(found).mean()),
    "pixel_accuracy": lambda found: float(np.trace(found.pixels, axis1=1, axis2=2).mean()),
    "calibration_error": calibration_error,
}
