"""The network: a small residual one whose result depends on each image alone, however they are batched."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import data
from .blocks import GROUPS, Block
from .borrowed import Borrowed, replace_last

Array = np.ndarray[Any, Any]
WIDTH = 16  # channels of the first layers; a larger network for larger images
SMOOTHING = 0.05  # share of the certainty that the truth gives up


class Network(nn.Module):  # type: ignore[misc]  # PyTorch is used without its types
    """Images to the logits of the classes and to an embedding."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 5, 2, 2, bias=False)
        self.norm = nn.GroupNorm(GROUPS, WIDTH)
        self.blocks = nn.Sequential(Block(WIDTH, WIDTH, 1), Block(WIDTH, 2 * WIDTH, 2), Block(2 * WIDTH, 2 * WIDTH, 1))
        self.head = nn.Linear(2 * WIDTH, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(images, 3, size, size), -1 to 1 → logits (images, classes), embedding (images, 2 · WIDTH)."""
        found = self.blocks(functional.relu(self.norm(self.stem(x))))
        embedding = torch.amax(found, dim=(2, 3))  # a small thing counts as much as a large one
        return self.head(embedding), embedding


class Pretrained(Borrowed):
    """The same from a network of torchvision: all but its last linear layer, whose place the classes take."""

    def __init__(self, classes: int, name: str, weights: str) -> None:
        super().__init__(name, weights)
        last = replace_last(self.net, nn.Linear, lambda old: nn.Identity())
        self.head = nn.Linear(last.in_features, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(images, 3, size, size), -1 to 1 → logits (images, classes), embedding (images, features)."""
        embedding = self.net(self.scaled(x))
        return self.head(embedding), embedding


def loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy of logits (images, classes) and classes (images,)."""
    return functional.cross_entropy(logits, truth, label_smoothing=SMOOTHING)


def targets(table: data.Table, size: int) -> Array:
    """The truth as the loss wants it: the number of each image's class, (images,)."""
    numbers = {name: number for number, name in enumerate(table.classes)}
    return table.frame[data.LABEL].map(numbers).to_numpy(np.int64)


def kinds(truth: Array) -> Array:
    """What kind of image each is, (images,), from `targets`: embeddings lie around the center of their kind."""
    return truth
