"""The network: a small residual one whose result depends on each image alone, however they are batched."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import data

Array = np.ndarray[Any, Any]
WIDTH = 16  # channels of the first layers; a larger network for larger images
GROUPS = 8  # of channels that are normalized together
SMOOTHING = 0.05  # share of the certainty that the truth gives up


class Block(nn.Module):  # type: ignore[misc]  # PyTorch is used without its types
    """Two convolutions and a way around them (He et al., Deep residual learning, 2016), with group normalization."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, outputs) for _ in range(2)])
        alike = inputs == outputs and stride == 1
        self.around = nn.Identity() if alike else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(images, inputs, height, width) → (images, outputs, height / stride, width / stride)."""
        found = functional.relu(self.norms[0](self.first(x)))
        found = self.norms[1](self.second(found))
        return functional.relu(found + self.around(x))


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


def loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy of logits (images, classes) and classes (images,)."""
    return functional.cross_entropy(logits, truth, label_smoothing=SMOOTHING)


def targets(table: data.Table, size: int) -> Array:
    """The truth as the loss wants it: the number of each image's class, (images,)."""
    numbers = {name: number for number, name in enumerate(table.classes)}
    return table.frame[data.LABEL].map(numbers).to_numpy(np.int64)
