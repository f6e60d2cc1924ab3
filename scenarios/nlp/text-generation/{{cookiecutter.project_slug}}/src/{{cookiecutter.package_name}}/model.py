"""The model: which family reads the texts, what it answers, and how it is stored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from mlops_runtime.errors import Problem

from . import generator, nearest
from .features import Features
from .generator import Answer, Examples
from .metrics import rouge_l
from .search import Options
from .tables import TEXT, Table
from .text import clean
from .vocabulary import split

Array = np.ndarray[Any, Any]
FEWEST = 50  # training texts
OPTIONS = {option.name: option.default for option in fields(Options)}
DEFAULTS = {"nearest": nearest.DEFAULTS, "transformer": generator.DEFAULTS}


class Reader(Protocol):
    """What a family must be able to do."""

    def answer(self, sources: Sequence[Sequence[str]]) -> list[Answer]:
        """One answer for each source, which is one text or several."""

    def embed(self, texts: Sequence[str]) -> Array:
        """Embeddings of length 1: (texts, dimensions)."""

    def save(self, folder: Path) -> None:
        """Write files without pickle."""


@dataclass(frozen=True)
class Family:
    """How a kind of model is learnt."""

    space: dict[str, Any] = field(default_factory=dict)  # hyper-parameter → values to try
    refit: bool = True  # on all rows after the search; otherwise the held-out rows are needed to know when to stop


FAMILIES = {
    "nearest": Family({"by": ["terms", "embeddings"], "fill": [True, False]}),
    "transformer": Family({"width": [64, 128], "layers": [2, 3], "learning_rate": [2e-3, 4e-3]}, refit=False),
}


@dataclass(frozen=True)
class Model:
    """Answers with the columns `prediction` (a text), `confidence` (the ROUGE-L to expect), `words` (its length) and
    `novelty` (the share of its words that the source lacks)."""

    reader: Reader
    features: Features  # of the training texts, whatever the family: monitoring compares new texts with them
    family: str
    parameters: dict[str, Any]  # hyper-parameters and options that differ from the family's defaults
    targets: list[str]
    inputs: Sequence[str] = (TEXT,)
    base_model: str = "scratch"
    sharpness: float = 1.0  # mean log-probabilities are multiplied by it, so that confidence comes true

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """(rows, at least the inputs) → (rows, prediction, confidence, words, novelty)."""
        return pd.DataFrame(self.predict_columns({name: frame[name].to_numpy(dtype=object) for name in self.inputs}))

    def predict_columns(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """The same from and to arrays (rows,) by column name; a missing text counts as an empty one."""
        sources = read(self.inputs, columns)
        answers = self.reader.answer(sources)
        known = [{word.strip() for part in parts for word in split(part)} for parts in sources]
        written = [[word.strip() for word in split(answer.text)] for answer in answers]
        new = [
            sum(word not in have for word in words) / max(1, len(words))
            for words, have in zip(written, known, strict=True)
        ]
        return {
            "prediction": np.array([answer.text for answer in answers], dtype=object),
            "confidence": np.exp(self.sharpness * np.array([answer.mean for answer in answers], dtype=float)),
            "words": np.array([len(words) for words in written], dtype=float),
            "novelty": np.array(new, dtype=float),
        }

    def embed(self, texts: list[str]) -> Array:
        """Where the texts lie in the space that the model learnt: (texts, dimensions)."""
        return self.reader.embed(texts)

    def calibrated(self, held_out: Table) -> "Model":
        """The same model with a confidence that says which ROUGE-L to expect, by texts it has not seen."""
        answers = self.reader.answer(read(self.inputs, held_out.frame))
        truth = held_out.targets.iloc[:, 0].astype(str)
        quality = np.array([rouge_l(answer.text, one) for answer, one in zip(answers, truth, strict=True)])
        means = np.array([answer.mean for answer in answers])

        def error(log_sharpness: float) -> float:
            return float(((np.exp(np.exp(log_sharpness) * means) - quality) ** 2).mean())

        found = minimize_scalar(error, bounds=(-4, 4), method="bounded")
        return replace(self, sharpness=float(f"{np.exp(found.x):.4g}"))

    def with_calibration_of(self, other: "Model") -> "Model":
        """The same model with the confidence of one that was fitted to fewer texts."""
        return replace(self, sharpness=other.sharpness)

    def save(self, folder: Path) -> None:
        """Write the model as files that `load` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        self.reader.save(folder)
        self.features.save(folder)
        facts = {name: value for name, value in vars(self).items() if name not in ("reader", "features")}
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        (folder / "model.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def fit(
    train: Table, held_out: Table, family: str, parameters: dict[str, Any], seed: int, base_model: str = "scratch"
) -> Model:
    """Fit one family with these hyper-parameters; `held_out` only tells a neural network when to stop."""
    if family not in FAMILIES:
        raise Problem(f"family {family!r} does not exist: choose one of {', '.join(FAMILIES)}.")
    unknown = sorted(set(parameters) - set(OPTIONS) - set(DEFAULTS[family]))
    if unknown:
        offered = ", ".join([*OPTIONS, *DEFAULTS[family]])
        raise Problem(f"{unknown[0]!r} is no option of {family}: choose from {offered}.")
    options = Options(**{name: value for name, value in parameters.items() if name in OPTIONS})
    chosen = {name: value for name, value in parameters.items() if name not in OPTIONS}
    if len(train.frame) < FEWEST:
        raise Problem(f"{len(train.frame)} training texts have a target; there must be {FEWEST}: write more.")
    names = train.contract.names("feature")
    sources, held_sources = read(names, train.inputs), read(names, held_out.inputs)
    answers, held_answers = (table.targets.iloc[:, 0].astype(str).tolist() for table in (train, held_out))
    features = Features.fit([" ".join(parts) for parts in sources], seed)
    reader: Reader
    if family == "nearest":
        reader = nearest.Nearest.fit(features, sources, answers, {**nearest.DEFAULTS, **chosen})
    else:
        examples, known = Examples(sources, answers), Examples(held_sources, held_answers)
        reader = generator.fit(examples, known, base_model, chosen, options, seed)
    return Model(reader, features, family, parameters, [str(train.targets.columns[0])], names, base_model)


def read(names: Sequence[str], columns: Mapping[str, Any] | pd.DataFrame) -> list[list[str]]:
    """What is read of each row, clean: a question or whatever else there is, then the text."""
    ordered = [*(name for name in names if name != TEXT), TEXT]
    rows = zip(*(columns[name] for name in ordered), strict=True)
    return [[clean(value) if isinstance(value, str) else "" for value in row] for row in rows]


def load(folder: Path) -> Model:
    """Read a model that `Model.save` wrote."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    features = Features.load(folder)
    if facts["family"] == "nearest":
        return Model(nearest.Nearest.load(folder, features), features, **facts)
    return Model(generator.Generator.load(folder), features, **facts)


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls to load the model."""
    return load(Path(path))
