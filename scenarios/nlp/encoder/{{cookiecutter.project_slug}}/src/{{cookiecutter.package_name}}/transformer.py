"""A transformer encoder, learnt with PyTorch and served with ONNX Runtime.

`base_model: scratch` is a tiny one that starts from nothing; any other value is the name or folder of a pre-trained
model for Hugging Face's transformers (the extra `hub`), which wants a GPU.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from . import parallel
from .tokenizer import Encoded, Pieces

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]
IGNORED = -100  # a label that does not count, such as that of padding
MOST_PIECES = 128  # of a text; the rest is not read
BATCH = 32
DEFAULTS: dict[str, Any] = {
    "width": 64,
    "layers": 2,
    "heads": 4,
    "dropout": 0.1,
    "learning_rate": 4e-3,
    "epochs": 5,
    "patience": 3,  # epochs without a better loss on the held-out texts, then it stops
}
PRETRAINED = {"learning_rate": 5e-5}  # of what BERT's authors fine-tune with (Devlin et al. 2018); more unlearns


@dataclass(frozen=True)
class Examples:
    """Texts with their labels: class numbers (texts,), or one row of them for each text, one for each piece."""

    texts: list[str]
    labels: Sequence[Any]


class Transformer:
    """A learnt encoder with one output per class, for whole texts or for each of their pieces."""

    def __init__(self, pieces: Pieces, onnx: bytes) -> None:
        self.pieces = pieces
        self.onnx = onnx
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # requests come in parallel; one must not take all cores
        self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    def run(self, texts: Sequence[str]) -> tuple[list[Array], Array, list[Encoded]]:
        """Logits, one array for each batch, and embeddings (texts, width) of length 1; long inputs go in batches."""
        batches = [list(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        encoded = [self.pieces.encode(batch, MOST_PIECES) for batch in batches]
        found = [self._session.run(None, {"ids": batch.ids, "mask": batch.mask}) for batch in encoded]
        embeddings = np.concatenate([pooled for _, pooled in found]) if found else np.zeros((0, 1))
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return [logits for logits, _ in found], embeddings / np.maximum(lengths, 1e-9), encoded

    def scores(self, texts: Sequence[str]) -> Array:
        """Logits of whole texts: (texts, classes)."""
        return np.concatenate(self.run(texts)[0])

    def embed(self, texts: Sequence[str]) -> Array:
        """The mean of what the encoder makes of the pieces: (texts, width), each of length 1."""
        return self.run(texts)[1]

    def save(self, folder: Path) -> None:
        """Write network.onnx, tokenizer.json and transformer.json."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "network.onnx").write_bytes(self.onnx)
        self.pieces.save(folder / "tokenizer.json")
        facts = json.dumps({"pad": self.pieces.pad})
        (folder / "transformer.json").write_text(facts + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: Path) -> "Transformer":
        """Read what `save` wrote; needs no PyTorch."""
        facts = json.loads((folder / "transformer.json").read_text(encoding="utf-8"))
        return cls(Pieces.load(folder / "tokenizer.json", facts["pad"]), (folder / "network.onnx").read_bytes())


def prepare_pieces(base_model: str, texts: Sequence[str], lower: bool = True) -> Pieces:
    """The tokenizer: trained on the texts, by default in lower case, or that of the pre-trained model."""
    if base_model == "scratch":
        return Pieces.train(texts, lower)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_model, use_fast=True)  # nosec B615: as for the network
    return Pieces(tokenizer.backend_tokenizer, int(tokenizer.pad_token_id))


def fit(
    train: Examples,
    held_out: Examples,
    classes: int,
    pieces: Pieces,
    base_model: str,
    parameters: dict[str, Any],
    seed: int,
    per_piece: bool = False,
) -> Transformer:
    """Learn from `train` until the loss on `held_out` no longer falls; the best epoch is kept."""
    import torch

    from .network import Network, export

    chosen = {**DEFAULTS, **(PRETRAINED if base_model != "scratch" else {}), **parameters}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with one_thread(), torch.random.fork_rng():  # torch's generator is put back afterwards
        torch.manual_seed(seed)
        network = Network.build(base_model, pieces.size, classes, MOST_PIECES, chosen, per_piece).to(device)
        parallel.vary(seed)
        optimizer = torch.optim.AdamW(network.parameters(), chosen["learning_rate"], weight_decay=0.01, fused=True)
        steps = max(20, chosen["epochs"] * -(-len(train.texts) // BATCH))  # the schedule cannot be shorter
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, chosen["learning_rate"], steps, pct_start=0.1)

        def measure(batch: dict[str, Any]) -> Any:
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                return network.loss(**batch)

        order = np.random.default_rng(seed)
        best, best_loss, waited = network.state(), float("inf"), 0
        for _ in range(chosen["epochs"]):
            network.train()
            for ids, mask, labels in batches(train, pieces, order):
                batch = {"ids": ids.to(device), "mask": mask.to(device), "labels": labels.to(device)}
                counts = (batch["labels"] != IGNORED).reshape(len(ids), -1).sum(1)
                optimizer.zero_grad()
                parallel.backward(network, measure, batch, counts)
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            network.eval()
            with torch.no_grad():
                parts = [
                    (network.loss(ids.to(device), mask.to(device), labels.to(device)).item(), len(ids))
                    for ids, mask, labels in batches(held_out, pieces)
                ]
            value = parallel.agreed(sum(loss * rows for loss, rows in parts) / sum(rows for _, rows in parts))
            waited += 1
            if value < best_loss:
                best, best_loss, waited = network.state(), value, 0
            if waited >= chosen["patience"]:
                break
        network.load_state_dict(best)
        with tempfile.TemporaryDirectory() as folder:
            return Transformer(pieces, export(network.cpu().eval(), Path(folder, "network.onnx")))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread: quicker for a network this small, and the same result on every machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def batches(
    examples: Examples, pieces: Pieces, order: np.random.Generator | None = None
) -> "list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]":
    """Ids, masks and labels; with `order` shuffled, texts of like length together, which leaves little padding."""
    import torch

    rows = np.arange(len(examples.texts))
    if order is not None:
        lengths = np.array([len(text) for text in examples.texts])
        rows = np.argsort(lengths + order.uniform(0, 40, len(rows)), kind="stable")
    found = []
    for start in range(0, len(rows), BATCH):
        chosen = rows[start : start + BATCH]
        encoded = pieces.encode([examples.texts[row] for row in chosen], MOST_PIECES)
        labels = _padded([examples.labels[row] for row in chosen], encoded.ids.shape[1])
        found.append((torch.from_numpy(encoded.ids), torch.from_numpy(encoded.mask), torch.from_numpy(labels)))
    if order is not None:
        found = [found[place] for place in order.permutation(len(found))]
    return found


def _padded(labels: list[Any], length: int) -> Array:
    """Labels as an array (texts,) or, with one for each piece, (texts, length)."""
    if not np.ndim(labels[0]):
        return np.asarray(labels, dtype=np.int64)
    padded = np.full((len(labels), length), IGNORED, dtype=np.int64)
    for place, row in enumerate(labels):
        padded[place, : len(row)] = row[:length]
    return padded
