"""A transformer that tags tokens: training labels for its pieces, and their answers put back to tokens."""

import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import transformer
from .spans import OUTSIDE
from .text import Span, sentences, tokens
from .tokenizer import Pieces
from .transformer import IGNORED, MOST_PIECES, Examples, Transformer

Array = np.ndarray[Any, Any]
Offsets = list[tuple[int, int]]
OTHERS = 0.15  # share of the words without a label that are invented too: an odd word need not be a name
DEFAULTS: dict[str, Any] = {
    "epochs": 7,
    "invented": 0.4,  # share of training texts in which names get other letters, so that what is around them counts
}


class Tagger:
    """Logits for each token of a text, however long it is."""

    def __init__(self, encoder: Transformer) -> None:
        self.encoder = encoder

    def logits(self, texts: Sequence[str]) -> list[Array]:
        """For each text (tokens, classes); a long text is read in windows."""
        parts = [(number, window) for number, text in enumerate(texts) for window in windows(self.encoder.pieces, text)]
        parts.sort(key=lambda part: part[1].end - part[1].start)  # like lengths together leave little padding
        found: list[list[tuple[int, Array]]] = [[] for _ in texts]
        answers, _, encoded = self.encoder.run([window.text for _, window in parts])
        rows = [
            (answer, offsets)
            for batch, e in zip(answers, encoded, strict=True)
            for answer, offsets in zip(batch, e.offsets, strict=True)
        ]
        for (number, window), (answer, offsets) in zip(parts, rows, strict=True):
            found[number].append((window.start, answer[first_pieces(tokens(window.text), offsets)]))
        empty = np.zeros((0, answers[0].shape[-1] if answers else 0))
        return [np.concatenate([empty, *(rows for _, rows in sorted(one, key=lambda part: part[0]))]) for one in found]

    def embed(self, texts: list[str]) -> Array:
        """(texts, width), each of length 1; of a long text its beginning."""
        return self.encoder.embed(texts)

    def save(self, folder: Path) -> None:
        """Write network.onnx, tokenizer.json and transformer.json."""
        self.encoder.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "Tagger":
        """Read what `save` wrote; needs no PyTorch."""
        return cls(Transformer.load(folder))


def windows(pieces: Pieces, text: str) -> list[Span]:
    """Parts of a text that the network can read as a whole: cut between sentences, or between words in long ones."""
    offsets: Offsets = pieces.tokenizer.encode(text).offsets
    if len(offsets) <= MOST_PIECES:
        return [Span(0, len(text), text)]
    starts = np.array([start for start, _ in offsets])
    words, better = [token.start for token in tokens(text)], [sentence.start for sentence in sentences(text)]
    found, start = [], 0
    while start < len(text):
        first = int(np.searchsorted(starts, start))
        if first + MOST_PIECES >= len(offsets):
            end = len(text)
        else:
            limit = offsets[first + MOST_PIECES][0]
            ends = [[place for place in places if start < place <= limit] for places in (better, words)]
            end = max(ends[0] or ends[1] or [max(limit, start + 1)])
        found.append(Span(start, end, text[start:end]))
        start = end
    return found


def first_pieces(words: Sequence[Span], offsets: Offsets) -> Array:
    """For each token the number of the piece that it begins in; a token behind the last piece gets that one."""
    starts = [start for start, _ in offsets]
    return np.maximum(np.searchsorted(starts, [word.start for word in words], side="right") - 1, 0).astype(int)


def examples(pieces: Pieces, texts: Sequence[str], tags: Sequence[Sequence[str]], classes: Sequence[str]) -> Examples:
    """Windows with a class number for the first piece of each token; `tags` has one for each token of each text."""
    numbers = {name: number for number, name in enumerate(classes)}
    parts, labels = [], []
    for text, row in zip(texts, tags, strict=True):
        given = iter(row)
        for window in windows(pieces, text):
            offsets: Offsets = pieces.tokenizer.encode(window.text).offsets[:MOST_PIECES]
            words = tokens(window.text)
            wanted = np.full(len(offsets), IGNORED, dtype=np.int64)
            known = [numbers.get(tag, IGNORED) for _, tag in zip(words, given, strict=False)]
            if len(offsets):
                wanted[first_pieces(words, offsets)] = known
            parts.append(window.text)
            labels.append(wanted)
    return Examples(parts, labels)


def invent(texts: Sequence[str], tags: Sequence[Sequence[str]], share: float, seed: int) -> list[str]:
    """The texts; in a `share` of them each labelled token, and some of the others, has other letters and digits.

    Only where most tokens have no label: there the labelled ones are names, which are many more than the training has.
    """
    flat = [tag for row in tags for tag in row]
    if flat.count(OUTSIDE) * 2 < len(flat):
        return list(texts)
    generator = random.Random(seed)
    return [
        _invented(generator, text, row) if generator.random() < share else text
        for text, row in zip(texts, tags, strict=True)
    ]


def _invented(generator: random.Random, text: str, tags: Sequence[str]) -> str:
    letters = list(text)
    for token, tag in zip(tokens(text), tags, strict=True):
        if (tag != OUTSIDE or generator.random() < OTHERS) and token.text[0] != "<":
            for place in range(token.start, token.end):
                letters[place] = _other(generator, letters[place])
    return "".join(letters)


def _other(generator: random.Random, letter: str) -> str:
    if letter.isdigit():
        return generator.choice(string.digits)
    if not letter.isalpha():
        return letter
    found = generator.choice("aaeeeiioouubcdfghklmnprrsttvwz")
    return found.upper() if letter.isupper() else found


def fit(
    texts: Sequence[str],
    tags: Sequence[Sequence[str]],
    held_out: tuple[Sequence[str], Sequence[Sequence[str]]],
    classes: Sequence[str],
    base_model: str,
    parameters: dict[str, Any],
    seed: int,
) -> Tagger:
    """Learn the tags of tokens; `held_out` only tells when to stop."""
    chosen = {**DEFAULTS, **parameters}
    pieces = transformer.prepare_pieces(base_model, texts, lower=False)
    known = examples(pieces, invent(texts, tags, chosen.pop("invented"), seed), tags, classes)
    check = examples(pieces, *held_out, classes)
    encoder = transformer.fit(known, check, len(classes), pieces, base_model, chosen, seed, per_piece=True)
    return Tagger(encoder)
