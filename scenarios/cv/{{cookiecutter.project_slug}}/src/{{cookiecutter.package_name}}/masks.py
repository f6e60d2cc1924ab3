"""Masks: as COCO writes them, run-length encoded or polygons, and on other grids.

COCO counts runs of 0 and 1 by turns, beginning with 0, down the columns, and packs the counts into text
(https://github.com/cocodataset/cocoapi, maskApi.c).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    """Polygons [x1, y1, x2, y2, …] in pixels → (height, width) bool: the pixels whose center one of them holds."""
    found = np.zeros((height, width), dtype=bool)
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon needs at least three corners, each with x and y")
        corners = np.asarray(polygon, dtype=float).reshape(-1, 2)
        if not np.isfinite(corners).all():
            raise ValueError("a polygon's corners must be finite numbers")
        turns = np.zeros((height, width + 1), dtype=np.int64)  # how many edges begin to be on the left of a pixel
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in sorted((y1, y2)))
            rows = np.arange(first, last)
            crossed = x1 + (rows + 0.5 - y1) * (x2 - x1) / ((y2 - y1) or 1)
            np.add.at(turns, (rows, np.clip(np.ceil(crossed - 0.5), 0, width).astype(int)), 1)
        found |= turns.cumsum(axis=1)[:, :width] % 2 == 1
    return found


def outline(mask: Array) -> list[list[float]]:
    """Polygons that `fill` turns into the same (height, width) bool: rectangles, so that holes stay holes."""
    polygons: list[list[float]] = []
    open_runs: dict[tuple[int, int], int] = {}  # first and last column + 1 → the row where it began
    for row in range(len(mask) + 1):
        line = mask[row] if row < len(mask) else np.zeros(mask.shape[1], dtype=bool)
        ends = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]))).tolist()
        runs = set(zip(ends[::2], ends[1::2], strict=True))
        for left, right in sorted(open_runs.keys() - runs):
            top = open_runs.pop((left, right))
            polygons.append([left, top, right, top, right, row, left, row])
        for run in runs - open_runs.keys():
            open_runs[run] = row
    return polygons


def stretch(mask: Array, height: int, width: int) -> Array:
    """The mask on another grid over the same image: the value at the center of each new pixel."""
    if mask.shape == (height, width):
        return mask
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip((height, width), mask.shape, strict=True)
    )
    return np.asarray(mask[np.ix_(rows, columns)])


def paint(regions: Sequence[Region], numbers: Mapping[str, int], height: int, width: int) -> Array:
    """(height, width) numbers of the labels, 0 where nothing is, one more than all for others; later regions hide."""
    found = np.zeros((height, width), dtype=np.int64)
    for region in regions:
        found[stretch(region.mask, height, width)] = numbers.get(region.label, len(numbers) + 1)
    return found


def regions(painted: Array, names: Sequence[str]) -> list[Region]:
    """One region for each name that occurs in (height, width) numbers, where 1 is the first name."""
    return [Region(name, painted == number) for number, name in enumerate(names, 1) if (painted == number).any()]


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
