"""A small encoder-decoder that writes and copies words, learnt with PyTorch and run with ONNX Runtime."""

import importlib
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from mlops_runtime.errors import Problem

from . import parallel
from .search import Found, Options, search
from .vocabulary import END, PAD, SPECIAL, START, Source, Vocabulary, padded, split

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]
MOST_READ = 200  # words of a source; the rest is not read
BATCH = 32
EPOCHS = 6, 20  # fewest and most, unless told otherwise
WORDS_TAUGHT = 50  # by each answer, over all epochs: short ones teach less at a time, so they are read more often
DEFAULTS: dict[str, Any] = {
    "width": 64,
    "layers": 2,
    "decoder_layers": 1,
    "heads": 4,
    "dropout": 0.1,
    "learning_rate": 4e-3,
    "epochs": None,  # None: as many as `enough_epochs` says
    "patience": 3,  # epochs without a better loss on the held-out texts, then it stops
    "hide": 0.4,  # share of the names that are made unknown while learning, so that it copies what it does not know
}


@dataclass(frozen=True)
class Answer:
    """What was generated, and the mean log-probability of its words, or what stands for it."""

    text: str
    mean: float


@dataclass(frozen=True)
class Examples:
    """Sources, each one text or several, and the answers to learn."""

    sources: list[list[str]]
    targets: list[str]


