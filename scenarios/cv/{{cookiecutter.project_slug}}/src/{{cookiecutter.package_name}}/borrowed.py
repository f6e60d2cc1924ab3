"""Networks of torchvision, most of them trained on other images before; needs the extra `torchvision`."""

import math
from typing import Any

from torch import Tensor, nn

from mlops_runtime.errors import Problem

RATE = 0.05  # share of the learning rate where weights were learnt before: more would unlearn them
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the images that torchvision's weights know, 0 to 1
NOWHERE = "none"  # weights: random ones


class Borrowed(nn.Module):  # type: ignore[misc]  # PyTorch is used without its types
    """What all of them share: how they want images, and that an image's result depends on it alone.

    Batch normalization would look at the whole batch. With weights it keeps what it has learnt before, without any it
    gives way to group normalization.
    """

    def __init__(self, name: str, weights: str, **more: Any) -> None:
        super().__init__()
        self.net = _load(name, weights, more)
        if weights == NOWHERE:
            _normalize_by_group(self.net)

    def train(self, mode: bool = True) -> "Borrowed":
        """Switch to training, all but the batch normalization."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
        return self

    def scaled(self, x: Tensor) -> Tensor:
        """(images, 3, size, size) from -1 to 1 → as torchvision's weights know them."""
        mean, deviation = (x.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        return (x / 2 + 0.5 - mean) / deviation


def _load(name: str, weights: str, more: dict[str, Any]) -> nn.Module:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:  # RuntimeError: a build for another PyTorch
        raise Problem(
            f"The network {name} needs torchvision, which does not load ({error}): run `uv sync --extra torchvision`."
        ) from None
    try:
        models.get_model_builder(name)
    except ValueError:
        raise Problem(f"network {name!r}: torchvision has none of this name; try resnet18.") from None
    if weights == NOWHERE:
        return models.get_model(name, weights=None, **more)
    try:
        found = models.get_model_weights(name)[weights]
    except KeyError:
        known = ", ".join(models.get_model_weights(name).__members__)
        raise Problem(f"weights {weights!r}: {name} has {known or 'none'}; or give {NOWHERE}.") from None
    return models.get_model(name, weights=found)


def _normalize_by_group(net: nn.Module) -> None:
    for part in net.modules():
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, nn.GroupNorm(math.gcd(32, child.num_features), child.num_features))


def replace_last(net: nn.Module, kind: type[nn.Module], new: Any) -> nn.Module:
    """Put `new(old)` in the place of the net's last layer of a kind; returns the old one."""
    found = [name for name, part in net.named_modules() if isinstance(part, kind)]
    if not found:
        raise Problem(f"this network has no {kind.__name__} layer that could be replaced: choose another one.")
    parent, _, name = found[-1].rpartition(".")
    old = net.get_submodule(found[-1])
    setattr(net.get_submodule(parent), name, new(old))
    return old
