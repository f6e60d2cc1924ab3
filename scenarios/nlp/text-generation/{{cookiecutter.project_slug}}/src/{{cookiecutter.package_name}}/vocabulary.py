"""Words for generation: texts as lists of words and back, and the vocabulary that is learnt from the training texts.

The vocabulary holds frequent words. Names that are rare and everything with a digit are read by their shape, and can
only reach an answer by being copied from the source: the model cannot invent a number.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
PAD, UNKNOWN, START, END, APART = "<pad>", "<unk>", "<start>", "<end>", "<|>"
SPECIAL = [PAD, UNKNOWN, START, END, APART]
# A word with the space before it: masks, words and numbers with what joins their parts, single marks. Parts of at most
# 32 letters bound how long a text of so many words can be.
WORD = re.compile(r" ?(?:<[a-z]{1,16}>|\w{1,32}(?:['.,:/-]\w{1,32}){0,5}|[^\w\s])")
DIGIT = re.compile(r"\d")
LEAST = 3  # training texts that a word must appear in to be known
WORDS = 8000  # of the vocabulary, the most frequent ones
SHAPES = 200  # of unknown words that are told apart
COPIED = 0.95  # of the answers with a name have it from their source


def split(text: str) -> list[str]:
    """The words of a text, each with the space before it; all white space counts as one space.

    `join(split(text))` is the text with single spaces and none around it.
    """
    return WORD.findall(" " + " ".join(text.split()))


def join(words: Iterable[str]) -> str:
    """The text of words that `split` made."""
    return "".join(words).strip()


def numbers(text: str) -> Counter[str]:
    """The words with a digit, such as amounts, dates and order numbers, and how often each appears."""
    return Counter(word.strip() for word in split(text) if DIGIT.search(word))


def shape(word: str) -> str:
    """What a word looks like: B-32388 is X-0, 342.48 is 0.0, Zoë is Xx; the space before it stays."""
    kinds = ("X" if c.isupper() else "x" if c.isalpha() else "0" if c.isdigit() else c for c in word)
    return re.sub(r"([Xx0])\1+", r"\1", "".join(kinds))


@dataclass(frozen=True)
class Source:
    """One text to read, as numbers: `ids` for what is read, `copies` for what can be copied."""

    ids: list[int]  # words of the vocabulary, or shapes
    copies: list[int]  # words of the vocabulary, or vocabulary.size + the place in `extra`
    extra: list[str]  # the words that the vocabulary lacks


class Vocabulary:
    """The words and shapes that a model knows, in the order of their numbers."""

    def __init__(self, words: Sequence[str], shapes: Sequence[str], names: Iterable[str] = ()) -> None:
        """`words` can be written, the special ones come first; `shapes` stand for other words when read; `names` are
        words that may be names (only known while learning)."""
        self.words, self.shapes, self.names = list(words), list(shapes), frozenset(names)
        self._words = {word: number for number, word in enumerate(self.words)}
        self._shapes = {name: len(self.words) + number for number, name in enumerate(self.shapes)}

    @classmethod
    def train(cls, sources: Sequence[str], targets: Sequence[str]) -> "Vocabulary":
        """Learn from texts and what was made of each: the most frequent words, the shapes of all others, names."""
        count: Counter[str] = Counter()
        written: Counter[str] = Counter()
        copied: Counter[str] = Counter()
        for source, target in zip(sources, targets, strict=True):
            read, wrote = set(split(source)), set(split(target))
            count.update(read | wrote)
            written.update(wrote)
            copied.update(read & wrote)
        known = [word for word, rows in _by_frequency(count) if rows >= LEAST and not DIGIT.search(word)][:WORDS]
        words = (word for word in known if word[-1].isalpha() and copied[word])
        names = [word for word in words if copied[word] >= COPIED * written[word]]
        shapes: Counter[str] = Counter()
        for word, rows in count.items():  # of the known words too: one that is hidden in training needs a shape
            shapes[shape(word)] += rows
        return cls([*SPECIAL, *known], [name for name, _ in _by_frequency(shapes)][:SHAPES], names)

    @property
    def size(self) -> int:
        """How many words can be written."""
        return len(self.words)

    @property
    def readable(self) -> int:
        """How many words and shapes can be read."""
        return len(self.words) + len(self.shapes)

    def _shape(self, word: str) -> int:
        return self._shapes.get(shape(word), self._words[UNKNOWN])

    def read(self, parts: Sequence[str], most: int, hidden: frozenset[str] = frozenset()) -> Source:
        """The words of several texts one after the other, `most` at most; `hidden` words count as unknown.

        Each text but the first begins after the mark APART; of the last one the end is cut, of the others nothing is.
        """
        words: list[str] = []
        for place, part in enumerate(parts):
            words += [APART] * bool(place) + split(part)
        ids, copies = [], []
        extra: dict[str, int] = {}
        for word in words[:most] or [UNKNOWN]:
            known = self._words.get(word) if word not in hidden else None
            if known is None:
                ids.append(self._shape(word))
                copies.append(self.size + extra.setdefault(word, len(extra)))
            else:
                ids.append(known)
                copies.append(known)
        return Source(ids, copies, list(extra))

    def write(self, text: str, source: Source, most: int) -> tuple[list[int], list[int]]:
        """A target as the numbers (words + 1) to write, the end included, and those that are read in between."""
        places = {word: self.size + place for place, word in enumerate(source.extra)}
        words = split(text)[:most]
        written = [places.get(word, self._words.get(word, self._words[UNKNOWN])) for word in words]
        read = [self._shape(word) if n >= self.size else n for word, n in zip(words, written, strict=True)]
        return [*written, self._words[END]], [self._words[START], *read]

    def text(self, numbers: Iterable[int], source: Source) -> str:
        """The text of numbers that a model wrote for this source; words that would run together are kept apart."""
        found: list[str] = []
        for number in numbers:
            word = source.extra[number - self.size] if number >= self.size else self.words[number]
            together = bool(found) and found[-1][-1].isalnum() and word[0].isalnum()
            found.append(" " * together + word)
        return join(found)

    def again(self, number: int, source: Source) -> int:
        """How a number that was written is read when the next word is sought."""
        return number if number < self.size else self._shape(source.extra[number - self.size])

    def save(self, path: Path) -> None:
        """Write as JSON."""
        text = json.dumps({"words": self.words, "shapes": self.shapes}, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what `save` wrote."""
        facts = json.loads(path.read_text(encoding="utf-8"))
        return cls(facts["words"], facts["shapes"])


def _by_frequency(count: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first, equally frequent ones in alphabetical order."""
    return sorted(count.items(), key=lambda item: (-item[1], item[0]))


def padded(rows: Sequence[Sequence[int]], value: int) -> Array:
    """Rows of unlike length as one array (rows, longest) int64."""
    found = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found
