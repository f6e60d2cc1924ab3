"""What the network sees in an image, in few numbers: for drift, for what is new, for choosing images that differ."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
PARTS = 6  # numbers that sum an embedding up
NAMES = [f"embedding_{number}" for number in range(PARTS)]
NOVELTY = "novelty"
USUAL = 0.99  # share of the training images whose novelty is below 1


def learn(embedding: Array, groups: Array) -> dict[str, Any]:
    """What `describe` needs, from the embeddings of the training images, (images, embedding), and their classes.

    The PARTS directions of largest variance (principal components), scaled to unit variance; the center of each class
    there, and how far from the nearest one images usually are. Each direction's largest entry is positive, so that the
    same embeddings give the same signs.
    """
    mean = embedding.mean(axis=0)
    _, lengths, directions = np.linalg.svd(embedding - mean, full_matrices=False)
    directions = directions[:PARTS]
    directions = directions * np.sign(directions[np.arange(PARTS), np.abs(directions).argmax(axis=1)])[:, None]
    directions = directions / np.maximum(lengths[:PARTS] / np.sqrt(len(embedding)), 1e-6)[:, None]
    parts = (embedding - mean) @ directions.T
    centers = np.stack([parts[groups == group].mean(axis=0) for group in np.unique(groups)])
    return {
        "mean": mean.tolist(),
        "directions": directions.tolist(),
        "centers": centers.tolist(),
        "usual": float(np.quantile(_distance(parts, centers), USUAL)),
    }


def describe(embedding: Array, space: dict[str, Any]) -> dict[str, Array]:
    """(images, embedding) → NAMES, and NOVELTY: how far an image is from all that is known, above 1 is unusual."""
    parts = (embedding.astype(float) - space["mean"]) @ np.array(space["directions"]).T
    novelty = _distance(parts, np.array(space["centers"])) / space["usual"]
    return {**dict(zip(NAMES, parts.T, strict=True)), NOVELTY: novelty}


def _distance(parts: Array, centers: Array) -> Array:
    """From each image to the nearest center, (images,)."""
    return np.asarray(np.linalg.norm(parts[:, None] - centers, axis=2).min(axis=1))
