"""The encoder-decoder of `generator.py` in PyTorch, and its export to ONNX.

A transformer (Vaswani et al. 2017; normalized before each part, Xiong et al. 2020) that can point at the source: each
word is either written from the vocabulary or copied (pointer-generator, See, Liu & Manning 2017).
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlops_runtime.errors import Problem

LOW = -1e4  # instead of minus infinity, which no mask needs and which some kernels turn into NaN


class Attention(nn.Module):  # type: ignore[misc]  # torch is used without its types
    """Attention with several heads; keys and values are made apart, so that they can be kept."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.asks, self.holds, self.merge = (nn.Linear(width, n * width) for n in (1, 2, 1))

    def kept(self, seen: Tensor) -> Tensor:
        """Keys and values of (rows, length, width): (2, rows, heads, length, width / heads)."""
        rows, length, width = seen.shape
        parts: Tensor = self.holds(seen).view(rows, length, 2, self.heads, width // self.heads)
        return parts.permute(2, 0, 3, 1, 4)

    def forward(self, hidden: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """(rows, length, width) → the same; `mask` is added to how well each place matches."""
        rows, length, width = hidden.shape
        query = self.asks(hidden).view(rows, length, self.heads, width // self.heads).transpose(1, 2)
        match = query @ kept[0].transpose(-1, -2) * (width // self.heads) ** -0.5 + mask
        found: Tensor = self.merge((match.softmax(-1) @ kept[1]).transpose(1, 2).reshape(rows, length, width))
        return found


class Layer(nn.Module):  # type: ignore[misc]  # torch is used without its types
    """Attention to itself, in the decoder also to the source, then two layers; each around a short cut."""

    def __init__(self, width: int, heads: int, reads_source: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.itself = Attention(width, heads)
        self.source = Attention(width, heads) if reads_source else None
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(
        self, hidden: Tensor, mask: Tensor, past: Tensor | None = None, source: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """(rows, length, width) → the same, and keys and values of all places up to here.

        `past` are those of the places before; `source` those of the source, with its mask.
        """
        normed = self.norms[0](hidden)
        kept = self.itself.kept(normed)
        if past is not None:
            kept = torch.cat([past, kept], dim=3)
        hidden = hidden + self.itself(normed, kept, mask)
        if self.source is not None and source is not None:
            hidden = hidden + self.source(self.norms[1](hidden), *source)
        return hidden + self.think(self.norms[2](hidden)), kept


class Network(nn.Module):  # type: ignore[misc]  # torch is used without its types
    """Reads a source once; then says, place by place, how likely each word is and where it would copy from."""

    def __init__(self, readable: int, writable: int, longest: tuple[int, int], parameters: dict[str, Any]) -> None:
        """`longest` are the most words of a source and of an answer."""
        super().__init__()
        width, heads = parameters["width"], parameters["heads"]
        if width % heads:
            raise Problem(f"width {width} must be a multiple of heads {heads}.")
        self.words = nn.Embedding(readable, width)
        self.places = nn.ModuleList(nn.Embedding(most, width) for most in longest)
        for table in (self.words, *self.places):
            nn.init.normal_(table.weight, std=width**-0.5)
        self.drop = nn.Dropout(parameters["dropout"])
        depths = parameters["layers"], parameters["decoder_layers"]
        self.encoder, self.decoder = (
            nn.ModuleList(Layer(width, heads, reads_source) for _ in range(depth))
            for depth, reads_source in zip(depths, (False, True), strict=True)
        )
        self.ends = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.write = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(writable))
        self.points, self.pointed = nn.Linear(width, width), nn.Linear(width, width)
        self.copies = nn.Linear(width, 1)

    def read(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sources (rows, length) → what the decoder attends to (layers, 2, rows, heads, length, width / heads), what it
        points at (rows, length, width), and embeddings (rows, width)."""
        hidden = self.drop(self.words(ids) + self.places[0].weight[: ids.shape[1]])
        padding = (1 - mask[:, None, None, :].to(hidden.dtype)) * LOW
        for layer in self.encoder:
            hidden, _ = layer(hidden, padding)
        hidden = self.ends[0](hidden)
        weight = mask[:, :, None].to(hidden.dtype)
        memory = torch.stack([layer.source.kept(hidden) for layer in self.decoder])
        return memory, self.pointed(hidden), (hidden * weight).sum(1) / weight.sum(1)

    def step(
        self, ids: Tensor, past: Tensor, memory: Tensor, targets: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next words of answers (rows, length) that went on after `past` (layers, 2, rows, heads, before, …).

        Returns log-probabilities of writing each word of the vocabulary (rows, length, words) and of copying from each
        place of the source (rows, length, source), together 1, and the `past` of the next step.
        """
        before, length = past.shape[4], ids.shape[1]
        hidden = self.drop(self.words(ids) + self.places[1].weight[before : before + length])
        places = torch.arange(before + length, device=ids.device)
        later = (places[None, :] > places[before:, None]).to(hidden.dtype) * LOW
        padding = (1 - mask[:, None, None, :].to(hidden.dtype)) * LOW
        kept = []
        for number, layer in enumerate(self.decoder):
            hidden, one = layer(hidden, later, past[number], (memory[number], padding))
            kept.append(one)
        hidden = self.ends[1](hidden)
        written = self.write(hidden) @ self.words.weight[: len(self.bias)].T + self.bias
        match = self.points(hidden) @ targets.transpose(-1, -2) * hidden.shape[-1] ** -0.5 + padding[:, 0]
        copies = self.copies(hidden)
        return (
            functional.log_softmax(written, -1) + functional.logsigmoid(-copies),
            functional.log_softmax(match, -1) + functional.logsigmoid(copies),
            torch.stack(kept),
        )

    def empty(self, rows: int, device: Any) -> Tensor:
        """The `past` of the first step."""
        first = self.decoder[0].itself
        width = self.words.weight.shape[1] // first.heads
        return torch.zeros(len(self.decoder), 2, rows, first.heads, 0, width, device=device)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean negative log-probability of the words of the targets, however they come about: written or copied."""
        memory, targets, _ = self.read(batch["ids"], batch["mask"])
        past = self.empty(len(batch["ids"]), batch["ids"].device)
        written, copied, _ = self.step(batch["read"], past, memory, targets, batch["mask"])
        truth = batch["write"]
        known = truth.clamp(max=written.shape[-1] - 1)
        from_words = written.gather(-1, known[:, :, None])[:, :, 0]
        from_words = from_words.masked_fill(truth >= written.shape[-1], LOW)
        same = batch["copies"][:, None, :] == truth[:, :, None]
        from_source = copied.masked_fill(~same, LOW).logsumexp(-1)
        lost = -torch.logaddexp(from_words, from_source)
        counts = batch["counts"].to(lost.dtype)
        mean: Tensor = (lost * counts).sum() / counts.sum()
        return mean

    def state(self) -> dict[str, Tensor]:
        """A copy of the weights."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}


class Part(nn.Module):  # type: ignore[misc]  # torch is used without its types
    """One of the network's functions as a module, which the exporter wants."""

    def __init__(self, network: Network, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, *inputs: Tensor) -> Any:
        """What the function returns."""
        return getattr(self.network, self.name)(*inputs)


def export(network: Network, folder: Path) -> tuple[bytes, bytes]:
    """The encoder and one step of the decoder as ONNX, for any number of rows and any length."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    memory, targets, _ = network.read(ids, ids)
    past = torch.cat([network.empty(2, "cpu"), memory[:, :, :, :, :3]], dim=4)
    source, memories, before = {0: "rows", 1: "length"}, {2: "rows", 4: "length"}, {2: "rows", 4: "before"}
    parts = {
        "read": (
            (ids, ids),
            {"ids": source, "mask": source},
            {"memory": memories, "targets": source, "pooled": {0: "rows"}},
        ),
        "step": (
            (ids[:, :1], past, memory, targets, ids),
            {"next": {0: "rows"}, "past": before, "memory": memories, "targets": source, "mask": source},
            {"written": {0: "rows"}, "copied": {0: "rows", 2: "length"}, "kept": {2: "rows", 4: "after"}},
        ),
    }
    found = []
    for name, (example, inputs, outputs) in parts.items():
        path = folder / f"{name}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about checks that only matter for other shapes
            torch.onnx.export(
                Part(network, name).eval(),  # or the exporter leaves the network learning
                example,
                str(path),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={**inputs, **outputs},
                opset_version=17,
                dynamo=False,
            )
        found.append(path.read_bytes())
    return found[0], found[1]
