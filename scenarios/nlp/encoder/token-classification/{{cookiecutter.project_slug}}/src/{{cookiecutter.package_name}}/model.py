"""The model: which family tags the tokens, what it answers, and how it is stored."""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from mlops_runtime.errors import Problem

from . import places, spans
from .baselines import KINDS, Rules
from .features import Features
from .spans import BEGIN, INSIDE, Span
from .tables import TEXT, Table
from .text import tokens

Array = np.ndarray[Any, Any]
FEWEST = 5  # training spans that a label needs


class Reader(Protocol):
    """What a family must be able to do."""

    def logits(self, texts: Sequence[str]) -> list[Array]:
        """For each text (tokens, classes)."""

    def embed(self, texts: list[str]) -> Array:
        """Embeddings of length 1: (texts, dimensions)."""

    def save(self, folder: Path) -> None:
        """Write files without pickle."""


@dataclass(frozen=True)
class Family:
    """How a kind of model is learnt."""

    space: dict[str, Any] = field(default_factory=dict)  # hyper-parameter → values to try
    refit: bool = True  # on all rows after the search; otherwise the held-out rows are needed to know when to stop


FAMILIES = {
    **{kind: Family() for kind in KINDS},
    "transformer": Family({"width": [64, 128], "layers": [1, 2, 3], "learning_rate": [1e-3, 2e-3]}, refit=False),
}


@dataclass(frozen=True)
class Model:
    """Answers with the columns `prediction`, spans as JSON text, and `confidence`, that in the least certain tag."""

    reader: Reader
    features: Features  # of the training texts, whatever the family: monitoring compares new texts with them
    family: str
    parameters: dict[str, Any]  # hyper-parameters that differ from the family's defaults
    targets: list[str]
    classes: list[str]  # BIO tags
    base_model: str = "scratch"
    temperature: float = 1.0  # logits are divided by it, so that probabilities come true
    inputs: tuple[str, ...] = (TEXT,)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """(rows, at least the text) → (rows, prediction and confidence)."""
        return pd.DataFrame(self.predict_columns({TEXT: frame[TEXT].to_numpy(dtype=object)}))

    def predict_columns(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """The same from and to arrays (rows,) by column name; a missing text counts as an empty one.

        Offsets are those of the text as it was given; the network reads it normalized and masked.
        """
        found = [places.follow(text if isinstance(text, str) else "") for text in columns[TEXT]]
        answers, sure = [], []
        for one, logits in zip(found, self.reader.logits([one.text for one in found]), strict=True):
            probabilities = np.exp(log_softmax(logits / self.temperature, axis=1)) if len(logits) else logits
            tags = best_path(probabilities, self.classes)
            chosen = probabilities[np.arange(len(tags)), tags]
            answers.append(spans.dump(self._spans(one, tags, chosen)))
            sure.append(float(chosen.min()) if len(chosen) else 1.0)
        return {"prediction": np.array(answers, dtype=object), "confidence": np.array(sure, dtype=float)}

    def _spans(self, text: places.Cleaned, tags: Array, sure: Array) -> list[Span]:
        """The spans of a clean text's tags, in the raw text, each as sure as its least certain token."""
        words = tokens(text.text)
        found = []
        for span in spans.from_tags(words, [self.classes[tag] for tag in tags]):
            own = [float(p) for word, p in zip(words, sure, strict=True) if span.start <= word.start < span.end]
            start, end = text.raw(span.start, span.end)
            found.append(Span(start, end, span.label, round(min(own), 4)))
        return found

    def embed(self, texts: list[str]) -> Array:
        """Where the texts lie in the space that the model learnt: (texts, dimensions)."""
        return self.reader.embed(texts)

    def calibrated(self, held_out: Table) -> "Model":
        """The same model with the temperature that fits tokens it has not seen (Guo et al. 2017)."""
        texts, tags = tagged(held_out)
        numbers = {name: number for number, name in enumerate(self.classes)}
        truth = np.array([numbers.get(tag, -1) for row in tags for tag in row])
        logits = np.concatenate(self.reader.logits(texts))[truth >= 0]
        truth = truth[truth >= 0]

        def loss(log_temperature: float) -> float:
            return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean())

        found = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
        return replace(self, temperature=float(f"{np.exp(found.x):.4g}"))

    def with_calibration_of(self, other: "Model") -> "Model":
        """The same model with the temperature of one that was fitted to fewer texts."""
        return replace(self, temperature=other.temperature)

    def save(self, folder: Path) -> None:
        """Write the model as files that `load` reads."""
        self.reader.save(folder)
        self.features.save(folder)
        facts = {name: value for name, value in vars(self).items() if name not in ("reader", "features", "inputs")}
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        (folder / "model.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def best_path(probabilities: Array, classes: Sequence[str]) -> Array:
    """The most probable tags (tokens,) in which every I- continues a span of its label (Viterbi 1967).

    `probabilities` is (tokens, classes).
    """
    cost, cost_of_first = _costs(tuple(classes))
    if not cost.any() or not len(probabilities):
        return np.asarray(probabilities.argmax(axis=1))
    scores = np.log(probabilities.clip(1e-9))
    best = scores[0] + cost_of_first
    came = []
    for row in scores[1:]:
        through = best[:, None] + cost
        came.append(through.argmax(axis=0))
        best = through.max(axis=0) + row
    path = [int(best.argmax())]
    for back in reversed(came):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])


