"""What networks are built of; each image's result depends on it alone, however they are batched."""

from torch import Tensor, nn
from torch.nn import functional

GROUPS = 8  # of channels that are normalized together


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
