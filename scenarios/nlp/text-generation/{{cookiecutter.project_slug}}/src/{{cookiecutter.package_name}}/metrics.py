"""How good generated texts are: numbers, the loss of each text, numbers for kinds of texts."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .vocabulary import numbers

Array = np.ndarray[Any, Any]
BREAKDOWN = "By kind of text"  # what `breakdown` shows
TOKEN = re.compile(r"\w+")
LONG = 12  # words; references with more count as long


class Outcome(NamedTuple):
    """What the metrics need to know of each text: arrays (rows,)."""

    rouge: Array  # ROUGE-L of the answer, 0 to 1
    exact: Array  # whether it is the reference
    confidence: Array  # of the model, 0 to 1
    length: Array  # of the reference, in words
    right: Array  # numbers of the answer that the reference has too
    said: Array  # numbers of the answer
    due: Array  # numbers of the reference

    @property
    def rows(self) -> int:
        """How many texts."""
        return len(self.rouge)

    def take(self, rows: Array) -> "Outcome":
        """Only these rows."""
        return Outcome(*(values[rows] for values in self))


def outcome(truth: pd.DataFrame, prediction: pd.DataFrame) -> Outcome:
    """Line up `truth` (rows, 1) with what `Model.predict` returned for the same rows."""
    references = truth.iloc[:, 0].fillna("").astype(str).tolist()
    answers = prediction["prediction"].fillna("").astype(str).tolist()
    both = list(zip(answers, references, strict=True))
    counted = [(numbers(answer), numbers(reference)) for answer, reference in both]
    return Outcome(
        rouge=np.array([rouge_l(*pair) for pair in both]),
        exact=np.array([" ".join(answer.split()) == " ".join(reference.split()) for answer, reference in both]),
        confidence=confidence(prediction),
        length=np.array([len(TOKEN.findall(reference)) for reference in references]),
        right=np.array([(said & due).total() for said, due in counted]),
        said=np.array([said.total() for said, _ in counted]),
        due=np.array([due.total() for _, due in counted]),
    )


def rouge_l(answer: str, reference: str) -> float:
    r"""ROUGE-L as F1: 2·P·R / (P + R) with P = LCS / words of the answer and R = LCS / words of the reference.

    LCS is the length of the longest common subsequence of words (Lin, ROUGE: A package for automatic evaluation of
    summaries, 2004, with β = 1). Words are what matches \w+, in lower case, neither stemmed nor left out. Two texts
    without words agree: 1.
    """
    said, due = (TOKEN.findall(text.lower()) for text in (answer, reference))
    if not said or not due:
        return float(said == due)
    return 2 * longest_common(said, due) / (len(said) + len(due))


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for one in first:
        before = 0
        for place, other in enumerate(second, start=1):
            above = row[place]
            row[place] = before + 1 if one == other else max(above, row[place - 1])
            before = above
    return row[-1]


def loss(truth: pd.DataFrame, prediction: pd.DataFrame) -> Array:
    """1 - ROUGE-L of each text, (rows,): less is better."""
    return np.asarray(1 - outcome(truth, prediction).rouge)


def confidence(prediction: pd.DataFrame) -> Array:
    """Which ROUGE-L the model expects of each answer, 0 to 1: (rows,)."""
    return prediction["confidence"].to_numpy(dtype=float)


def summary(prediction: pd.DataFrame) -> pd.DataFrame:
    """What monitoring compares of the answers: confidence, words, novelty."""
    return prediction[["confidence", "words", "novelty"]].astype(float)


def _share(part: Array, whole: Array) -> float:
    """part / whole; 1 where there is nothing that could be wrong."""
    return float(part.sum() / whole.sum()) if whole.sum() else 1.0


def _calibration_error(found: Outcome, bins: int = 10) -> float:
    """Mean distance between confidence and ROUGE-L over bins of equal size (after Guo et al. 2017)."""
    surplus = found.confidence - found.rouge
    parts = np.array_split(np.argsort(found.confidence, kind="stable"), bins)
    return float(sum(abs(surplus[part].sum()) for part in parts) / found.rows)


METRICS: dict[str, Callable[[Outcome], float]] = {
    "rouge_l": lambda found: float(found.rouge.mean()),
    "exact_match": lambda found: float(found.exact.mean()),  # but for white space
    "numbers_right": lambda found: _share(found.right, found.said),  # of the numbers in the answers
    "numbers_found": lambda found: _share(found.right, found.due),  # of the numbers in the references
    "calibration_error": _calibration_error,
}


def breakdown(found: Outcome) -> pd.DataFrame:
    """texts, rows, and every metric for kinds of texts that differ in how hard they are."""
    kinds = {
        "with numbers": found.due > 0,
        "without numbers": found.due == 0,
        f"up to {LONG} words": found.length <= LONG,
        "longer": found.length > LONG,
    }
    rows = []
    for kind, marked in kinds.items():
        if marked.any():
            part = found.take(np.flatnonzero(marked))
            rows.append({"texts": kind, "rows": part.rows, **{name: metric(part) for name, metric in METRICS.items()}})
    return pd.DataFrame(rows)
