"""Several processes that learn one network, as torchrun or Azure ML's `distribution: pytorch` starts them.

All deal the texts into the same batches; each takes its share of every batch and the gradients are added up. So their
number changes the order of sums, and what dropout drops, and nothing else.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def alone() -> bool:
    """Whether nobody has started other processes; families without a network need no PyTorch to know."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1


@contextmanager
def group() -> Iterator[int]:
    """Join the processes that were started; gives this one's number, 0 where it is alone."""
    if alone():
        yield 0
        return
    import torch
    from torch import distributed

    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        yield distributed.get_rank()
    finally:
        distributed.destroy_process_group()


def place() -> tuple[int, int]:
    """This process's number and how many there are."""
    if alone():
        return 0, 1
    from torch import distributed

    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)


def vary(seed: int) -> None:
    """Let each process drop other parts of the network."""
    if rank := place()[0]:
        import torch

        torch.manual_seed(seed + rank)


def backward(
    network: "nn.Module",
    loss: "Callable[[dict[str, Tensor]], Tensor]",
    batch: "Mapping[str, Tensor]",
    counts: "Tensor",
) -> None:
    """The gradients of a batch's mean loss, of which each process works out its share.

    `loss` is a mean over what counts; `counts` (rows,) says how much that is in each row.
    """
    rank, processes = place()
    if processes == 1:
        loss(dict(batch)).backward()
        return
    from torch import distributed

    share = counts[rank::processes].sum() / counts.sum()
    if share > 0:
        (loss({name: part[rank::processes] for name, part in batch.items()}) * share).backward()
    for weight in network.parameters():
        weight.grad = weight.new_zeros(weight.shape) if weight.grad is None else weight.grad
        distributed.all_reduce(weight.grad)


def agreed(value: float) -> float:
    """The first process's value, by which all decide alike."""
    if place()[1] == 1:
        return value
    import torch
    from torch import distributed

    told: Any = torch.tensor(value, dtype=torch.float64, device="cuda" if torch.cuda.is_available() else "cpu")
    distributed.broadcast(told, 0)
    return float(told)
