"""What can go wrong between a scene and its image, planted into good images (images, size, size, 3) uint8."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

Array = np.ndarray[Any, Any]


def darken(pixels: Array, lost: float) -> Array:
    """Take a share of the light away."""
    return _as_pixels(pixels * (1 - lost))


def blur(pixels: Array, radius: float) -> Array:
    """Take the images out of focus; `radius` is the standard deviation in pixels."""
    return _as_pixels(gaussian_filter(pixels.astype(float), (0, radius, radius, 0)))


def add_noise(pixels: Array, deviation: float) -> Array:
    """Add the same noise as a sensor does in the dark, 0 to 255."""
    return _as_pixels(pixels + np.random.default_rng(0).normal(0, deviation, pixels.shape))


def fade(pixels: Array, lost: float) -> Array:
    """Take a share of the contrast away."""
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    return _as_pixels(mean + (pixels - mean) * (1 - lost))


def _as_pixels(values: Array) -> Array:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


CORRUPTIONS: dict[str, Callable[[Array], Array]] = {
    "as they are": lambda pixels: pixels,
    "half the light": partial(darken, lost=0.5),
    "out of focus": partial(blur, radius=1.0),
    "noisy": partial(add_noise, deviation=25),
    "half the contrast": partial(fade, lost=0.5),
}