@cache
def _costs(classes: tuple[str, ...]) -> tuple[Array, Array]:
    """0 for what is allowed, -1000 for the rest: one class after another (classes, classes), and at the beginning."""
    inside = [name.startswith(INSIDE) for name in classes]
    fits = [
        [not goes_on or one[2:] == other[2:] for other, goes_on in zip(classes, inside, strict=True)] for one in classes
    ]
    return np.where(fits, 0.0, -1e3), np.where(inside, -1e3, 0.0)


def tagged(table: Table) -> tuple[list[str], list[list[str]]]:
    """The texts and one BIO tag for each of their tokens."""
    texts = table.frame[TEXT].tolist()
    found = (spans.read(value) for value in table.targets.iloc[:, 0])
    return texts, [spans.to_tags(tokens(text), one) for text, one in zip(texts, found, strict=True)]


def fit(
    train: Table, held_out: Table, family: str, parameters: dict[str, Any], seed: int, base_model: str = "scratch"
) -> Model:
    """Fit one family with these hyper-parameters; `held_out` only tells a neural network when to stop."""
    if family not in FAMILIES:
        raise Problem(f"family {family!r} does not exist: choose one of {', '.join(FAMILIES)}.")
    target = str(train.targets.columns[0])
    texts, tags = tagged(train)
    counts = pd.Series([tag[2:] for row in tags for tag in row if tag.startswith(BEGIN)], dtype=object).value_counts()
    if counts.empty or counts.min() < FEWEST:
        rarest = f"{counts.index[-1]!r} is on {counts.min()}" if len(counts) else "nothing is on any"
        raise Problem(
            f"target {target!r}: {rarest} of the training spans; a label needs {FEWEST}: label more, or merge labels."
        )
    classes = sorted({tag for row in tags for tag in row})
    features = Features.fit(texts, seed)
    reader: Reader
    if family in KINDS:
        reader = Rules.fit(features, classes, family, texts, tags)
    else:
        reader = _tagger().fit(texts, tags, tagged(held_out), classes, base_model, parameters, seed)
    return Model(reader, features, family, parameters, [target], classes, base_model)


def load(folder: Path) -> Model:
    """Read a model that `Model.save` wrote."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    features = Features.load(folder)
    rules = facts["family"] in KINDS
    reader = Rules.load(folder, features, facts["classes"]) if rules else _tagger().Tagger.load(folder)
    return Model(reader, features, **facts)


def _tagger() -> Any:
    """The module of the neural family, which is slow to import."""
    return importlib.import_module(".tagger", __package__)


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls to load the model."""
    return load(Path(path))
