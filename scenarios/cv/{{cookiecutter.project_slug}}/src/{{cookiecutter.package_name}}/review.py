"""Which images people should look at, and which of them to label first."""

from typing import Any

import numpy as np
import pandas as pd

from . import data, embeddings

Array = np.ndarray[Any, Any]
UNSURE = 0.9  # a lower confidence is a reason to look
URGENCY = "urgency"
COLUMNS = ["prediction", "confidence", embeddings.NOVELTY, *embeddings.NAMES]


def find(scored: pd.DataFrame, wrong: "pd.Series[bool] | None" = None) -> pd.DataFrame:
    """The rows that are worth a look, the most urgent first, with the columns `reason` and `urgency` (0 to 2).

    `scored` has the model's outputs, `wrong` says for each row whether it is known to be wrong by now.
    """
    unsure = (1 - scored["confidence"].astype(float)).fillna(1.0)
    novelty = scored[embeddings.NOVELTY].astype(float).fillna(np.inf)
    mistaken = wrong if wrong is not None else pd.Series(False, index=scored.index)
    reasons = {
        "wrong": mistaken,
        "unreadable": scored["prediction"].isna(),
        "unlike the training images": novelty > 1,
        "unsure": unsure > 1 - UNSURE,
    }
    reason = pd.Series("", index=scored.index)
    for name, holds in reversed(reasons.items()):
        reason = reason.mask(holds, name)
    urgency = np.clip(novelty - 1, 0, 1) + unsure + mistaken
    kept = [name for name in [data.ID, data.IMAGE, *COLUMNS] if name in scored]
    found = scored[kept].assign(reason=reason, **{URGENCY: np.clip(urgency, 0, 2)})[reason != ""]
    return found.sort_values(URGENCY, ascending=False, kind="stable", ignore_index=True)


def choose(scored: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` rows to label first: urgent ones that differ from each other.

    Starts with the most urgent and adds, one by one, the row with the largest product of its urgency and its distance
    to those already chosen (k-center greedy of Sener & Savarese, Active learning for convolutional networks, 2018,
    weighted by uncertainty).
    """
    if count >= len(scored):
        return scored
    places = scored[embeddings.NAMES].astype(float).fillna(0.0).to_numpy()
    weights = scored[URGENCY].to_numpy(float) + 1e-3
    chosen = [int(weights.argmax())]
    distance = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < count:
        gain = weights * (distance + 1e-6)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return scored.iloc[chosen].reset_index(drop=True)
