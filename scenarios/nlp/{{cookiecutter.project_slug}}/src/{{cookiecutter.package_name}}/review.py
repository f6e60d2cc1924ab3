"""Which texts a person should read: those that the model is unsure of, and among them unlike ones."""

from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime.contract import Contract

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
    answers = prediction["prediction"].to_numpy()[chosen]
    found = frame.iloc[chosen].reset_index(drop=True)
    return found.assign(prediction=answers, confidence=sure[chosen], unknown_words=unknown)


def as_rows(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The texts with all that a row of the data file needs, but the target, where it is known."""
    rows = frame[[name for name in contract.names("id", "time", "cohort", "feature") if name in frame]].copy()
    for name in rows:
        if contract.columns[str(name)].type == "integer":
            rows[name] = rows[name].astype("Int64")
        elif contract.columns[str(name)].type == "datetime":
            rows[name] = rows[name].dt.strftime("%Y-%m-%dT%H:%M:%S")
    return rows


def spread(points: Array, most: int) -> Array:
    """The places of `most` points (rows, dimensions of length 1) far from each other, starting with the first."""
    chosen = [0]
    nearest = 1 - points @ points[0]
    while len(chosen) < min(most, len(points)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, 1 - points @ points[chosen[-1]])
        nearest[chosen] = -np.inf
    return np.array(chosen)
