"""How good the labelled pieces of texts are: numbers, the loss of each text, numbers for each label.

A predicted span is right when a true one has the same start, the same end and the same label: no credit for half of it,
or for the right place with another label (the strict measure of CoNLL, Tjong Kim Sang & De Meulder 2003, which seqeval
computes too). precision = right / predicted spans, recall = right / true spans, F1 = 2 · right / (predicted + true),
over all texts and labels together (micro); 1 where there is neither a true nor a predicted span.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from . import spans
from .spans import Span

Array = np.ndarray[Any, Any]
BREAKDOWN = (
    "By label. Of the true spans: found exactly (recall), found with another start or end (cut), found with another "
    "label (confused), not found at all (missed), as shares"
)
FATES = ("exact", "cut", "confused", "missed")  # of a true span
BINS = 10  # of confidence
NOTHING = "none"


@dataclass(frozen=True)
class Outcome:
    """What was true and what was predicted, counted in each text."""

    predicted: Array  # (rows, labels) spans
    fates: Array  # (rows, labels, fates) true spans by what became of them
    confidence: Array  # (rows, bins) sum over the predicted spans
    right: Array  # (rows, bins) how many of these are right
    sizes: Array  # (rows, bins) how many there are
    labels: list[str]

    @property
    def rows(self) -> int:
        """How many texts."""
        return len(self.predicted)

    def take(self, rows: Array) -> "Outcome":
        """Only these rows."""
        counts = {one.name: getattr(self, one.name)[rows] for one in fields(self) if one.name != "labels"}
        return Outcome(**counts, labels=self.labels)


def outcome(truth: pd.DataFrame, prediction: pd.DataFrame) -> Outcome:
    """Line up `truth` (rows, 1), spans as JSON text, with what `Model.predict` returned for the same rows."""
    pairs = _pairs(truth, prediction)
    labels = sorted({span.label for pair in pairs for side in pair for span in side})
    places = {name: place for place, name in enumerate(labels)}
    rows, size = len(pairs), len(labels)
    found = Outcome(
        predicted=np.zeros((rows, size)),
        fates=np.zeros((rows, size, len(FATES))),
        confidence=np.zeros((rows, BINS)),
        right=np.zeros((rows, BINS)),
        sizes=np.zeros((rows, BINS)),
        labels=labels,
    )
    for row, (true, answered) in enumerate(pairs):
        known = {span.place for span in true}
        given = {span.place for span in answered}
        for span in true:
            found.fates[row, places[span.label], FATES.index(_fate(span, given, answered))] += 1
        for span in answered:
            found.predicted[row, places[span.label]] += 1
            sure = 1.0 if span.confidence is None else span.confidence
            place = min(int(sure * BINS), BINS - 1)
            found.confidence[row, place] += sure
            found.right[row, place] += span.place in known
            found.sizes[row, place] += 1
    return found


def _pairs(truth: pd.DataFrame, prediction: pd.DataFrame) -> list[tuple[list[Span], list[Span]]]:
    both = zip(truth.iloc[:, 0], prediction["prediction"], strict=True)
    return [(spans.read(true), spans.read(answered)) for true, answered in both]


def _fate(span: Span, given: set[tuple[int, int, str]], answered: list[Span]) -> str:
    if span.place in given:
        return "exact"
    over = [other for other in answered if other.start < span.end and span.start < other.end]
    if any(other.label == span.label for other in over):
        return "cut"
    return "confused" if over else "missed"


def loss(truth: pd.DataFrame, prediction: pd.DataFrame) -> Array:
    """How many spans of each text are missing or wrongly there, (rows,): less is better."""
    errors = []
    for true, answered in _pairs(truth, prediction):
        errors.append(len({span.place for span in true} ^ {span.place for span in answered}))
    return np.array(errors, dtype=float)


def confidence(prediction: pd.DataFrame) -> Array:
    """How sure the model is of its least certain tag in each text, 0 to 1: (rows,)."""
    return prediction["confidence"].to_numpy(dtype=float)


def summary(prediction: pd.DataFrame) -> pd.DataFrame:
    """What monitoring compares of the answers: how many spans, which labels, how sure."""
    found = [spans.read(value) for value in prediction["prediction"].fillna("[]")]
    return pd.DataFrame(
        {
            "spans": [len(one) for one in found],
            "labels": ["+".join(sorted({span.label for span in one})) or NOTHING for one in found],
            "confidence": confidence(prediction),
        }
    )


def _right(found: Outcome) -> Array:
    """Exactly found spans: (labels,)."""
    return np.asarray(found.fates[:, :, 0].sum(axis=0))


def _true(found: Outcome) -> Array:
    return np.asarray(found.fates.sum(axis=(0, 2)))


def _share(part: Array, whole: Array) -> Array:
    """part / whole, 1 where there is nothing."""
    return np.divide(part, whole, out=np.ones(np.shape(part)), where=np.asarray(whole) > 0)


def _f1(found: Outcome) -> Array:
    """By label."""
    return _share(2 * _right(found), found.predicted.sum(axis=0) + _true(found))


def _micro(right: float, whole: float) -> float:
    return float(right / whole) if whole else 1.0


def _calibration_error(found: Outcome) -> float:
    """Mean distance between confidence and share of right spans over bins of confidence (Guo et al. 2017)."""
    return float(abs(found.confidence.sum(axis=0) - found.right.sum(axis=0)).sum() / max(found.sizes.sum(), 1))


METRICS: dict[str, Callable[[Outcome], float]] = {
    "span_f1": lambda found: _micro(2 * _right(found).sum(), found.predicted.sum() + _true(found).sum()),
    "span_precision": lambda found: _micro(_right(found).sum(), found.predicted.sum()),
    "span_recall": lambda found: _micro(_right(found).sum(), _true(found).sum()),
    "macro_f1": lambda found: float(_f1(found).mean()) if found.labels else 1.0,
    "calibration_error": _calibration_error,
}


def breakdown(found: Outcome) -> pd.DataFrame:
    """label, spans, precision, recall, f1, and shares of what became of the others."""
    true, right = _true(found), _right(found)
    others = {
        name: np.divide(found.fates[:, :, place].sum(axis=0), np.maximum(true, 1))
        for place, name in enumerate(FATES)
        if place
    }
    return pd.DataFrame(
        {
            "label": found.labels,
            "spans": true.astype(int),
            "precision": _share(right, found.predicted.sum(axis=0)),
            "recall": _share(right, true),
            "f1": _f1(found),
            **others,
        }
    )