class Generator:
    """A learnt encoder-decoder."""

    def __init__(self, vocabulary: Vocabulary, encoder: bytes, decoder: bytes, options: Options) -> None:
        self.vocabulary, self.options = vocabulary, options
        self.files = {"encoder.onnx": encoder, "decoder.onnx": decoder}
        limits = onnxruntime.SessionOptions()
        limits.intra_op_num_threads = 1  # requests come in parallel; one must not take all cores
        self._read, self._step = (
            onnxruntime.InferenceSession(part, limits, providers=["CPUExecutionProvider"])
            for part in (encoder, decoder)
        )

    def answer(self, sources: Sequence[Sequence[str]]) -> list[Answer]:
        """One answer for each source; long inputs go in batches of texts of like length."""
        read = [self.vocabulary.read(parts, MOST_READ) for parts in sources]
        order = sorted(range(len(read)), key=lambda row: len(read[row].ids))
        answers: dict[int, Answer] = {}
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = [read[row] for row in rows]
            for row, source, found in zip(rows, batch, self._answer(batch), strict=True):
                answers[row] = Answer(self.vocabulary.text(found.words, source), found.mean)
        return [answers[row] for row in range(len(read))]

    def _answer(self, batch: list[Source]) -> list[Found]:
        beams, words = self.options.beams, self.vocabulary.size
        memory, targets, _ = self._encode(batch)
        mask = _mask(batch)
        memory, targets, mask = (np.repeat(part, beams, axis) for part, axis in ((memory, 2), (targets, 0), (mask, 0)))
        sources = [source for source in batch for _ in range(beams)]
        copies = padded([source.copies for source in sources], 0)
        every, most = np.arange(len(sources)), max(len(source.extra) for source in batch)
        past = memory[:, :, :, :, :0]

        def step(last: Array, parents: Array) -> Array:
            nonlocal past
            read = [self.vocabulary.again(int(n), source) for n, source in zip(last, sources, strict=True)]
            inputs = {"next": np.array(read, dtype=np.int64)[:, None], "past": past[:, :, parents]}
            inputs |= {"memory": memory, "targets": targets, "mask": mask}
            written, copied, past = self._step.run(None, inputs)
            likely = np.zeros((len(sources), words + most))
            likely[:, :words] = np.exp(written[:, 0])
            np.add.at(likely, (every[:, None], copies), np.exp(copied[:, 0]) * mask)
            likely[:, [n for n, name in enumerate(SPECIAL) if name != END]] = 0.0
            return np.log(np.maximum(likely, 1e-30))

        start, end = (self.vocabulary.words.index(name) for name in (START, END))
        return search(step, len(batch), start, end, self.options)

    def _encode(self, batch: list[Source]) -> tuple[Array, Array, Array]:
        pad = self.vocabulary.words.index(PAD)
        ids = padded([source.ids for source in batch], pad)
        memory, targets, pooled = self._read.run(None, {"ids": ids, "mask": _mask(batch)})
        return memory, targets, pooled

    def embed(self, texts: Sequence[str]) -> Array:
        """The mean of what the encoder makes of the words: (texts, width), each of length 1."""
        read = [self.vocabulary.read([text], MOST_READ) for text in texts]
        found = [self._encode(read[start : start + BATCH])[2] for start in range(0, len(read), BATCH)]
        points = np.concatenate(found) if found else np.zeros((0, 1))
        return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))

    def save(self, folder: Path) -> None:
        """Write encoder.onnx, decoder.onnx, vocabulary.json and options.json."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        self.vocabulary.save(folder / "vocabulary.json")
        (folder / "options.json").write_text(json.dumps(asdict(self.options)) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: Path) -> "Generator":
        """Read what `save` wrote; needs no PyTorch."""
        options = Options(**json.loads((folder / "options.json").read_text(encoding="utf-8")))
        encoder, decoder = ((folder / f"{name}.onnx").read_bytes() for name in ("encoder", "decoder"))
        return cls(Vocabulary.load(folder / "vocabulary.json"), encoder, decoder, options)


def _mask(batch: Sequence[Source]) -> Array:
    """(rows, longest): 1 where there is a word, 0 for padding."""
    return padded([[1] * len(source.ids) for source in batch], 0)


def fit(
    train: Examples, held_out: Examples, base_model: str, parameters: dict[str, Any], options: Options, seed: int
) -> Generator:
    """Learn from `train` until the loss on `held_out` no longer falls; the best epoch is kept."""
    if base_model != "scratch":
        raise Problem(f"base_model {base_model!r}: the encoder-decoder starts from nothing; give scratch.")
    torch = _torch()
    from .network import Network, export

    chosen = {**DEFAULTS, **parameters}
    epochs = chosen["epochs"] or enough_epochs(train.targets)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    vocabulary = Vocabulary.train([" ".join(parts) for parts in train.sources], train.targets)
    with one_thread(), torch.random.fork_rng():  # torch's generator is put back afterwards
        torch.manual_seed(seed)
        longest = MOST_READ, options.max_new_tokens + 1
        network = Network(vocabulary.readable, vocabulary.size, longest, chosen).to(device)
        parallel.vary(seed)
        optimizer = torch.optim.AdamW(network.parameters(), chosen["learning_rate"], weight_decay=0.01, fused=True)
        steps = epochs * math.ceil(len(train.targets) / BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, chosen["learning_rate"], steps, pct_start=0.15)

        def measure(batch: dict[str, Any]) -> Any:
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                return network.loss(batch)

        order = np.random.default_rng(seed)
        best, best_loss, waited = network.state(), float("inf"), 0
        for _ in range(epochs):
            network.train()
            for batch in batches(train, vocabulary, options.max_new_tokens, order, chosen["hide"]):
                batch = {name: part.to(device) for name, part in batch.items()}
                optimizer.zero_grad()
                parallel.backward(network, measure, batch, batch["counts"].sum(1))
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            network.eval()
            with torch.no_grad():
                held = batches(held_out, vocabulary, options.max_new_tokens)
                losses = [network.loss({name: part.to(device) for name, part in b.items()}).item() for b in held]
            value = parallel.agreed(float(np.mean(losses)))
            waited += 1
            if value < best_loss:
                best, best_loss, waited = network.state(), value, 0
            if waited >= chosen["patience"]:
                break
        network.load_state_dict(best)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            return Generator(vocabulary, *export(network.cpu().eval(), Path(folder)), options)


def enough_epochs(answers: Sequence[str]) -> int:
    """How often to read the answers so that each teaches `WORDS_TAUGHT` words, its end counted, within `EPOCHS`."""
    words = sum(len(split(answer)) + 1 for answer in answers) / len(answers)
    fewest, most = EPOCHS
    return min(max(math.ceil(WORDS_TAUGHT / words), fewest), most)


def _torch() -> Any:
    """PyTorch, which only training needs."""
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError:
        raise Problem("The family transformer needs PyTorch to learn: run `uv sync --group train` first.") from None


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
    examples: Examples, vocabulary: Vocabulary, most: int, order: np.random.Generator | None = None, hide: float = 0.0
) -> "list[dict[str, torch.Tensor]]":
    """Batches for `Network.loss`; with `order` shuffled, texts of like length together, and some words hidden."""
    import torch

    rows = np.arange(len(examples.targets))
    if order is not None:
        lengths = np.array([sum(map(len, parts)) for parts in examples.sources])
        rows = np.argsort(lengths + order.uniform(0, 40, len(rows)), kind="stable")
    pad = vocabulary.words.index(PAD)
    found = []
    for start in range(0, len(rows), BATCH):
        sources, written, read = [], [], []
        for row in rows[start : start + BATCH]:
            hidden: frozenset[str] = frozenset()
            if order is not None:
                names = sorted(vocabulary.names.intersection(split(examples.targets[row])))
                drawn = order.random(len(names)) < hide
                hidden = frozenset(name for name, chosen in zip(names, drawn, strict=True) if chosen)
            source = vocabulary.read(examples.sources[row], MOST_READ, hidden)
            write, before = vocabulary.write(examples.targets[row], source, most)
            sources.append(source)
            written.append(write)
            read.append(before)
        arrays = {
            "ids": padded([source.ids for source in sources], pad),
            "mask": _mask(sources),
            "copies": padded([source.copies for source in sources], -1),
            "write": padded(written, pad),
            "read": padded(read, pad),
            "counts": padded([[1] * len(one) for one in written], 0),
        }
        found.append({name: torch.from_numpy(part) for name, part in arrays.items()})
    if order is not None:
        found = [found[place] for place in order.permutation(len(found))]
    return found
