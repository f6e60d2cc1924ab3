"""The training loop: one process or many, stopped early, resumed where it was interrupted.

Every epoch deals the images into the same global batches however many processes there are; each process takes its
share of every batch and the gradients are averaged. Normalization sees single images only, so the number of processes
changes the order of sums and nothing else.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mlops_runtime.errors import Problem

Array = np.ndarray[Any, Any]
Loss = Callable[[Tensor, Tensor], Tensor]
PATIENCE = 8  # epochs without a better validation loss
WEIGHT_DECAY = 0.02
BETAS = (0.9, 0.95)  # the short memory of a short training: it learns in three quarters of the epochs
ROWS = 256  # images at a time, where none are learnt from
WARM_UP = 0.25  # share of the steps in which the learning rate rises


@dataclass(frozen=True)
class Examples:
    """Images with their truth."""

    images: Array  # (images, size, size, 3) uint8
    targets: Array  # (images,) classes, or (images, size, size) classes of pixels

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Settings:
    """How to train."""

    epochs: int
    batch_size: int  # over all processes
    learning_rate: float  # the highest
    seed: int
    network: str = "small"  # or the name of one of torchvision
    weights: str = "none"  # of a network of torchvision: the name that it gives them


@dataclass
class State:
    """All that is needed to go on: written after every epoch."""

    epoch: int = 0
    best: float = float("inf")
    since_best: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    network: nn.Module, loss: Loss, train: Examples, validation: Examples, settings: Settings, checkpoint: Path
) -> list[dict[str, float]]:
    """Train `network` in place, which ends with the weights of its best epoch; returns each epoch's losses."""
    rank, processes = _place()
    check(settings, len(train), processes)
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else "cpu"
    network.to(device)
    parallel = DistributedDataParallel(network) if processes > 1 else network
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, BETAS, weight_decay=WEIGHT_DECAY, fused=True
    )
    steps = len(train) // settings.batch_size
    state, best = State(), _copy(network)
    if checkpoint.is_file():
        state, best = restore(checkpoint, network, optimizer)
        if rank == 0:
            print(f"resumed after epoch {state.epoch}")
    while state.epoch < settings.epochs and state.since_best < PATIENCE:
        network.train()
        total = torch.zeros((), device=device)
        for number, (images, targets) in enumerate(_batches(train, settings, state.epoch, rank, processes)):
            _set_rate(optimizer, settings, (state.epoch * steps + number) / (settings.epochs * steps))
            with torch.autocast("cuda", torch.bfloat16, enabled=torch.cuda.is_available()):
                error = loss(parallel(images.to(device))[0], targets.to(device))
            optimizer.zero_grad()
            error.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            total += error.detach()
        found = evaluate(network, loss, validation)
        if processes > 1:
            distributed.all_reduce(total)
        state.epoch += 1
        state.history.append({"loss": float(total) / steps / processes, "validation_loss": found})
        state.since_best += 1
        if found < state.best:
            state.best, state.since_best, best = found, 0, _copy(network)
        if rank == 0:
            save(checkpoint, network, optimizer, state, best)
            print(f"epoch {state.epoch:3d}  loss {state.history[-1]['loss']:.4f}  validation {found:.4f}", flush=True)
    if rank == 0:
        checkpoint.unlink(missing_ok=True)
    network.load_state_dict(best)
    network.to("cpu").eval()
    return state.history


def check(settings: Settings, images: int, processes: int) -> None:
    """Problem for settings that cannot work."""
    if settings.epochs < 1 or settings.batch_size < 1 or settings.learning_rate <= 0:
        raise Problem("epochs and batch_size must be at least 1, learning_rate above 0.")
    if settings.batch_size % processes:
        raise Problem(f"batch_size {settings.batch_size} cannot be shared among {processes} processes: make it divide.")
    if images < settings.batch_size:
        raise Problem(f"{images} training images are fewer than batch_size {settings.batch_size}: lower batch_size.")


