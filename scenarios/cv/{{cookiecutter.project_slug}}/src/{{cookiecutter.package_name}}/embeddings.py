"""What the network sees in an image, in few numbers: for drift, for what is new, for choosing images that differ."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
PARTS = 6  # numbers that sum an embedding up
NAMES = [f"embedding_{number}" for number in range(PARTS)]
NOVELTY = "novelty"
USUAL = 0.99  # share of the training images whose novelty is below 1
FOLDS = 5  # of the cross-validation


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


def separation(before: Array, now: Array, false_alarms: float) -> tuple[float, float]:
    """How well two sets of images can be told apart by what `describe` gives, (images, numbers) each: 0 to 1.

    A classifier learns on four fifths which set an image is from and ranks the others; returned are its 2 · AUC - 1,
    and the value that chance alone would exceed with probability `false_alarms` (Lopez-Paz & Oquab, Revisiting
    classifier two-sample tests, 2017; the variance of the AUC is that of Mann & Whitney, 1947).
    """
    from scipy import stats

    both = np.concatenate([before, now])
    both = (both - both.mean(axis=0)) / np.maximum(both.std(axis=0), 1e-9)
    inputs = np.hstack([np.ones((len(both), 1)), both, np.clip(both**2, 0, 25)])  # squares: spreads may differ too
    truth = np.repeat([0.0, 1.0], [len(before), len(now)])
    balance = np.sqrt(np.where(truth == 1, 0.5 / len(now), 0.5 / len(before)) * len(both))[:, None]
    fold = np.concatenate([np.arange(len(one)) % FOLDS for one in (before, now)])
    ridge = np.eye(inputs.shape[1])
    areas = []
    for part in range(FOLDS):
        learn, judge = fold != part, fold == part
        weighted = inputs[learn] * balance[learn]
        wanted = weighted.T @ ((2 * truth[learn] - 1) * balance[learn, 0])
        ranks = stats.rankdata(inputs[judge] @ np.linalg.solve(weighted.T @ weighted + ridge, wanted))
        new = truth[judge] == 1
        areas.append((ranks[new].sum() - new.sum() * (new.sum() + 1) / 2) / (new.sum() * (~new).sum()))
    spread = np.sqrt((len(both) + 1) / (12 * len(before) * len(now)))
    return 2 * float(np.mean(areas)) - 1, 2 * float(stats.norm.ppf(1 - false_alarms) * spread)
