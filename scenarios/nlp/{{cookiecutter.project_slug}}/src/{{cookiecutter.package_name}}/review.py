"""Which texts a person should read: those that the model is unsure of, and among them unlike ones."""

from typing import Any

import numpy as np
import pandas as pd

from . import metrics
from .model import Model
from .tables import TEXT

Array = np.ndarray[Any, Any]
POOL = 5  # the most unsure texts from which unlike ones are chosen, as a multiple of how many are wanted


def choose(model: Model, frame: pd.DataFrame, prediction: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows of `frame`, which has clean texts, with the answers and why they were chosen.

    The most unsure texts, then among them each time the one that is least like all chosen before (core-set selection,
    Sener & Savarese 2018): a hundred tickets about the same thing teach little more than one.
    """
    sure = metrics.confidence(prediction)
    texts = frame[TEXT].astype(str)
    order = np.argsort(sure, kind="stable")
    pool = order[~texts.iloc[order].duplicated().to_numpy()][: most * POOL]
    chosen = pool[spread(model.embed(texts.iloc[pool].tolist()), most)] if len(pool) else pool
    unknown = [" ".join(dict.fromkeys(model.features.unknown(text))) for text in texts.iloc[chosen]]
    answers = metrics.summary(prediction).iloc[chosen].reset_index(drop=True)
    found = pd.concat([frame.iloc[chosen].reset_index(drop=True), answers], axis="columns")
    return found.assign(unknown_words=unknown)


def spread(points: Array, most: int) -> Array:
    """The places of `most` points (rows, dimensions of length 1) far from each other, starting with the first."""
    chosen = [0]
    nearest = 1 - points @ points[0]
    while len(chosen) < min(most, len(points)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, 1 - points @ points[chosen[-1]])
        nearest[chosen] = -np.inf
    return np.array(chosen)
