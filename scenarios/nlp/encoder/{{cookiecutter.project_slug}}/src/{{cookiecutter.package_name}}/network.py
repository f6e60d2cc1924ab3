"""The network of `transformer.py` in PyTorch, and its export to ONNX."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlops_runtime.errors import Problem

from .transformer import IGNORED


class Block(nn.Module):  # type: ignore[misc]  # torch is used without its types
    """Self-attention and two layers, each around a short cut, normalized before (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        # dropout where it is cheap: random numbers for every pair of pieces would take longer than all else
        self.think = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(rows, length, width) → the same; `mask` (rows, 1, 1, length) says where there is something to attend to."""
        rows, length, width = hidden.shape
        parts = self.attend(self.before(hidden)).view(rows, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value, mask)
        hidden = hidden + self.merge(seen.transpose(1, 2).reshape(rows, length, width))
        result: Tensor = hidden + self.think(self.between(hidden))
        return result


class Scratch(nn.Module):  # type: ignore[misc]  # torch is used without its types
    """Embeddings of pieces and places, then blocks."""

    def __init__(self, pieces: int, longest: int, parameters: dict[str, Any]) -> None:
        super().__init__()
        self.width = parameters["width"]
        self.pieces, self.places = nn.Embedding(pieces, self.width), nn.Embedding(longest, self.width)
        nn.init.normal_(self.pieces.weight, std=0.05)
        nn.init.normal_(self.places.weight, std=0.05)
        self.dropout = nn.Dropout(parameters["dropout"])
        blocks = (Block(self.width, parameters["heads"], parameters["dropout"]) for _ in range(parameters["layers"]))
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.LayerNorm(self.width)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(rows, length) → (rows, length, width)."""
        places = torch.arange(ids.shape[1], device=ids.device)
        hidden = self.dropout(self.pieces(ids) + self.places(places))
        for block in self.blocks:
            hidden = block(hidden, mask[:, None, None, :].bool())
        result: Tensor = self.last(hidden)
        return result


class Pretrained(nn.Module):  # type: ignore[misc]  # torch is used without its types
    """An encoder from Hugging Face's hub or from a folder."""

    def __init__(self, base_model: str) -> None:
        super().__init__()
        from transformers import AutoModel

        self.body = AutoModel.from_pretrained(  # nosec B615: reads tensors, runs no code; name a folder to pin them
            base_model, attn_implementation="eager", use_safetensors=True
        )
        self.width = int(self.body.config.hidden_size)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(rows, length) → (rows, length, width)."""
        result: Tensor = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        return result


class Network(nn.Module):  # type: ignore[misc]  # torch is used without its types
    """An encoder with one output per class, for each piece or for the mean of all."""

    def __init__(self, body: Scratch | Pretrained, classes: int, per_piece: bool) -> None:
        super().__init__()
        self.body, self.per_piece = body, per_piece
        self.head = nn.Linear(body.width, classes)

    @classmethod
    def build(
        cls, base_model: str, pieces: int, classes: int, longest: int, parameters: dict[str, Any], per_piece: bool
    ) -> "Network":
        """A new network, from scratch or around a pre-trained model."""
        if parameters["width"] % parameters["heads"]:
            raise Problem(f"width {parameters['width']} must be a multiple of heads {parameters['heads']}.")
        body = Scratch(pieces, longest, parameters) if base_model == "scratch" else Pretrained(base_model)
        return cls(body, classes, per_piece)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(rows, length) twice → logits and mean embeddings (rows, width)."""
        hidden = self.body(ids, mask)
        weight = mask[:, :, None].to(hidden.dtype)
        pooled = (hidden * weight).sum(1) / weight.sum(1)
        return self.head(hidden if self.per_piece else pooled), pooled

    def loss(self, ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy over all labels that count."""
        logits, _ = self(ids, mask)
        return functional.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED)

    def state(self) -> dict[str, Tensor]:
        """A copy of the weights."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}


def export(network: Network, path: Path) -> bytes:
    """The network as ONNX, for any number of rows and any length."""
    example = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: "rows", 1: "length"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about checks that only matter for other shapes
        torch.onnx.export(
            network,
            (example, example),
            str(path),
            input_names=["ids", "mask"],
            output_names=["logits", "pooled"],
            dynamic_axes={
                "ids": axes,
                "mask": axes,
                "logits": axes if network.per_piece else {0: "rows"},
                "pooled": {0: "rows"},
            },
            opset_version=17,
            dynamo=False,
        )
    return path.read_bytes()
