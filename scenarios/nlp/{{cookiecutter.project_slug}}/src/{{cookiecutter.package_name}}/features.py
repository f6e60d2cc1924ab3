"""Texts as numbers: terms, TF-IDF, and short dense embeddings (latent semantic analysis).

The words and letters that matter are learnt from the training texts alone. Everything is kept as JSON and NumPy arrays.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from threadpoolctl import threadpool_limits

from .text import clean, sentences, words

Array = np.ndarray[Any, Any]
LETTERS = range(3, 5)  # lengths of the pieces of words; they survive typing errors and unknown endings
TERMS = 20_000  # the most frequent are kept
MIN_TEXTS = 2  # that a term must appear in
DIMENSIONS = 48  # of an embedding


def terms(text: str) -> list[str]:
    """What is counted in a text: its words, pairs of neighbours in a sentence, and pieces of words (marked by #)."""
    by_sentence = [words(sentence.text) for sentence in sentences(clean(text))]
    found = [word for sentence in by_sentence for word in sentence]
    pairs = [f"{first} {second}" for sentence in by_sentence for first, second in pairwise(sentence)]
    pieces = [
        f"#{padded[start : start + length]}"
        for padded in (f"_{word}_" for word in found)
        for length in LETTERS
        for start in range(len(padded) - length + 1)
    ]
    return [*found, *pairs, *pieces]


def presence(texts: Sequence[str]) -> sparse.csr_matrix:
    """Which words each text has, among all words of these texts: (texts, words) of 0 and 1."""
    return CountVectorizer(analyzer=lambda text: words(clean(text)), binary=True, min_df=MIN_TEXTS).fit_transform(texts)


class Features:
    """TF-IDF of terms, and their projection to embeddings."""

    def __init__(self, vocabulary: list[str], idf: Array, projection: Array, known_words: set[str]) -> None:
        """`idf` is (terms,), `projection` (terms, dimensions); `known_words` are all words of the training texts."""
        self.vocabulary = vocabulary
        self.projection = projection
        self.known_words = known_words
        places = {term: place for place, term in enumerate(vocabulary)}
        self._vectorizer = TfidfVectorizer(analyzer=terms, vocabulary=places, sublinear_tf=True)
        self._vectorizer.idf_ = idf

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int) -> "Features":
        """Learn the vocabulary, how rare each term is, and the directions in which texts differ most."""
        vectorizer = TfidfVectorizer(analyzer=terms, min_df=MIN_TEXTS, max_features=TERMS, sublinear_tf=True)
        matrix = vectorizer.fit_transform(texts)
        dimensions = min(DIMENSIONS, matrix.shape[1] - 1)
        with threadpool_limits(1):  # more threads give other last digits on another machine
            projection = TruncatedSVD(dimensions, random_state=seed).fit(matrix).components_.T.astype(np.float32)
        known = {word for text in texts for word in words(clean(text))}
        return cls(list(vectorizer.get_feature_names_out()), vectorizer.idf_, projection, known)

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF, each row of length 1: (texts, terms)."""
        return self._vectorizer.transform(texts)

    def embed(self, texts: Sequence[str]) -> Array:
        """Dense embeddings, each of length 1 (0 for a text without any known term): (texts, dimensions)."""
        dense = np.asarray(self.transform(texts) @ self.projection)
        lengths = np.linalg.norm(dense, axis=1, keepdims=True)
        return np.asarray(dense / np.maximum(lengths, 1e-9))

    def unknown(self, text: str) -> list[str]:
        """The words of a text that no training text had."""
        return [word for word in words(clean(text)) if word not in self.known_words]

    def save(self, folder: Path) -> None:
        """Write features.json and features.npz."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"vocabulary": self.vocabulary, "known_words": sorted(self.known_words)}
        (folder / "features.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8", newline="\n")
        np.savez(folder / "features.npz", idf=self._vectorizer.idf_, projection=self.projection)

    @classmethod
    def load(cls, folder: Path) -> "Features":
        """Read what `save` wrote."""
        facts = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        with np.load(folder / "features.npz", allow_pickle=False) as arrays:
            return cls(facts["vocabulary"], arrays["idf"], arrays["projection"], set(facts["known_words"]))
