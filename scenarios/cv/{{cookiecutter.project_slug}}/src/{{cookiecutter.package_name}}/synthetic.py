"""Sample images with known truth: one shape on a background, its mask, and shifts that can be planted.

Stands in for photographs until there are some. `World` says how hard the images are and what is different about them.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter

from . import masks

Array = np.ndarray[Any, Any]
SIZE = 32  # pixels, both ways
ENLARGED = 4  # shapes are drawn this much larger, so that their edges are smooth
CLASSES = ["circle", "square", "star", "triangle"]
NEW_CLASS = "ring"
BACKGROUNDS = ["gradient", "plain", "speckles", "stripes", "tiles"]
NEW_BACKGROUND = "waves"
CORNERS = {"square": 4, "triangle": 3, "star": 10}


@dataclass(frozen=True)
class World:
    """What the images are like; the defaults are those of the development data."""

    difficulty: float = 0.15  # 0: strong contrast, no noise; 1: as hard as it gets
    classes: list[str] = field(default_factory=lambda: list(CLASSES))
    backgrounds: list[str] = field(default_factory=lambda: list(BACKGROUNDS))
    darkening: float = 0.0  # share of the light that is lost
    blur: float = 0.0  # radius, pixels


def make(count: int, seed: int, world: World | None = None, start: str = "2026-01-01", days: int = 120) -> pd.DataFrame:
    """`count` images with the columns of data/contract.yml, in order of time. The same arguments give the same rows."""
    world = world or World()
    generator = np.random.default_rng(seed)
    minutes = np.sort(generator.choice(days * 24 * 60, count, replace=False))
    rows = []
    for number, minute in enumerate(minutes):
        label = str(generator.choice(world.classes))
        background = str(generator.choice(world.backgrounds))
        image, mask = draw(generator, label, background, world)
        rows.append(
            {
                "image_id": f"{start[:7]}-{seed}-{number:05d}",
                "captured_at": pd.Timestamp(start) + pd.Timedelta(minutes=int(minute)),
                "background": background,
                "image": encode(image),
                "label": label,
                "annotations": masks.dump([masks.Region(label, mask)]),
            }
        )
    return pd.DataFrame(rows)


def draw(generator: np.random.Generator, label: str, background: str, world: World) -> tuple[Array, Array]:
    """One image, (SIZE, SIZE, 3) uint8, and where its shape is, (SIZE, SIZE) bool."""
    behind = _colour(generator)
    canvas = _background(generator, background, behind)
    coverage = _shape(generator, label)
    contrast = 105 - 60 * world.difficulty  # always reachable: colours span 20 to 235
    colour = _colour(generator)
    while np.abs(colour - canvas.mean(axis=(0, 1))).max() < contrast:
        colour = _colour(generator)
    image = canvas * (1 - coverage[..., None]) + colour * coverage[..., None]
    image = image * generator.uniform(0.8, 1.1) + generator.normal(0, 24 * world.difficulty, image.shape)
    image = image * (1 - world.darkening)
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    if world.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(world.blur))
    return np.asarray(picture), coverage > 0.5


def encode(image: Array) -> bytes:
    """(height, width, 3) uint8 → the bytes of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85, subsampling=0)  # edges keep their colour
    return file.getvalue()


def _colour(generator: np.random.Generator) -> Array:
    return generator.uniform(20, 235, 3)


def _background(generator: np.random.Generator, kind: str, colour: Array) -> Array:
    """(SIZE, SIZE, 3), 0 to 255."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    angle = generator.uniform(0, np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    strength = generator.uniform(20, 45)
    patterns: dict[str, Callable[[], Array]] = {
        "plain": lambda: np.zeros((SIZE, SIZE)),
        "gradient": lambda: 2 * along - 1,
        "stripes": lambda: np.sin(2 * np.pi * along * generator.uniform(3, 6)),
        "speckles": lambda: generator.normal(0, 0.7, (SIZE // 4, SIZE // 4)).repeat(4, 0).repeat(4, 1),
        "tiles": lambda: np.sign(np.sin(2 * np.pi * along * 3) * np.sin(2 * np.pi * across * 3)),
        "waves": lambda: np.sin(2 * np.pi * (along * 5 + 0.3 * np.sin(2 * np.pi * across * 3))),
    }
    pattern: Array = patterns[kind]()
    return np.asarray(colour + strength * pattern[..., None])


def _shape(generator: np.random.Generator, label: str) -> Array:
    """How much of each pixel the shape covers, (SIZE, SIZE), 0 to 1."""
    size = SIZE * ENLARGED
    radius = generator.uniform(0.33, 0.45) * size
    x, y = generator.uniform(radius, size - radius, 2)
    picture = Image.new("L", (size, size))
    pen = ImageDraw.Draw(picture)
    if label in CORNERS:
        corners = CORNERS[label]
        turn = generator.uniform(0, 2 * np.pi)
        angles = turn + np.arange(corners) * 2 * np.pi / corners
        reach = np.where(np.arange(corners) % 2, 0.5, 1.0) * radius if label == "star" else np.full(corners, radius)
        pen.polygon([(x + r * np.cos(a), y + r * np.sin(a)) for r, a in zip(reach, angles, strict=True)], fill=255)
    else:
        outline = 0.45 if label == NEW_CLASS else 1.0
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill=None if label == NEW_CLASS else 255, outline=255, width=int(outline * radius))
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=float) / 255
