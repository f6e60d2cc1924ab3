"""Masks as COCO writes them: run-length encoding, polygons.

COCO counts runs of 0 and 1 by turns, beginning with 0, down the columns, and packs the counts into text
(https://github.com/cocodataset/cocoapi, maskApi.c).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Region:
    """What is where in an image."""

    label: str
    mask: Array  # (height, width) bool

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Region) and self.label == other.label and np.array_equal(self.mask, other.mask)

    __hash__ = None  # type: ignore[assignment]  # arrays have none


def encode(mask: Array) -> str:
    """(height, width) bool → COCO's compressed counts."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [len(flat)]])).tolist()
    if len(flat) and flat[0]:
        counts.insert(0, 0)
    text = []
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            digit, rest = rest & 31, rest >> 5
            more = rest != (-1 if digit & 16 else 0)
            text.append(chr((digit | 32 if more else digit) + 48))
    return "".join(text)


def decode(counts: str | Sequence[int], height: int, width: int) -> Array:
    """COCO's counts, packed or as a list → (height, width) bool; ValueError when they do not fill the image."""
    runs = _unpack(counts) if isinstance(counts, str) else list(counts)
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise ValueError(f"the runs cover {sum(runs)} pixels, the image has {height * width}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape((height, width), order="F")


def _unpack(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64:
            raise ValueError(f"{character!r} is no part of a run-length encoding")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value |= -1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the run-length encoding is cut short")
    return counts


def fill(polygons: Sequence[Sequence[float]], height: int, width: int) -> Array:
    """Polygons [x1, y1, x2, y2, …] in pixels → (height, width) bool."""
    picture = Image.new("1", (width, height))
    pen = ImageDraw.Draw(picture)
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon needs at least three corners, each with x and y")
        pen.polygon(list(polygon), fill=1)
    return np.asarray(picture, dtype=bool)


def dump(regions: Sequence[Region]) -> str:
    """Regions as JSON text: the column `annotations`."""
    records = [
        {"label": region.label, "size": list(region.mask.shape), "counts": encode(region.mask)} for region in regions
    ]
    return json.dumps(records, separators=(",", ":"), ensure_ascii=False)


def load(text: str) -> list[Region]:
    """What `dump` wrote; ValueError when it did not."""
    try:
        return [Region(record["label"], decode(record["counts"], *record["size"])) for record in json.loads(text)]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no regions: {error!r}") from None


def box(mask: Array) -> list[int]:
    """The smallest box around a mask: x, y, width, height; all 0 for an empty mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return [0, 0, 0, 0]
    return [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
