"""What anything learnt should beat: for each kind of target the plain way to do without a network."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .features import Features
from .spans import BEGIN, INSIDE, OUTSIDE
from .text import Span, tokens, words

Array = np.ndarray[Any, Any]
SURE, UNSURE = 6.0, 3.0  # logits of the tag that a rule gives, the latter for words that no training text had
ENDS = {".", "!", "?"}


class Rules:
    """Tags by a table that was counted from the training texts."""

    def __init__(self, features: Features, classes: list[str], kind: str, table: dict[str, str]) -> None:
        """`kind` is one of `KINDS`; `table` what it looks up."""
        self.features = features
        self.classes = classes
        self.kind = kind
        self.table = table
        self._places = {name: place for place, name in enumerate(classes)}
        self._longest = max((len(name.split(" ")) for name in table), default=1)

    @classmethod
    def fit(
        cls, features: Features, classes: list[str], kind: str, texts: Sequence[str], tags: Sequence[Sequence[str]]
    ) -> "Rules":
        """Count what is needed; `tags` has one BIO tag for each token of each text."""
        return cls(features, classes, kind, KINDS[kind][0](texts, tags))

    def logits(self, texts: Sequence[str]) -> list[Array]:
        """For each text (tokens, classes)."""
        found = []
        for text in texts:
            found_words = tokens(text)
            rows = np.zeros((len(found_words), len(self.classes)))
            tags = KINDS[self.kind][1](found_words, self.table, self._longest)
            for row, word, tag in zip(rows, found_words, tags, strict=True):
                if tag in self._places:
                    known = self.features.known_words.issuperset(words(word.text))
                    row[self._places[tag]] = SURE if known else UNSURE
            found.append(rows)
        return found

    def embed(self, texts: list[str]) -> Array:
        """(texts, dimensions), each of length 1."""
        return self.features.embed(texts)

    def save(self, folder: Path) -> None:
        """Write rules.json."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"kind": self.kind, "table": self.table}, ensure_ascii=False)
        (folder / "rules.json").write_text(text + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: Path, features: Features, classes: list[str]) -> "Rules":
        """Read what `save` wrote."""
        return cls(features, classes, **json.loads((folder / "rules.json").read_text(encoding="utf-8")))


def _most_frequent(counts: dict[str, Counter[str]]) -> dict[str, str]:
    return {name: count.most_common(1)[0][0] for name, count in counts.items()}


def _count_spans(texts: Sequence[str], tags: Sequence[Sequence[str]]) -> dict[str, str]:
    """Each labelled piece of the training texts, in lower case, with its most frequent label."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for text, row in zip(texts, tags, strict=True):
        lower = [word.text.lower() for word in tokens(text)]
        starts = [place for place, tag in enumerate(row) if tag.startswith(BEGIN)]
        for start in starts:
            end = start + 1
            while end < len(row) and row[end].startswith(INSIDE):
                end += 1
            counts[" ".join(lower[start:end])][row[start].removeprefix(BEGIN)] += 1
    return _most_frequent(counts)


def _find_spans(found: list[Span], table: dict[str, str], longest: int) -> list[str]:
    """The longest known piece at each place."""
    lower = [word.text.lower() for word in found]
    tags = [OUTSIDE] * len(found)
    start = 0
    while start < len(found):
        for end in range(min(len(found), start + longest), start, -1):
            label = table.get(" ".join(lower[start:end]))
            if label:
                tags[start:end] = [BEGIN + label, *[INSIDE + label] * (end - start - 1)]
                break
        else:
            end = start + 1
        start = end
    return tags


def _count_words(texts: Sequence[str], tags: Sequence[Sequence[str]]) -> dict[str, str]:
    """The most frequent tag of each word, and under "" that of all."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for text, row in zip(texts, tags, strict=True):
        for word, tag in zip(tokens(text), row, strict=True):
            counts[word.text.lower()][tag] += 1
            counts[""][tag] += 1
    return _most_frequent(counts)


def _tag_words(found: list[Span], table: dict[str, str], longest: int) -> list[str]:
    return [table.get(word.text.lower(), table[""]) for word in found]


def _count_nothing(texts: Sequence[str], tags: Sequence[Sequence[str]]) -> dict[str, str]:
    """Only the one label that sentences have."""
    labels = Counter(tag.removeprefix(BEGIN) for row in tags for tag in row if tag.startswith(BEGIN))
    return {"": labels.most_common(1)[0][0]}


def _split_after_marks(found: list[Span], table: dict[str, str], longest: int) -> list[str]:
    """A sentence begins at the first token and after each . ! ?"""
    label = table[""]
    begins = [True, *(one.text in ENDS and other.text not in ENDS for one, other in pairwise(found))]
    return [(BEGIN if begin else INSIDE) + label for begin, _ in zip(begins, found, strict=False)]


KINDS = {
    "dictionary": (_count_spans, _find_spans),  # pieces that were labelled in a training text
    "word_tags": (_count_words, _tag_words),  # each word's most frequent tag
    "punctuation": (_count_nothing, _split_after_marks),  # a sentence ends at . ! ?
}
