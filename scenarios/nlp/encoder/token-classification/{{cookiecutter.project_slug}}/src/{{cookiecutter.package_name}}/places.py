"""Where characters are after a text was normalized and masked, and where they came from.

`text.clean` says what becomes of a text; this follows each character through it.
"""

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass

from .text import FOLDED, INVISIBLE, PERSONAL, clean

JOINING = ("M", "Sk")  # categories of what may melt with the character before it
JAMO = range(0x1160, 0x1200)  # vowels and ends of Korean syllables, which do too


@dataclass(frozen=True)
class Cleaned:
    """A clean text with the place of each of its characters in the raw one."""

    text: str
    starts: list[int]  # of each character of `text` in the raw text
    ends: list[int]

    def raw(self, start: int, end: int) -> tuple[int, int]:
        """Where characters `start` to before `end` came from."""
        return self.starts[start], self.ends[end - 1]

    def places(self, length: int) -> list[int]:
        """For each offset 0 to `length` into the raw text the offset into the clean one, at the start or end of what
        covers it."""
        return [bisect_left(self.ends, place + 1) if place < length else len(self.text) for place in range(length + 1)]


def follow(raw: str) -> Cleaned:
    """`clean(raw)` with the place of each of its characters."""
    cleaned = clean(raw)
    if cleaned == raw:
        return Cleaned(raw, list(range(len(raw))), list(range(1, len(raw) + 1)))
    pieces = [(c, place, place + 1) for place, c in enumerate(raw)]
    pieces = _composed(pieces)
    pieces = [(c.translate(FOLDED), start, end) for c, start, end in pieces]
    pieces = [one for one in pieces if one[0] in "\r\n\t" or unicodedata.category(one[0]) not in INVISIBLE]
    pieces = _composed(pieces)
    pieces = _spaced(pieces)
    for name, pattern in PERSONAL.items():
        pieces = _masked(pieces, name, pattern)
    text = "".join(c for c, _, _ in pieces)
    if text != cleaned:  # a script that composes in a way not known here: the text as a whole came from the whole
        return Cleaned(cleaned, [0] * len(cleaned), [len(raw)] * len(cleaned))
    return Cleaned(text, [start for _, start, _ in pieces], [end for _, _, end in pieces])


Piece = tuple[str, int, int]  # a character and where it came from


def _composed(pieces: list[Piece]) -> list[Piece]:
    """Unicode NFKC, group by group: a character with all that may melt with it."""
    found: list[Piece] = []
    group: list[Piece] = []
    for piece in pieces:
        first = unicodedata.normalize("NFKC", piece[0])[:1]
        joins = unicodedata.category(first).startswith(JOINING) or ord(first) in JAMO
        if group and not joins:
            found += _melted(group)
            group = []
        group.append(piece)
    return found + _melted(group)


def _melted(group: list[Piece]) -> list[Piece]:
    before = "".join(c for c, _, _ in group)
    after = unicodedata.normalize("NFKC", before)
    if after == before:
        return group
    return [(c, group[0][1], group[-1][2]) for c in after]


def _spaced(pieces: list[Piece]) -> list[Piece]:
    """Single spaces within lines, at most one empty line, none around."""
    text = "".join(c for c, _, _ in pieces)
    found: list[Piece] = []
    place = 0
    for number, line in enumerate(text.splitlines(keepends=True)):
        words = [(m.start(), m.end()) for m in re.finditer(r"\S+", line) if m[0].strip()]
        if number:
            found.append(("\n", pieces[place - 1][1], pieces[place - 1][2]))
        for count, (start, end) in enumerate(words):
            if count:
                found.append((" ", pieces[place + words[count - 1][1]][1], pieces[place + start - 1][2]))
            found += pieces[place + start : place + end]
        place += len(line)
    text = "".join(c for c, _, _ in found)
    for match in reversed(list(re.finditer(r"\n{3,}", text))):
        del found[match.start() + 2 : match.end()]
    while found and found[0][0].isspace():
        del found[0]
    while found and found[-1][0].isspace():
        del found[-1]
    return found


def _masked(pieces: list[Piece], name: str, pattern: re.Pattern[str]) -> list[Piece]:
    text = "".join(c for c, _, _ in pieces)
    for match in reversed(list(pattern.finditer(text))):
        first, last = pieces[match.start()][1], pieces[match.end() - 1][2]
        pieces[match.start() : match.end()] = [(c, first, last) for c in name]
    return pieces
