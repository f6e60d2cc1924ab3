"""What the network sees in an image, in few numbers: for drift, for what is new, for choosing images that differ."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
PARTS = 6  # numbers that sum an embedding up
NAMES = [f"embedding_{number}" for number in range(PARTS)]
NOVELTY = "novelty"
USUAL = 0.99  # share of the training images whose novelty is below 1


def learn(embedding: Array) -> dict[str, Any]:
    """What `describe` needs, from the embeddings of the training images, (images, embedding).

    The PARTS directions of largest variance (principal components), scaled to unit variance, and how far from the
    center images usually are. Each direction's largest entry is positive, so the same embeddings give the same signs.
    """
    center = embedding.mean(axis=0)
    _, lengths, directions = np.linalg.svd(embedding - center, full_matrices=False)
    directions = directions[:PARTS]
    directions = directions * np.sign(directions[np.arange(PARTS), np.abs(directions).argmax(axis=1)])[:, None]
    spread = np.maximum(lengths[:PARTS] / np.sqrt(len(embedding)), 1e-6)
    directions = directions / spread[:, None]
    distance = np.linalg.norm((embedding - center) @ directions.T, axis=1)
    return {
        "center": center.tolist(),
        "directions": directions.tolist(),
        "usual": float(np.quantile(distance, USUAL)),
    }


def describe(embedding: Array, space: dict[str, Any]) -> dict[str, Array]:
    """(images, embedding) → NAMES, and NOVELTY: how far an image is from the training images, above 1 is unusual."""
    parts = (embedding.astype(float) - space["center"]) @ np.array(space["directions"]).T
    return {**dict(zip(NAMES, parts.T, strict=True)), NOVELTY: np.linalg.norm(parts, axis=1) / space["usual"]}
