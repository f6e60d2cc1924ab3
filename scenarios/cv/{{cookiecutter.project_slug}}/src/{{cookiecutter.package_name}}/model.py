"""The model: an ONNX graph with what it takes to use it; what it predicts, how it is saved. Needs no PyTorch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd

from . import answers, data, embeddings, images

Array = np.ndarray[Any, Any]
ROWS = 256  # images at a time


@dataclass(frozen=True)
class Facts:
    """What the graph does not say."""

    classes: list[str]
    size: int  # pixels, both ways
    space: dict[str, Any]  # what `embeddings.learn` found out about the training images
    settings: dict[str, Any]  # how it was trained


@dataclass(frozen=True)
class Model:
    """A network that was trained elsewhere. What it gives for each image:

    - `prediction`, `confidence` and more: see `answers.py`
    - for monitoring, the image's statistics and where its embedding lies
    """

    session: onnxruntime.InferenceSession
    graph: bytes
    facts: Facts

    @property
    def inputs(self) -> list[str]:
        """The columns that it needs."""
        return [data.IMAGE]

    @property
    def targets(self) -> list[str]:
        """The column that it predicts."""
        return [answers.TARGET]

    @property
    def answers(self) -> list[str]:
        """The output columns for whoever asks; the others are for monitoring."""
        return answers.columns(self.facts.classes)

    @property
    def watched(self) -> list[str]:
        """Those whose drift says that the model answers otherwise than before."""
        return answers.watched(self.facts.classes)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """(images, at least the column image) → (images, predictions and what monitoring needs).

        The row of an image that cannot be read is empty.
        """
        pixels: list[Array | None] = []
        for value in frame[data.IMAGE]:
            try:
                pixels.append(images.to_array(images.unpack(value), self.facts.size))
            except images.BadImage:
                pixels.append(None)
        readable = np.array([one is not None for one in pixels], dtype=bool)
        shape = (int(readable.sum()), self.facts.size, self.facts.size, 3)
        found = self.predict_pixels(np.array([one for one in pixels if one is not None], np.uint8).reshape(shape))
        rows = pd.DataFrame(found, index=np.flatnonzero(readable)).reindex(range(len(pixels)))
        return rows.astype({"prediction": object})

    def predict_columns(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """The same from and to arrays (images,) by column name, without pandas."""
        pixels = [images.to_array(images.unpack(value), self.facts.size) for value in columns[data.IMAGE]]
        return self.predict_pixels(np.stack(pixels))

    def predict_pixels(self, pixels: Array) -> dict[str, Array]:
        """(images, size, size, 3) uint8 → one array (images,) per output column."""
        if not len(pixels):  # which ONNX Runtime does not take
            one = np.zeros((1, *pixels.shape[1:]), dtype=np.uint8)
            return {name: values[:0] for name, values in self.predict_pixels(one).items()}
        starts = range(0, len(pixels), ROWS)
        found = [self.session.run(None, {"images": pixels[start : start + ROWS]}) for start in starts]
        return {
            **answers.read(np.concatenate([one[0] for one in found]), self.facts.classes),
            **images.statistics(pixels),
            **embeddings.describe(np.concatenate([one[1] for one in found]), self.facts.space),
        }

    def save(self, folder: Path) -> None:
        """Write the model as files that `load` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "network.onnx").write_bytes(self.graph)
        text = json.dumps(asdict(self.facts), indent=2, ensure_ascii=False)
        (folder / "model.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def build(graph: bytes, facts: Facts) -> Model:
    """A model from its ONNX graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # small images: more threads cost more than they bring
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return Model(session, graph, facts)


def load(folder: Path) -> Model:
    """Read a model that `Model.save` wrote."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return build((folder / "network.onnx").read_bytes(), Facts(**facts))


def _load_pyfunc(path: str) -> Model:
    """What MLflow calls to load the model."""
    return load(Path(path))