def evaluate(network: nn.Module, loss: Loss, examples: Examples) -> float:
    """The mean loss on images as they are."""
    truth = torch.from_numpy(examples.targets).split(ROWS)
    found = [float(loss(one[0], part)) * len(part) for one, part in zip(run(network, examples), truth, strict=True)]
    return sum(found) / len(examples)


def run(network: nn.Module, examples: Examples) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and embedding of the images as they are, ROWS at a time."""
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        for start in range(0, len(examples), ROWS):
            logits, embedding = network(as_tensor(examples.images[start : start + ROWS]).to(device))
            yield logits.cpu(), embedding.cpu()


def as_tensor(images: Array) -> Tensor:
    """(images, size, size, 3) uint8 → (images, 3, size, size), -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 127.5 - 1


def _batches(
    examples: Examples, settings: Settings, epoch: int, rank: int, processes: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's share of each of the epoch's batches; what does not fill a batch waits for another epoch."""
    generator = np.random.default_rng((settings.seed, epoch))
    order = generator.permutation(len(examples))
    for start in range(0, len(order) - settings.batch_size + 1, settings.batch_size):
        rows = order[start : start + settings.batch_size]
        turns = generator.integers(0, 8, len(rows))
        light = generator.uniform((0.7, -0.2), (1.2, 0.2), (len(rows), 2))
        mine = slice(rank, None, processes)
        yield augment(
            as_tensor(examples.images[rows[mine]]), torch.from_numpy(examples.targets[rows[mine]]),
            turns[mine], light[mine],
        )  # fmt: skip


def augment(images: Tensor, targets: Tensor, turns: Array, light: Array) -> tuple[Tensor, Tensor]:
    """The images turned and mirrored in one of 8 ways each, masks with them, under another light (gain, offset)."""
    images, targets = images.clone(), targets.clone()
    for turn in range(1, 8):
        rows = torch.from_numpy(np.flatnonzero(turns == turn))
        images[rows] = _turned(images[rows], turn)
        if targets.ndim > 1:
            targets[rows] = _turned(targets[rows], turn)
    gain, offset = torch.from_numpy(light.astype(np.float32)).T.reshape(2, -1, 1, 1, 1)
    return images * gain + offset, targets


def _turned(pixels: Tensor, turn: int) -> Tensor:
    found = torch.rot90(pixels, turn % 4, (-2, -1))
    return found.flip(-1) if turn >= 4 else found


def _set_rate(optimizer: torch.optim.Optimizer, settings: Settings, done: float) -> None:
    """A rise, then half a cosine down to nothing (Smith & Topin, Super-convergence, 2018)."""
    if done < WARM_UP:
        share = 0.04 + 0.96 * done / WARM_UP
    else:
        share = (1 + np.cos(np.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * float(share)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def save(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, state: State, best: dict[str, Tensor]
) -> None:
    """Write a checkpoint: arrays and JSON, so that reading one runs no code; an interruption leaves the old one."""
    arrays: dict[str, Array] = {f"network/{name}": value.numpy() for name, value in _copy(network).items()}
    arrays |= {f"best/{name}": value.numpy() for name, value in best.items()}
    for number, values in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer/{number}/{name}": value.cpu().numpy() for name, value in values.items()}
    facts = np.frombuffer(json.dumps(vars(state)).encode(), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new.npz")
    np.savez(temporary, state=facts, **arrays)  # type: ignore[arg-type]  # numpy reads the names as its options
    os.replace(temporary, path)


def restore(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[State, dict[str, Tensor]]:
    """What `save` wrote, into network and optimizer."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    state = State(**json.loads(arrays.pop("state").tobytes()))
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    for name, value in arrays.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = torch.from_numpy(value)
    network.load_state_dict(parts["network"])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        number, _, key = name.partition("/")
        moments.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return state, parts["best"]


def _place() -> tuple[int, int]:
    """This process's number and how many there are."""
    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)


@contextmanager
def group() -> Iterator[int]:
    """Join the processes that torchrun or Azure ML has started; gives this one's number, 0 where it is alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield 0
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        yield distributed.get_rank()
    finally:
        distributed.destroy_process_group()
