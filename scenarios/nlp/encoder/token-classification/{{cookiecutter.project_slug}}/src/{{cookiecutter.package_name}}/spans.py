"""Labelled pieces of texts: as JSON, as one tag for each token, and in which way they differ.

A target column holds for each text either spans, `[{"start": 3, "end": 8, "label": "city"}, …]` with offsets in
characters, the end exclusive, as a list or as JSON text; or the tags of its tokens (`text.tokens`), with blanks
between: BIO tags (`O B-city I-city`), or other tags, each of which is a span of its own (`DET NOUN VERB`).
"""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from mlops_runtime.errors import Problem

from . import text as texts

OUTSIDE, BEGIN, INSIDE = "O", "B-", "I-"
PREFIXES = {"B", "I", "E", "S", "L", "U"}  # of BIO, BIOES and BILOU tags


class Span(NamedTuple):
    """A labelled piece of a text."""

    start: int
    end: int
    label: str
    confidence: float | None = None  # of the model, 0 to 1; None where a person said it

    @property
    def place(self) -> tuple[int, int, str]:
        """What makes it the same span as another."""
        return self[:3]


def parse(value: Any, text: str) -> list[Span]:
    """What a target column says of `text`, in order; Problem says what is wrong with it."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return _of_token_tags(value.split(), text)
    try:
        spans = sorted(read(value), key=lambda span: span.place)
    except (ValueError, TypeError, KeyError):
        raise Problem(f"{_short(value)} is neither tags nor a list of start, end and label") from None
    for span in spans:
        if not 0 <= span.start < span.end <= len(text):
            raise Problem(f"the span {span.place} lies outside the text, which has {len(text)} characters")
    for one, other in pairwise(spans):
        if other.start < one.end:
            raise Problem(f"the spans {one.place} and {other.place} overlap")
    return spans


def read(value: Any) -> list[Span]:
    """Spans from a list or from what `dump` wrote, unchecked."""
    found = json.loads(value) if isinstance(value, str) else value
    return [Span(int(one["start"]), int(one["end"]), str(one["label"]), one.get("confidence")) for one in found]


def as_records(spans: Iterable[Span]) -> list[dict[str, Any]]:
    """As JSON values."""
    return [{name: value for name, value in span._asdict().items() if value is not None} for span in spans]


def dump(spans: Iterable[Span]) -> str:
    """As JSON text."""
    return json.dumps(as_records(spans), ensure_ascii=False)


def _of_token_tags(tags: Sequence[str], text: str) -> list[Span]:
    tokens = texts.tokens(text)
    if len(tags) != len(tokens):
        raise Problem(f"there are {len(tags)} tags for {len(tokens)} tokens")
    return from_tags(tokens, tags)


def to_tags(tokens: Sequence[texts.Span], spans: Sequence[Span]) -> list[str]:
    """A BIO tag for each token; a token belongs to the span that it overlaps most."""
    tags = [OUTSIDE] * len(tokens)
    before = -1
    for place, token in enumerate(tokens):
        shared = [min(token.end, span.end) - max(token.start, span.start) for span in spans]
        best = max(range(len(spans)), key=shared.__getitem__, default=-1)
        if best >= 0 and shared[best] > 0:
            tags[place] = (INSIDE if best == before else BEGIN) + spans[best].label
            before = best
        else:
            before = -1
    return tags


def from_tags(tokens: Sequence[texts.Span], tags: Sequence[str]) -> list[Span]:
    """The spans of BIO, BIOES or BILOU tags; I- that continues nothing begins a span (Tjong Kim Sang 2002).

    A tag without such a prefix is a span of its own.
    """
    found: list[Span] = []
    inside = ""  # the label that the next I- would continue
    for token, tag in zip(tokens, tags, strict=True):
        prefix, _, label = tag.partition("-")
        if tag == OUTSIDE:
            inside = ""
        elif not label or prefix not in PREFIXES:
            found.append(Span(token.start, token.end, tag))
            inside = ""
        elif prefix in ("I", "E", "L") and inside == label:
            found[-1] = found[-1]._replace(end=token.end)
            inside = label if prefix == "I" else ""
        else:
            found.append(Span(token.start, token.end, label))
            inside = label if prefix in ("B", "I") else ""
    return found


def readable(text: str, spans: Iterable[Span]) -> str:
    """For people: what each span reads and its label."""
    return ", ".join(f"{text[span.start : span.end]} [{span.label}]" for span in spans) or "nothing"


def moved(spans: Iterable[Span], places: Sequence[int]) -> list[Span]:
    """The spans where their characters are after the text changed: `places` has the new offset of each old one.

    Spans of which nothing is left go; of several that fell together the first stays.
    """
    kept: list[Span] = []
    for span in spans:
        new = span._replace(start=places[span.start], end=places[span.end])
        if new.start < new.end and (not kept or new.start >= kept[-1].end):
            kept.append(new)
    return kept


def _short(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 60 else text[:60] + "…")
