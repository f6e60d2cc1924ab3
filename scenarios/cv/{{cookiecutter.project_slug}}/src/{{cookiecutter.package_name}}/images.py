"""Images from bytes: what is accepted, how they come to the model's size, what their statistics are.

Whoever sends an image may send anything, so sizes are checked before a pixel is unpacked.
"""

import base64
import binascii
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from mlops_runtime.errors import Problem

Array = np.ndarray[Any, Any]
FORMATS = ("JPEG", "PNG")
SUFFIXES = (".jpeg", ".jpg", ".png")
MOST_BYTES = 16 * 2**20
MOST_PIXELS = 25_000_000  # 75 MB unpacked
SMALLEST = 8  # pixels, the shorter side
STATISTICS = ["brightness", "contrast", "saturation", "sharpness", "warmth"]
# What Pillow raises for broken files: OSError for most, the others from the depths of single formats.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, zlib.error)


class BadImage(Problem):
    """Bytes that are no usable image: why."""


def unpack(value: object) -> bytes:
    """The bytes of an image that came as they are or as base64 text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str):
        raise BadImage(f"an image must be bytes or base64 text, not {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadImage("the text is not base64") from None


def pack(content: bytes) -> str:
    """Bytes as base64 text, for JSON."""
    return base64.b64encode(content).decode("ascii")


def media_type(content: bytes) -> str:
    """image/png or image/jpeg, by the first bytes."""
    return "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"


def read(content: bytes) -> Image.Image:
    """The picture, upright, in RGB; BadImage with the reason when it is no whole JPEG or PNG of a sensible size."""
    if not content:
        raise BadImage("the image is empty")
    if len(content) > MOST_BYTES:
        raise BadImage(f"the file has {len(content):,} bytes, at most {MOST_BYTES:,} are allowed")
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError:
        raise BadImage(f"the image has more than {MOST_PIXELS:,} pixels") from None
    except BROKEN:
        raise BadImage(f"this is no {' or '.join(FORMATS)} file, or its beginning is broken") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise BadImage(f"{picture.width} × {picture.height} pixels are too many, at most {MOST_PIXELS:,} are allowed")
    if min(picture.size) < SMALLEST:
        raise BadImage(f"{picture.width} × {picture.height} pixels are too few, each side needs {SMALLEST}")
    try:
        picture.load()
        upright = ImageOps.exif_transpose(picture)
    except BROKEN:
        raise BadImage("the file is cut short or broken") from None
    if upright.mode.startswith("I"):  # 16 bits per pixel, which Pillow would clip
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    return upright.convert("RGB")


def to_array(content: bytes, size: int) -> Array:
    """The image as the model sees it: (size, size, 3) uint8."""
    return np.asarray(read(content).resize((size, size), Image.Resampling.BILINEAR))


def statistics(images: Array) -> dict[str, Array]:
    """What can be seen without knowing what is on the images, (images,) each, from (images, size, size, 3) uint8.

    All from 0 to 1: brightness, its standard deviation (contrast), saturation, the mean difference between neighbouring
    pixels (sharpness; noise raises it, blur lowers it), and how much more red than blue there is (warmth, 0.5 is even).
    """
    scaled = images.astype(np.float32) / 255
    grey = scaled.mean(axis=3)
    steps = [np.abs(np.diff(grey, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    found = [
        grey.mean(axis=(1, 2)),
        grey.std(axis=(1, 2)),
        (scaled.max(axis=3) - scaled.min(axis=3)).mean(axis=(1, 2)),
        (steps[0] + steps[1]) / 2,
        (1 + scaled[..., 0].mean(axis=(1, 2)) - scaled[..., 2].mean(axis=(1, 2))) / 2,
    ]
    return {name: values.astype(float) for name, values in zip(STATISTICS, found, strict=True)}
