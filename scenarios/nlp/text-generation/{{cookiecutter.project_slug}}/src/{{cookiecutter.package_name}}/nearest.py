"""Generation from examples: the answer to the most similar training text, changed as the text differs from that one."""

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from .features import Features
from .generator import Answer
from .vocabulary import join, split

Array = np.ndarray[Any, Any]
DEFAULTS: dict[str, Any] = {
    "by": "terms",  # what makes texts similar: terms or embeddings
    "fill": True,  # whether the answer is changed as the text differs
}


class Nearest:
    """A memory of training texts and their answers."""

    def __init__(
        self, features: Features, texts: list[str], answers: list[str], points: Any, by: str, fill: bool
    ) -> None:
        """`points` are the texts as TF-IDF or as embeddings, (texts, dimensions), each of length 1."""
        self.features, self.points = features, points
        self.texts, self.answers = texts, answers
        self.by, self.fill = by, fill

    @classmethod
    def fit(
        cls, features: Features, sources: list[list[str]], answers: list[str], parameters: dict[str, Any]
    ) -> "Nearest":
        """Remember."""
        texts = [" ".join(parts) for parts in sources]
        by, fill = parameters["by"], parameters["fill"]
        points = features.transform(texts) if by == "terms" else sparse.csr_matrix(features.embed(texts))
        return cls(features, texts, answers, points, by, fill)

    def answer(self, sources: Sequence[Sequence[str]]) -> list[Answer]:
        """One answer for each source; the similarity stands for the probability."""
        texts = [" ".join(parts) for parts in sources]
        if not texts:
            return []
        points = self.features.transform(texts) if self.by == "terms" else self.features.embed(texts)
        likeness = self.points @ points.T
        likeness = np.asarray(likeness.todense() if sparse.issparse(likeness) else likeness)
        best = likeness.argmax(axis=0)
        found = []
        for place, text in enumerate(texts):
            answer = self.answers[best[place]]
            filled = changed(answer, self.texts[best[place]], text) if self.fill else answer
            found.append(Answer(filled, float(np.log(np.clip(likeness[best[place], place], 1e-6, 1)))))
        return found

    def embed(self, texts: Sequence[str]) -> Array:
        """Where the texts lie by their terms: (texts, dimensions), each of length 1."""
        return self.features.embed(texts)

    def save(self, folder: Path) -> None:
        """Write nearest.json and nearest.npz."""
        facts = {"texts": self.texts, "answers": self.answers, "by": self.by, "fill": self.fill}
        text = json.dumps(facts, ensure_ascii=False)
        (folder / "nearest.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        sparse.save_npz(folder / "nearest.npz", self.points)

    @classmethod
    def load(cls, folder: Path, features: Features) -> "Nearest":
        """Read what `save` wrote."""
        facts = json.loads((folder / "nearest.json").read_text(encoding="utf-8"))
        return cls(features, points=sparse.load_npz(folder / "nearest.npz"), **facts)


def changed(answer: str, old: str, new: str) -> str:
    """The answer to `old` with those of its words exchanged that stand for something else in `new`.

    Where the two texts differ by an exchange of words, the answer gets the same exchange.
    """
    before, after, words = split(old), split(new), split(answer)
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "replace":
            words = _exchanged(words, before[i:j], after[k:m])
    return join(words)


def _exchanged(words: list[str], old: list[str], new: list[str]) -> list[str]:
    for start in range(len(words) - len(old) + 1):
        if words[start : start + len(old)] == old:
            return [*words[:start], *new, *words[start + len(old) :]]
    return words
