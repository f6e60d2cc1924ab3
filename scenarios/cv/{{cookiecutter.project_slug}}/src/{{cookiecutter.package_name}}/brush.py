"""Masks as Label Studio's brush writes them.

A stream of bits: how many values there are (32 bits), how wide they are less one (5), the widths of four kinds of
length, each less one (4 each); then runs: whether one value is repeated (1), the kind of length (2), the length less
one, and the value, or that many values. The values are the red, green, blue and alpha of each pixel, row by row, where
alpha is the mask (https://github.com/thi-ng/umbrella, rle-pack).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BITS = 8  # of a value
WIDTHS = (3, 4, 8, 16)  # of lengths
LONGEST = 2 ** WIDTHS[-1]


def encode(mask: Array) -> list[int]:
    """(height, width) bool → bytes."""
    flat = np.repeat(np.asarray(mask, dtype=bool).ravel(), 4)
    parts = [f"{len(flat):032b}{BITS - 1:05b}", *(f"{width - 1:04b}" for width in WIDTHS)]
    ends = np.append(np.flatnonzero(np.diff(flat)) + 1, len(flat)) if len(flat) else np.array([], dtype=int)
    for start, end in zip(np.concatenate([[0], ends[:-1]]).tolist(), ends.tolist(), strict=False):
        value = 255 if flat[start] else 0
        for length in [*[LONGEST] * ((end - start) // LONGEST), (end - start) % LONGEST]:
            if length:
                kind = next(number for number, width in enumerate(WIDTHS) if length <= 2**width)
                parts.append(f"1{kind:02b}{length - 1:0{WIDTHS[kind]}b}{value:0{BITS}b}")
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def decode(code: Sequence[int], height: int, width: int) -> Array:
    """Bytes → (height, width) bool; ValueError when they do not fill the image."""
    bits = Bits(bytes(code))
    count, size = bits.read(32), bits.read(5) + 1
    widths = [bits.read(4) + 1 for _ in range(4)]
    if count != 4 * height * width:
        raise ValueError(f"the brush covers {count / 4:g} pixels, the image has {height * width}")
    values = np.zeros(count, dtype=np.int64)
    place = 0
    while place < count:
        repeated = bits.read(1)
        length = min(1 + bits.read(widths[bits.read(2)]), count - place)
        values[place : place + length] = bits.read(size) if repeated else [bits.read(size) for _ in range(length)]
        place += length
    return np.asarray(values.reshape(height, width, 4)[:, :, 3] > 0)


class Bits:
    """Reads numbers of some bits each, the highest first."""

    def __init__(self, content: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in content)
        self.place = 0

    def read(self, count: int) -> int:
        """The next `count` bits; ValueError at the end."""
        self.place += count
        if self.place > len(self.text):
            raise ValueError("the brush is cut short")
        return int(self.text[self.place - count : self.place], 2)
