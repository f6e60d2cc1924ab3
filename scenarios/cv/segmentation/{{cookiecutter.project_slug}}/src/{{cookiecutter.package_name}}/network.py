"""The network: a small U-Net whose result depends on each image alone, however they are batched."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mlops_runtime.errors import Problem

from . import data, masks
from .blocks import GROUPS, Block
from .borrowed import Borrowed, replace_last

Array = np.ndarray[Any, Any]
WIDTH = 16  # channels of the first layers; a larger network for larger images
FINE = 24  # channels that bring details past the network


class Network(nn.Module):  # type: ignore[misc]  # PyTorch is used without its types
    """Images to the logits of nothing and the classes for each pixel, and to an embedding.

    Down to a quarter of the size and up again, with what was there on the way down (Ronneberger et al., U-Net, 2015).
    Four pixels are one place with four times the channels from the first layer to the last, which costs a fraction of
    layers at full size (Shi et al., Sub-pixel convolution, 2016). What is on the whole image is known to every place
    (Liu et al., ParseNet, 2015), or an edge could not tell whose it is.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(12, FINE, 3, 1, 1)
        self.stem = nn.Conv2d(12, WIDTH, 3, 1, 1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, WIDTH)
        self.before = Block(WIDTH, WIDTH, 1)
        self.deep = nn.Sequential(Block(WIDTH, 2 * WIDTH, 2), Block(2 * WIDTH, 2 * WIDTH, 1))
        self.context = nn.Linear(2 * WIDTH, 2 * WIDTH)
        self.after = Block(3 * WIDTH, WIDTH, 1)
        self.head = nn.Conv2d(WIDTH + FINE, 4 * (1 + classes), 3, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(images, 3, size, size), -1 to 1 → logits (images, 1 + classes, size, size), embedding (images, 2 · WIDTH).

        `size` must be a multiple of 4.
        """
        x = functional.pixel_unshuffle(x, 2)
        half = self.before(functional.relu(self.norm(self.stem(x))))
        quarter = self.deep(half)
        embedding = torch.amax(quarter, dim=(2, 3))  # a small thing counts as much as a large one
        quarter = functional.relu(quarter + self.context(embedding)[:, :, None, None])
        half = self.after(torch.cat([functional.interpolate(quarter, scale_factor=2.0), half], dim=1))
        logits = self.head(torch.cat([half, functional.relu(self.fine(x))], dim=1))
        return functional.pixel_shuffle(logits, 2), embedding


class Pretrained(Borrowed):
    """The same from a network of torchvision whose last layer is for these classes: an FCN or a DeepLab."""

    def __init__(self, classes: int, name: str, weights: str) -> None:
        if not name.startswith(("fcn_", "deeplabv3_")):
            raise Problem(f"network {name!r}: give small, or an FCN or DeepLab of torchvision such as fcn_resnet50.")
        super().__init__(name, weights, weights_backbone=None)
        self.net.aux_classifier = None
        replace_last(self.net.classifier, nn.Conv2d, lambda old: nn.Conv2d(old.in_channels, 1 + classes, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(images, 3, size, size), -1 to 1 → logits (images, 1 + classes, size, size), embedding (images, features)."""
        found = self.net.backbone(self.scaled(x))["out"]
        logits = functional.interpolate(self.net.classifier(found), x.shape[-2:], mode="bilinear")
        return logits, torch.amax(found, dim=(2, 3))


def loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy of the pixels: logits (images, 1 + classes, size, size), truth (images, size, size)."""
    return functional.cross_entropy(logits, truth)


def targets(table: data.Table, size: int) -> Array:
    """The truth as the loss wants it: the number of each pixel's class, 0 for nothing, (images, size, size)."""
    numbers = {name: number for number, name in enumerate(table.classes, 1)}
    return np.stack([masks.paint(masks.load(text), numbers, size, size) for text in table.frame[data.REGIONS]])


def kinds(truth: Array) -> Array:
    """What kind of image each is, (images,), from `targets`: the class with the most pixels, 0 where there is nothing.

    Embeddings lie around the center of their kind.
    """
    counts = [(truth == number).sum(axis=(1, 2)) for number in range(1, int(truth.max(initial=1)) + 1)]
    return np.where(np.max(counts, axis=0) > 0, np.argmax(counts, axis=0) + 1, 0)
