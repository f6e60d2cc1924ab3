"""The model: which family reads the texts, what it answers, and how it is stored."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from mlops_runtime.errors import Problem

from .features import Features
from .linear import Linear
from .tables import TEXT, Table

Array = np.ndarray[Any, Any]
FEWEST = 5  # training texts that a class needs


class Reader(Protocol):
    """What a family must be able to do."""

    def scores(self, texts: list[str]) -> Array:
        """Logits: (texts, classes)."""

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
    "naive_bayes": Family(),
    "linear": Family({"C": [1.0, 3.0, 30.0, 100.0]}),
    "transformer": Family({"width": [64, 128], "layers": [1, 2, 3], "learning_rate": [1e-3, 3e-3]}, refit=False),
}


@dataclass(frozen=True)
class Model:
    """Answers with the columns `prediction` and one `probability_<class>` for each class."""

    reader: Reader
    features: Features  # of the training texts, whatever the family: monitoring compares new texts with them
    family: str
    parameters: dict[str, Any]  # hyper-parameters that differ from the family's defaults
    targets: list[str]
    classes: list[str]
    base_model: str = "scratch"
    temperature: float = 1.0  # logits are divided by it, so that probabilities come true
    inputs: tuple[str, ...] = (TEXT,)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """(rows, at least the text) → (rows, prediction and probabilities)."""
        return pd.DataFrame(self.predict_columns({TEXT: frame[TEXT].to_numpy(dtype=object)}))

    def predict_columns(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """The same from and to arrays (rows,) by column name; a missing text counts as an empty one."""
        texts = [text if isinstance(text, str) else "" for text in columns[TEXT]]
        probabilities = np.exp(log_softmax(self.reader.scores(texts) / self.temperature, axis=1)).astype(float)
        answers = {"prediction": np.array(self.classes, dtype=object)[probabilities.argmax(axis=1)]}
        return answers | {f"probability_{name}": probabilities[:, i] for i, name in enumerate(self.classes)}

    def embed(self, texts: list[str]) -> Array:
        """Where the texts lie in the space that the model learnt: (texts, dimensions)."""
        return self.reader.embed(texts)

    def calibrated(self, held_out: Table) -> "Model":
        """The same model with the temperature that fits texts it has not seen (Guo et al. 2017)."""
        logits = self.reader.scores(held_out.frame[TEXT].tolist())
        places = {name: place for place, name in enumerate(self.classes)}
        labels = held_out.targets.iloc[:, 0].map(places)
        known = labels.notna().to_numpy()
        rows, truth = logits[known], labels[known].to_numpy(dtype=int)

        def loss(log_temperature: float) -> float:
            return -float(log_softmax(rows / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean())

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


def fit(
    train: Table, held_out: Table, family: str, parameters: dict[str, Any], seed: int, base_model: str = "scratch"
) -> Model:
    """Fit one family with these hyper-parameters; `held_out` only tells a neural network when to stop."""
    if family not in FAMILIES:
        raise Problem(f"family {family!r} does not exist: choose one of {', '.join(FAMILIES)}.")
    texts, labels = train.frame[TEXT].tolist(), train.targets.iloc[:, 0].astype(str)
    counts = labels.value_counts()
    if len(counts) < 2 or counts.min() < FEWEST:
        rarest = f"{counts.index[-1]!r} has {counts.min()}"
        raise Problem(
            f"target {labels.name!r}: {len(counts)} classes, {rarest} training texts; "
            f"there must be two classes or more with {FEWEST} texts each: label more, or merge classes."
        )
    classes = sorted(counts.index)
    places = {name: place for place, name in enumerate(classes)}
    numbers = labels.map(places).to_numpy(dtype=int)
    features = Features.fit(texts, seed)
    reader: Reader
    if family == "linear":
        reader = Linear.fit(features, texts, numbers, len(classes), parameters)
    elif family == "naive_bayes":
        reader = Linear.count(features, texts, numbers)
    else:
        transformer = _transformer()
        inner = held_out.frame[held_out.targets.iloc[:, 0].isin(classes)]
        known = transformer.Examples(inner[TEXT].tolist(), inner[held_out.targets.columns[0]].map(places).tolist())
        pieces = transformer.prepare_pieces(base_model, texts)
        examples = transformer.Examples(texts, numbers.tolist())
        reader = transformer.fit(examples, known, len(classes), pieces, base_model, parameters, seed)
    return Model(reader, features, family, parameters, [str(labels.name)], classes, base_model)


def load(folder: Path) -> Model:
    """Read a model that `Model.save` wrote."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    features = Features.load(folder)
    linear = facts["family"] != "transformer"
    reader = Linear.load(folder, features) if linear else _transformer().Transformer.load(folder)
    return Model(reader, features, **facts)


def _transformer() -> Any:
    """The module that needs the extra `transformer`."""
    try:
        return importlib.import_module(".transformer", __package__)
    except ModuleNotFoundError as error:
        raise Problem(f"The family transformer needs {error.name}: run `uv sync --extra transformer` first.") from None


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls to load the model."""
    return load(Path(path))
