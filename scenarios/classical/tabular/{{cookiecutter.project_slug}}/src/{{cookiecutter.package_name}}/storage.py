"""Fitted pipelines as files, without pickle: loading a model file must never run code that is hidden in it."""

import json
from pathlib import Path
from typing import Any

import skops.io

from mlops_runtime.errors import Problem

from . import features

# What every model file may hold besides scikit-learn's and NumPy's own types; its estimators are named in model.py.
TRUSTED = [
    f"{features.__name__}.Features",
    f"{features.__name__}.Products",
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
]


def save(folder: Path, pipeline: Any, facts: dict[str, Any]) -> None:
    """Write a fitted scikit-learn pipeline as pipeline.skops and what else the model knows as model.json."""
    folder.mkdir(parents=True, exist_ok=True)
    skops.io.dump(pipeline, folder / "pipeline.skops")
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def load(folder: Path, estimators: list[str]) -> tuple[Any, dict[str, Any]]:
    """Read what `save` wrote; a Problem if the file holds a type that is neither in TRUSTED nor in `estimators`."""
    file = folder / "pipeline.skops"
    trusted = [*TRUSTED, *estimators]
    unknown = sorted(set(skops.io.get_untrusted_types(file=file)) - set(trusted))
    if unknown:
        raise Problem(f"{file} holds the type {unknown[0]}: add it to ESTIMATORS in model.py if you trust it.")
    facts: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return skops.io.load(file, trusted=trusted), facts
