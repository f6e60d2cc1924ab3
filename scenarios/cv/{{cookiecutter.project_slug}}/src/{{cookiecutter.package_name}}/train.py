"""Step 2: train the network, calibrate it and save it as an ONNX graph.

With `--processes` above 1 this program starts itself that many times through torchrun. Where others have started it
several times already, as an Azure ML job with `distribution: pytorch` does, it joins them.
"""

import argparse
import hashlib
import inspect
import io
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import optimize
from torch import Tensor, nn

from mlops_runtime.config import find_root
from mlops_runtime.errors import Problem
from mlops_runtime.serving import request_contract
from mlops_runtime.tracking import save_model, start_step

from . import blocks, borrowed, data, embeddings, fitting, images, model
from . import network as network_code
from .network import Network, Pretrained, kinds, loss, targets

PACKAGE = model.__name__.partition(".")[0]
VALIDATION = 0.15  # share of the training images that the best epoch and the temperature are chosen on
SALT = "validation"
OWN = "small"  # the network that is not from torchvision
TEMPERATURES = (0.4, 4.0)  # the lowest and the highest
CHECKPOINTS = "MLOPS_CHECKPOINTS"  # folder for them; default: .mlops/checkpoints in the repository
EXAMPLES = 5  # images in the model's signature


class Exported(nn.Module):  # type: ignore[misc]  # PyTorch is used without its types
    """What is saved: from pixels as they come out of a file to probabilities and the embedding."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(images, size, size, 3) uint8 → probabilities (images, classes, …), embedding (images, embedding)."""
        logits, embedding = self.network(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return torch.softmax(logits / self.temperature, dim=1), embedding


def train(
    table: data.Table, size: int, settings: fitting.Settings, checkpoints: Path
) -> tuple[model.Model, list[dict[str, float]]]:
    """The trained model and each epoch's losses. The same arguments give the same model on the same machine."""
    torch.manual_seed(settings.seed)
    network, rate = build(len(table.classes), settings)
    learned, held = data.split(table.frame, VALIDATION, SALT)
    parts = [data.Table(frame, table.contract, table.version) for frame in (learned, held)]
    learn_from, choose_on = (fitting.Examples(part.pixels(size), targets(part, size)) for part in parts)
    checkpoint = checkpoints / f"{_key(table, size, settings)}.npz"
    history = fitting.fit(network, loss, learn_from, choose_on, replace(settings, learning_rate=rate), checkpoint)
    temperature = calibrate(network, choose_on)
    exported = Exported(network, temperature).eval()
    embedding = np.concatenate([found.numpy() for _, found in fitting.run(network, learn_from)])
    facts = {**vars(settings), "temperature": temperature, "best_epoch": _best(history)}
    space = embeddings.learn(embedding, kinds(learn_from.targets))
    return model.build(export(exported, size), model.Facts(table.classes, size, space, facts)), history


def build(classes: int, settings: fitting.Settings) -> tuple[nn.Module, float]:
    """The network as it is before training, and its highest learning rate."""
    if settings.network != OWN:
        learnt = settings.weights != borrowed.NOWHERE
        network = Pretrained(classes, settings.network, settings.weights)
        return network, settings.learning_rate * (borrowed.RATE if learnt else 1)
    if settings.weights != borrowed.NOWHERE:
        raise Problem(f"weights {settings.weights!r}: only networks of torchvision have any, the network {OWN} none.")
    return Network(classes), settings.learning_rate


def calibrate(network: nn.Module, examples: fitting.Examples) -> float:
    """By what to divide the logits so that probabilities are right on these images, which were not trained on.

    Temperature scaling (Guo et al., On calibration of modern neural networks, 2017).
    """
    logits = torch.cat([found for found, _ in fitting.run(network, examples)])
    truth = torch.from_numpy(examples.targets)

    def error(power: float) -> float:
        return float(nn.functional.cross_entropy(logits / float(np.exp(power)), truth))

    found = optimize.minimize_scalar(error, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def export(exported: Exported, size: int) -> bytes:
    """The ONNX graph, for any number of images at a time."""
    file = io.BytesIO()
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    names = ["probabilities", "embedding"]
    axes = {name: {0: "images"} for name in ("images", *names)}
    with warnings.catch_warnings():  # the newer exporter needs more packages and ten times as long
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # group normalization checks sizes, which stay
        torch.onnx.export(
            exported, (example,), file, input_names=["images"], output_names=names, dynamic_axes=axes, dynamo=False
        )
    return file.getvalue()


def _best(history: list[dict[str, float]]) -> int:
    return 1 + int(np.argmin([epoch["validation_loss"] for epoch in history]))


def _key(table: data.Table, size: int, settings: fitting.Settings) -> str:
    """A name for a training run, so that only the same one is resumed: the same images, settings and code."""
    code = [inspect.getsource(module) for module in (fitting, blocks, borrowed, network_code)]
    content = "\n".join(map(str, (table.version, sorted(table.frame[data.ID]), table.classes, size, settings, *code)))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def checkpoint_folder() -> Path:
    """Where an interrupted training left off."""
    if CHECKPOINTS in os.environ:
        return Path(os.environ[CHECKPOINTS])
    try:
        return find_root() / ".mlops" / "checkpoints"
    except Problem:  # a job on Azure ML, which keeps this folder and gives it back after a pre-emption
        return Path("outputs", "checkpoints")


def launch(processes: int, arguments: list[str]) -> int:
    """Start this program `processes` times through torchrun; the exit code."""
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    return subprocess.run([*program, "-m", f"{PACKAGE}.train", *arguments], env=environment, check=False).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--image-size", type=int, required=True, help="pixels, both ways, that the network sees")
    parser.add_argument("--epochs", type=int, required=True, help="at most; it stops when it no longer gets better")
    parser.add_argument("--batch-size", type=int, required=True, help="images per step, over all processes")
    parser.add_argument("--learning-rate", type=float, required=True, help="the highest")
    parser.add_argument("--processes", type=int, required=True, help="how many share the work on this machine")
    parser.add_argument("--seed", type=int, required=True, help="of all that is random")
    parser.add_argument("--network", required=True, help=f"{OWN}, or the name of one of torchvision")
    parser.add_argument("--weights", required=True, help="of a network of torchvision, such as DEFAULT; or none")
    parser.add_argument("--model", type=Path, required=True, help="folder for the MLflow model")
    args = parser.parse_args()
    if args.processes > 1 and "WORLD_SIZE" not in os.environ:
        sys.exit(launch(args.processes, sys.argv[1:]))

    table = data.Table.load(args.train_data)
    settings = fitting.Settings(args.epochs, args.batch_size, args.learning_rate, args.seed, args.network, args.weights)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))  # two threads on one core hinder each other
    started = time.monotonic()
    with fitting.group() as rank:
        fitted, history = train(table, args.image_size, settings, checkpoint_folder())
    if rank == 0:
        print(f"{len(history)} epochs in {time.monotonic() - started:.1f} s, the best was {_best(history)}")
        save(args.model, fitted, history, table)


def save(folder: Path, fitted: model.Model, history: list[dict[str, float]], table: data.Table) -> None:
    """Track the training and write the MLflow model."""
    with start_step("train"), tempfile.TemporaryDirectory() as scratch:
        import mlflow

        for number, losses in enumerate(history, 1):
            mlflow.log_metrics(losses, step=number)
        parameters: dict[str, Any] = {**fitted.facts.settings, "image_size": fitted.facts.size, "data": table.version}
        mlflow.log_params(parameters)
        fitted.save(Path(scratch, "model"))
        request_contract(table.contract, fitted.inputs).save(Path(scratch, "model", "inputs.yml"))
        example = table.frame[fitted.inputs].head(EXAMPLES)
        example = example.assign(**{data.IMAGE: example[data.IMAGE].map(images.pack)})  # JSON has no bytes
        save_model(folder, Path(scratch, "model"), PACKAGE, example, fitted.predict(example))


if __name__ == "__main__":
    main()
