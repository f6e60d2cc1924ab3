"""Training gives the same however it is run: again, interrupted, by two processes; and the graph is the network."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from mlops_runtime.errors import Problem

from .conftest import ROOT, SIZE, Tables
from {{ cookiecutter.package_name }} import data, embeddings, fitting, model, train
from {{ cookiecutter.package_name }}.network import Network, loss, targets

SHORT = fitting.Settings(epochs=3, batch_size=16, learning_rate=0.002, seed=0)
ONCE = replace(SHORT, epochs=1)
TOLERANCE = 2e-3  # of probabilities: sums in another order may turn a ReLU whose input is almost 0 on or off


@pytest.fixture(scope="module")
def few(tables: Tables) -> data.Table:
    """Few images."""
    return data.Table(tables[0].frame.head(80), tables[0].contract, tables[0].version)


@pytest.fixture(scope="module")
def short(few: data.Table, tmp_path_factory: pytest.TempPathFactory) -> model.Model:
    """The model after three epochs on them."""
    return train.train(few, SIZE, SHORT, tmp_path_factory.mktemp("short"))[0]


def outputs(fitted: model.Model, table: data.Table) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """What the graph gives for the images: probabilities."""
    return np.asarray(fitted.session.run(None, {"images": table.pixels(SIZE)})[0])


def test_the_same_again(short: model.Model, few: data.Table, tmp_path: Path) -> None:
    again, history = train.train(few, SIZE, SHORT, tmp_path)
    assert again.graph == short.graph
    assert len(history) == SHORT.epochs
    assert history[-1]["loss"] < history[0]["loss"]


def test_an_interrupted_training_goes_on(
    short: model.Model,
    few: data.Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save = fitting.save

    def interrupted(path: Path, network: object, optimizer: object, state: fitting.State, best: object) -> None:
        save(path, network, optimizer, state, best)  # type: ignore[arg-type]  # passed on as they came
        if state.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train.train(few, SIZE, SHORT, tmp_path)
    resumed, history = train.train(few, SIZE, SHORT, tmp_path)
    assert "resumed after epoch 2" in capsys.readouterr().out
    assert len(history) == 3
    assert resumed.graph == short.graph
    assert not list(tmp_path.iterdir()), "what is finished is not resumed"


def test_two_processes_give_the_same(few: data.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After few steps: what a single ReLU changes grows with each further one. This process is one of the two."""
    expected = outputs(train.train(few, SIZE, ONCE, tmp_path)[0], few)
    few.save(tmp_path / "data")
    names = {"image-size": SIZE, "epochs": ONCE.epochs, "batch-size": ONCE.batch_size, "processes": 2,
             "learning-rate": ONCE.learning_rate, "seed": ONCE.seed, "network": ONCE.network,
             "weights": ONCE.weights, "train-data": tmp_path / "data", "model": tmp_path / "model"}  # fmt: skip
    options = [text for name, value in names.items() for text in (f"--{name}", str(value))]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1",
              "PYTHONPATH": str(ROOT / "src"), train.CHECKPOINTS: str(tmp_path)}  # fmt: skip
    other = subprocess.Popen(
        [sys.executable, "-m", train.__name__, *options], env={**os.environ, **shared, "RANK": "1", "LOCAL_RANK": "1"}
    )
    with monkeypatch.context() as patch:
        for name, value in {**shared, "RANK": "0", "LOCAL_RANK": "0"}.items():
            patch.setenv(name, value)
        with fitting.group() as rank:
            found = outputs(train.train(few, SIZE, ONCE, tmp_path)[0], few)
    assert (other.wait(60), rank) == (0, 0)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)

    batches = fitting._batches
    monkeypatch.setattr(fitting, "_batches", lambda all_, settings, epoch, *_: batches(all_, settings, epoch, 0, 2))
    alone = outputs(train.train(few, SIZE, ONCE, tmp_path)[0], few)
    assert np.abs(alone - expected).max() > 5 * TOLERANCE, "one share of the batches gives something else"


def test_torchrun_understands_how_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    assert train.launch(2, ["--seed", "1"]) == 3
    ((_, _, program, *arguments),) = started
    found = import_module(program).parse_args(arguments)
    assert (found.nproc_per_node, found.module, found.training_script) == ("2", True, train.__name__)
    assert found.training_script_args == ["--seed", "1"]


def test_it_stops_when_it_no_longer_gets_better(few: data.Table, tmp_path: Path) -> None:
    examples = fitting.Examples(few.pixels(SIZE)[:64], targets(few, SIZE)[:64])
    settings = fitting.Settings(epochs=20, batch_size=64, learning_rate=1e-12, seed=0)
    torch.manual_seed(0)
    frozen = fitting.fit(Network(4), loss, examples, examples, settings, tmp_path / "checkpoint.npz")
    assert len(frozen) < settings.epochs


@pytest.mark.parametrize(
    ("settings", "processes", "message"),
    [
        (fitting.Settings(0, 32, 0.1, 0), 1, "at least 1"),
        (fitting.Settings(1, 32, 0.1, 0), 3, "3 processes"),
        (fitting.Settings(1, 512, 0.1, 0), 1, "fewer than batch_size"),
    ],
)
def test_senseless_settings_are_refused(settings: fitting.Settings, processes: int, message: str) -> None:
    with pytest.raises(Problem, match=message):
        fitting.check(settings, 100, processes)


def test_augmentation_turns_masks_with_images() -> None:
    pixels = torch.zeros(8, 3, 6, 6)
    pixels[:, :, 1, 2] = 1
    turned, masks = fitting.augment(pixels, pixels[:, 0].long(), np.arange(8), np.tile([1.0, 0.0], (8, 1)))
    assert torch.equal(turned[:, 0].long(), masks)
    assert len({tuple(one.nonzero()[0].tolist()) for one in masks}) == 8


def test_the_graph_does_what_the_network_does(tables: Tables) -> None:
    torch.manual_seed(1)
    network = Network(4).eval()
    exported = train.Exported(network, 1.7).eval()
    pixels = tables[1].pixels(SIZE)[:33]
    with torch.no_grad():
        expected = [part.numpy() for part in exported(torch.from_numpy(pixels))]
    space = embeddings.learn(np.random.default_rng(0).normal(size=(50, expected[1].shape[1])), np.arange(50) % 4)
    saved = model.build(train.export(exported, SIZE), model.Facts(tables[1].classes, SIZE, space, {}))
    found = saved.session.run(None, {"images": pixels})
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)
